// An answer to an expression: the ways to do it, their steps and what each costs.

#ifndef MESHSTEP_STRATEGIES_EINSUM_ANSWER_H_
#define MESHSTEP_STRATEGIES_EINSUM_ANSWER_H_

#include <optional>
#include <string>
#include <vector>

#include "strategies/einsum/collective_formula.h"
#include "strategies/einsum/hardware.h"
#include "strategies/einsum/notation/expression.h"

namespace meshstep::einsum {

// Seconds, bytes and FLOPs are NaN where a size or a rate is not known.
struct Step {
  bool is_product = false;
  ReshardStep reshard;    // what is done, if it is not a product
  BinaryProduct product;  // else what is multiplied, with the local shardings
  Sharding result;        // of the local product
  std::size_t statement = 0;
  bool before_product = false;  // brings an input to where its product needs it

  std::string array;         // the array that changes, or the result
  std::string from, to;      // "A[I,J_X]", "A[I,J]"; for a product its factors and result
  std::string dim;           // "J", "I->J", "" for a sum and a product
  std::vector<AxisId> axes;  // without axes of size 1
  double chips = 1;          // in the group
  Dtype dtype = Dtype::kBf16;
  double volume = 0;     // bytes: V of cost.h
  double sent = 0;       // bytes per chip
  double flops = 0;      // per chip
  double hbm_bytes = 0;  // per chip, of a product: read and written once
  double seconds = 0;    // on the network, or of the multiplications
  double hops = 0;       // one after the other, on a torus
  double latency_s = 0;  // part of `seconds` that is a floor of hops
  std::string formula;   // of `seconds`
};

// "AllGather_X(A)", "ReduceScatter_{Y,K}(C)", "Einsum(A,B)".
std::string NameOf(const Step& step, const MeshShape& mesh);

// One way to the output. To people and in JSON it is a plan of the expression.
struct Derivation {
  std::string name;  // its steps
  std::vector<Step> steps;
  bool book = false;  // it follows the rules of chapter 3
  double flops_per_chip = 0;
  double compute_s = 0, communication_s = 0, hbm_s = 0;
  double overlapped_s = 0;  // the largest of the three
  double sequential_s = 0;  // on the chip (compute or HBM), then on the network
  double peak_bytes = 0;    // per chip: inputs and the largest set of temporaries
  std::string bound;        // compute, communication, memory, latency; "" if not known
};

struct ArrayMemory {
  std::string array;  // "A[I_X,J]"
  std::string name;
  std::vector<double> local_shape;
  double bytes_per_chip = 0;
  double bytes_all_chips = 0;
  double bytes_one_copy = 0;
  double fraction = 1;  // of the array on one chip
  double copies = 1;    // of the array on all chips
  std::string formula;  // of bytes_per_chip
};

struct Answer {
  double flops_theoretical = 0;
  double flops_per_chip = 0;  // of the book's derivation
  double flops_executed = 0;  // on all chips
  double replication = 1;     // executed / theoretical; NaN if it depends on sizes not known
  std::vector<ArrayMemory> memory;
  std::vector<Derivation>
      derivations;                    // best first; all of the size-less ones in order of discovery
  std::size_t derivations_found = 0;  // before the list was cut
  std::string result;                 // "C[I_X,K]"
  std::vector<std::string> missing;   // dimensions without a size: the answer is formulas
  std::vector<std::string> notes;
  std::vector<std::string> warnings;  // readings that are likely not what was meant
  std::string placement;              // of the axes on the chip; "" without one

  // The book's derivation, or the best if the book's rules do not reach the output.
  const Derivation& BookDerivation() const;
};

// Executed over theoretical FLOPs of a derivation's products: the chips that repeat one another's
// work. NaN if it depends on sizes that are not known; 1 without a product.
double ReplicationOf(const Derivation& derivation, const MeshShape& mesh);

struct SolveOptions {
  std::optional<Hardware> hardware;
  CostModel model = CostModel::kChip;
  std::optional<double> hop_latency;  // seconds, instead of the model's
  Dtype dtype = Dtype::kBf16;         // of arrays without one
  std::optional<Dtype> reduce_dtype;  // in which partial sums are moved
  bool sequential = false;            // sort by sequential_s
  bool pad = false;                   // round dimensions up to what their axes divide
  std::vector<AxisId> order;          // axes innermost first on nodes; empty: the last is innermost
  std::size_t max_derivations = 256;
};

}  // namespace meshstep::einsum

#endif  // MESHSTEP_STRATEGIES_EINSUM_ANSWER_H_
