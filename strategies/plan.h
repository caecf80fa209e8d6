// A plan as a value: a mesh, rules that shard named dimensions over its axes, and how micro-batches
// run. Degrees (data, fsdp, tensor, ...) are named sets of rules, one file each in
// strategies/parallelisms/; nothing after loading asks which parallelism an axis came from.

#ifndef MESHSTEP_STRATEGIES_PLAN_H_
#define MESHSTEP_STRATEGIES_PLAN_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "strategies/layout.h"
#include "strategies/model.h"
#include "strategies/precision.h"
#include "strategies/schedules/schedule.h"
#include "strategies/sharding.h"
#include "topologies/cluster.h"
#include "topologies/mesh.h"

namespace meshstep {

// dimension -> axes, major first. Applied in order; an axis shards an array at most once, so a
// later rule shards only what an earlier one left (as logical axis rules of MaxText and flax do).
struct Rule {
  std::string dim;
  std::vector<AxisId> axes;
};

struct Rules {
  std::vector<Rule> compute;     // operands and results inside einsums
  std::vector<Rule> parameters;  // parameters as stored between uses
  std::vector<Rule> optimizer;   // optimizer state and reduced gradients
  std::vector<Rule> residual;    // the residual stream between blocks
};

// Sharding of an array of `dims` under one list of rules.
Sharding Apply(const std::vector<Rule>& rules, const std::vector<std::string>& dims);

// How the layers' activations come back in backward.
enum class Recompute { kNone, kSelective, kMatmuls, kFull };

// Kernels that a framework runs where it could run fewer; see plan.proto.
struct Kernels {
  enum class Loss { kFused, kEager, kMegatron };
  enum class Accumulation { kNone, kFused, kSeparate };
  Loss loss = Loss::kFused;
  Accumulation accumulation = Accumulation::kNone;
  bool unfused_optimizer = false;
};

struct CollectiveChoice {
  std::string collective, axis, algorithm;  // axis "": every axis
};

struct Plan {
  std::vector<AxisRequest> axes;  // innermost first
  AxisId pipeline = -1;           // the axis that partitions the layers; -1: one stage
  Rules rules;
  int stages = 1;
  int virtual_stages = 1;         // model chunks of one stage
  std::string schedule = "1f1b";  // "" with a table
  std::string schedule_table;     // its file
  std::shared_ptr<const Schedule> order;
  std::string layout;             // as given; "" is even
  std::vector<LayoutPart> parts;  // of the pipeline, in the order of the forward
  std::int64_t micro_batches = 1;
  double micro_batch_sequences = 1;  // of one replica
  double replicas = 1;               // product of the axes that shard B
  int zero_stage = 0;
  bool accumulate_unsharded = false;
  Recompute recompute = Recompute::kNone;
  bool unfused_attention = false, dropout = false;
  std::string flash_kernel;  // "flash-1", ...; empty: the chip's fastest
  int prefetch_layers = 1;
  // Gradients that leave once a step: beside the rest of backward, or after it; in transfers of at
  // least this many bytes, 0 for one transfer per block.
  bool overlap_gradients = true;
  double gradient_bucket_bytes = 0;
  // Parameters that the optimizer's shards left gather beside the next forward, or before it.
  bool overlap_parameters = false;
  // Collectives take compute units from kernels, where the chip has no engines of their own.
  bool collectives_take_units = true;
  Precision precision;
  Kernels kernels;
  std::vector<CollectiveChoice> collectives;

  Pipeline pipeline_shape() const { return {stages, virtual_stages, micro_batches}; }
  int axis_size(AxisId axis) const { return axes[static_cast<std::size_t>(axis)].size; }
};

struct Workload {
  std::int64_t batch = 0;     // sequences of one step
  std::int64_t sequence = 0;  // tokens of one sequence
};

struct Scenario {
  std::string name;
  Model model;
  Cluster cluster;
  Workload workload;
  Plan plan;
  std::vector<std::string> notes;  // paddings and roundings, for people
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PLAN_H_
