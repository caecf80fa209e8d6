// A block (one transformer layer, the embedding, the head) under a plan: what one device computes
// and which collectives it takes part in, forward and backward.
//
// Everything follows from two shardings of each array: how it is stored between ops and how the op
// wants it. An operand is brought from one to the other by strategies/algebra/sharding.h; the local
// product leaves partial sums, which are resolved to the stored sharding of the result; backward
// does the same to the transposed products. Parameters are brought once per pass for the whole
// block and gradients leave once, so that frameworks' per-layer buckets come out.

#ifndef MESHSTEP_STRATEGIES_BLOCK_LOWERED_BLOCK_H_
#define MESHSTEP_STRATEGIES_BLOCK_LOWERED_BLOCK_H_

#include <map>
#include <string>
#include <vector>

#include "sim/base/status.h"
#include "sim/base/units.h"
#include "sim/cost/collective.h"
#include "sim/cost/compute.h"
#include "strategies/plan/plan.h"

namespace meshstep {

// What a collective moves; each role and set of axes has a communication stream of its own.
// The last two are copies of one device over its host link.
enum class Role { kActivations, kParameters, kGradients, kPipeline, kToHost, kFromHost };
std::string_view NameOf(Role role);

struct TransferSpec {
  Collective collective;
  std::vector<AxisId> axes;  // major first
  Role role;
  Bytes bytes;           // as sim/cost/collective.h counts them
  bool experts = false;  // of routed tokens or expert parameters: the axes go by their names there
  Copies copies = {};    // of routed tokens
  bool operator==(const TransferSpec&) const = default;
  auto operator<=>(const TransferSpec&) const = default;
};

// One task of a pass. Tasks run in order on their stream.
struct BlockStep {
  std::string name;             // "qkv", "qkv dx"
  int transfer = -1;            // index into TransferTable; -1: compute
  Time duration = {};           // compute
  Flops flops = {};             // compute, per device
  Bytes hbm_bytes = {};         // compute, per device: what the kernel reads and writes at least
  std::vector<int> after = {};  // steps of the same pass, on other streams
  bool needs_input = false;     // the block's input (forward) or the gradient of its output
  bool needs_parameters = false;
  bool for_weights = false;  // backward: makes gradients of weights, which no other step reads
  double host_ops = 1;       // that the host issues for it and, at once, before it
  // Step of the same pass whose end the host waits for before it issues this one; -1: none.
  int host_after = -1;
};

struct BlockPass {
  std::vector<BlockStep> steps;
  int output = -1;  // step that makes the pass's result; -1: the result is the input
};

// What of an array lives on the host; 0 and -1: nothing.
struct HostCopy {
  double bytes = 0;        // on one device
  int to = -1, from = -1;  // transfers
};

// A parameter whose update muon makes from whole matrices.
struct MatrixUpdate {
  double count = 1;                       // on the ranks that share each
  double in = 1, out = 1;                 // sides of a whole one
  std::vector<AxisId> in_axes, out_axes;  // that shard its update, major first
  bool experts = false;                   // the axes go by their names there
};

struct LoweredBlock {
  BlockPass forward, backward;
  BlockPass backward_input, backward_weight;  // the halves of `backward`
  BlockPass recompute;                        // run before backward; empty if nothing is recomputed
  std::vector<int> gathers;                   // transfers that bring the parameters, in order
  std::vector<int> reduces;       // transfers of gradients after every micro-batch, in order
  std::vector<int> last_reduces;  // transfers of gradients after the last micro-batch only
  std::vector<int> regathers;     // optimizer's shards to stored parameters, after the update
  // Bytes on one device. A stored parameter counts with the copies that narrow matmuls read; they
  // are made anew in every update, which reads and writes `cast_bytes` for it.
  double parameter_bytes = 0;
  double gathered_bytes = 0;  // as gathered for use, where that differs from stored; else 0
  double cast_bytes = 0;
  // Parts of kept_bytes, parameter_bytes and of the optimizer state.
  HostCopy host_activations, host_parameters, host_optimizer;
  // Bytes that kernels move around the transfers of sharded parameters
  // (strategies/frameworks/ideal.textproto, gathered-parameter and reduced-gradient).
  double gather_copy_bytes = 0, reduce_copy_bytes = 0;
  double parameter_arrays = 0;  // as a framework stores them
  // Elements on one device.
  double parameters = 0;           // as stored
  double gathered_parameters = 0;  // as used, where that differs from stored; else 0
  double gradients = 0;            // as accumulated between micro-batches
  double late_gradients = 0;       // of those, what replicas sum after the last micro-batch
  double optimizer = 0;            // as updated
  double matrix_elements = 0;      // of those, what the optimizer counts as matrices
  double optimizer_bytes = 0;      // state of what is updated
  std::vector<MatrixUpdate> matrices;
  // Bytes on one device, of all micro-batches.
  double kv_cache_bytes = 0;
  // Bytes on one device, of one micro-batch.
  double kept_bytes = 0;        // activations kept from forward to backward
  double recomputed_bytes = 0;  // activations made again, alive during backward
  // Inputs of matmuls and gradients of their results, from one half of backward to the other.
  double weight_half_bytes = 0;
  double workspace_bytes = 0;  // largest operands and results of one op that are not kept
  // The parts of the first and the last that are as wide as the vocabulary.
  double kept_logits_bytes = 0, workspace_logits_bytes = 0;
};

// Interns transfers.
class TransferTable {
 public:
  int Intern(const TransferSpec& spec);
  const TransferSpec& operator[](int i) const { return specs_[static_cast<std::size_t>(i)]; }
  int size() const { return static_cast<int>(specs_.size()); }
  // What exchange i hands around goes one way only.
  void GoOneWay(int i) { specs_[static_cast<std::size_t>(i)].collective = Collective::kPermute; }

 private:
  std::vector<TransferSpec> specs_;
  std::map<TransferSpec, int> index_;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_BLOCK_LOWERED_BLOCK_H_
