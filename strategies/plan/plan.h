// A plan as a value: a mesh, rules that shard named dimensions over its axes, and how micro-batches
// run. Degrees (data, fsdp, tensor, ...) are named sets of rules, one file each in
// strategies/plan/parallelisms/; nothing after loading asks which parallelism an axis came from.
// Where that matters the plan says which axes (pipeline, split_axis, CollectiveChoice::axes).

#ifndef MESHSTEP_STRATEGIES_PLAN_PLAN_H_
#define MESHSTEP_STRATEGIES_PLAN_PLAN_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "strategies/algebra/sharding.h"
#include "strategies/model/model.h"
#include "strategies/model/packing.h"
#include "strategies/plan/kernel_table.h"
#include "strategies/plan/pipeline_parts.h"
#include "strategies/plan/precision.h"
#include "strategies/plan/schedules/schedule.h"
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
  // Arrays on the ranks of experts (Place::kRouted) and expert parameters: as used, as stored
  // between uses, as updated.
  std::vector<Rule> experts;
  std::vector<Rule> expert_parameters;
  std::vector<Rule> expert_optimizer;
};

// Sharding of an array of `dims` under one list of rules.
Sharding Apply(const std::vector<Rule>& rules, const std::vector<std::string>& dims);

// How the layers' activations come back in backward.
enum class Recompute { kNone, kSelective, kMatmuls, kFull, kModules, kAlternate };

// Fractions of bytes that are kept in the memory of the host.
struct Offload {
  double activations = 0, parameters = 0, optimizer = 0;
  bool any() const { return activations > 0 || parameters > 0 || optimizer > 0; }
};

// Layers [begin, end) with settings of their own. Types of parameters, gradients, optimizer and of
// what flows between layers are the plan's.
struct LayerRange {
  int begin = 0, end = 0;
  Precision precision;
  Recompute recompute = Recompute::kNone;
  std::vector<std::string> recompute_modules, recompute_keep;
  Offload offload;
};

// How muon finds the direction of a matrix; see plan.proto.
struct Muon {
  enum class Method { kDuplicated, kDistributed, kOwner, kBlockwise };
  Method method = Method::kDuplicated;
  int iterations = 5;
};

// How attention sees the whole sequence where T of the queries is sharded.
// kGatheredRing: a ring's kernels on keys and values that are gathered.
enum class ContextMethod { kRing, kAllGather, kUlysses, kGatheredRing };

// How tokens get to the ranks of their experts and back; see plan.proto.
enum class ExpertDispatch { kSorted, kAllToAll, kDeepEp, kHybridEp, kGather, kEinsum };

// Kernels that a framework runs where it could run fewer; see plan.proto.
struct Kernels {
  enum class Loss { kFused, kEager, kMegatron, kMegatronCompiled, kRecomputed };
  enum class Accumulation { kNone, kFused, kSeparate };
  Loss loss = Loss::kFused;
  Accumulation accumulation = Accumulation::kNone;
  // Whose operations the host issues (strategies/frameworks/ideal.textproto).
  enum class Launches { kNone, kKernels, kPyTorch, kMegatronLm, kMegatronDeepSpeed, kMegatronCore };
  bool unfused_optimizer = false;
  bool each_expert = false, fused_experts = false;
  double expert_tile_rows = 0;  // 0: tiles begin where the rows of an expert do
  bool eager_expert_bias = false, eager_expert_clamp = false, eager_rotary = false;
  enum class Elementwise { kFused, kEager, kInductor };
  Elementwise elementwise = Elementwise::kFused;
  bool separate_sums = false;         // of the parts of a gradient
  bool separate_projections = false;  // products of one input
  // Around the transfers of FSDP.
  enum class ShardedCopies { kNone, kFlat, kEach };
  ShardedCopies sharded_copies = ShardedCopies::kNone;
  bool dtensor = false;         // transfers between tensor ranks; see plan.proto
  bool repeated_heads = false;  // keys and values for every head, before attention
  Launches launches = Launches::kNone;
  std::optional<double> host_dispatch_ns;  // calibrated: of one operation; unset: the chip's
  bool graphed_attention = false, graphed_mlp = false, graphed_router = false;
  double library_workspace_bytes = 0;
  // Passes over all gradients of a device, once a step.
  bool zeroes_gradients = false, checks_gradients = false, scales_gradients = false;
  bool casts_gradients = false;
  enum class BiasGradients { kFused, kSeparate, kButQkv };
  BiasGradients bias_gradients = BiasGradients::kFused;
  bool copied_heads = false;
  bool dense_embedding_gradient = false;
};

// Of one device, beside what the step holds; the fraction is of the peak of that.
struct MemoryReserve {
  double context_bytes = 0, allocator_fraction = 0, communication_bytes = 0;
};

struct CollectiveChoice {
  std::string collective, axis, algorithm;  // axis "": every axis
  // Those that are called `axis`, and those that are called so in what concerns experts.
  std::vector<AxisId> axes, expert_axes;
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
  std::string layout;               // as given; "" is even
  std::vector<PipelinePart> parts;  // of the pipeline, in the order of the forward
  std::int64_t micro_batches = 1;
  double micro_batch_sequences = 1;  // of one replica
  double replicas = 1;               // product of the axes that shard B
  int zero_stage = 0;
  bool accumulate_unsharded = false;
  Recompute recompute = Recompute::kNone;
  std::vector<std::string> recompute_modules;  // of kModules; names in block_memory.cc
  int recompute_layers = -1;                   // of each part of the pipeline; -1: all
  std::vector<std::string> recompute_keep;     // ops that do not run again
  bool recompute_drops_unread = false;         // nor those whose results backward does not read
  Offload offload;
  std::vector<LayerRange> layer_ranges;  // the last that holds a layer counts
  Muon muon;
  bool unfused_attention = false, dropout = false;
  ContextMethod context_method = ContextMethod::kRing;
  bool context_balanced = true;  // a chunk from the front and one from the back of the sequence
  bool context_splits_documents = false;  // each document is cut so, not the sequence
  // Decode: what shards the sequence of the KV cache (T of one new token cannot be sharded).
  std::vector<AxisId> cache_axes;
  std::string flash_kernel;  // "flash-1", ...; empty: the chip's fastest
  int prefetch_layers = 1;
  // Gradients that leave once a step: beside the rest of backward, or after it; in transfers of at
  // least this many bytes, 0 for one transfer per block.
  bool overlap_gradients = true;
  double gradient_bucket_bytes = 0;
  // Parameters that the optimizer's shards left gather beside the next forward, or before it.
  bool overlap_parameters = false;
  // Reductions of whole gradients that may wait at once before backward waits; 0: any number.
  int reductions_in_flight = 2;
  // Matmuls in parts beside a ring (strategies/passes/ops/ring_matmul.h).
  bool async_tensor = false;
  // Between stages in parts by the ranks of tensor, gathered on arrival: by those of `split_axis`,
  // which hold alike what they send; -1: each sends all that it holds.
  bool split_sends = false;
  AxisId split_axis = -1;
  // Matmuls and attention at the pace of the slowest chip.
  bool stragglers = true;
  // Collectives take compute units from kernels, where the chip has no engines of their own.
  bool collectives_take_units = true;
  Precision precision;
  std::string framework;  // what runs the step, with its release; "": an ideal compiler
  std::vector<std::string> framework_options;
  Kernels kernels;
  std::shared_ptr<const KernelTable> kernel_table = std::make_shared<const KernelTable>();
  MemoryReserve memory_reserve;
  std::vector<CollectiveChoice> collectives;
  std::string collective_library;  // with its release; "": the cluster's
  // Tokens of the busiest expert rank over the mean of all.
  double expert_imbalance = 1;
  // Tokens of every expert over the mean, by dropping and padding; 0: as routed.
  double capacity_factor = 0;
  ExpertDispatch expert_dispatch = ExpertDispatch::kSorted;
  bool overlap_experts = false;

  Pipeline pipeline_shape() const {
    return {stages, virtual_stages, micro_batches, overlap_experts};
  }
  int axis_size(AxisId axis) const { return axes[static_cast<std::size_t>(axis)].size; }
};

// What people call a list of axes: the names of the whole axes, each once, in the order of the
// list. In what concerns experts, the axes are "expert" (those that shard E), "expert-tensor" (F_e)
// and "expert-data" (all others), whatever they are for the rest of the model.
std::vector<std::string> AxisNames(const Plan& plan, std::span<const AxisId> axes, bool experts);

// The axes that AxisNames calls `name`.
std::vector<AxisId> AxesNamed(const Plan& plan, std::string_view name, bool experts);

// Whole axes and degrees of experts with their sizes, innermost first, for people.
std::vector<std::pair<std::string, int>> Degrees(const Plan& plan);

// The axes called `name`, major first: one axis, or all parts of a whole one. Empty: none.
std::vector<AxisId> FindAxes(const Plan& plan, std::string_view name);

// `sharding` with `dim` sharded also over all axes that shard nothing yet but for the pipeline's:
// every rank of a stage then holds a part of its own.
Sharding Spread(const Plan& plan, Sharding sharding, std::string_view dim);

// The plan as it is for layer `layer`; index into layer_ranges, -1: the plan itself.
int RangeOf(const Plan& plan, int layer);
Plan WithRange(const Plan& plan, const LayerRange& range);

struct Workload {
  enum class Mode { kTrain, kPrefill, kDecode };

  std::int64_t batch = 0;     // sequences of one step
  std::int64_t sequence = 0;  // tokens of one sequence; in decode those of the cache
  Mode mode = Mode::kTrain;
  // Documents of every sequence; null: a sequence is one.
  std::shared_ptr<const Packing> packing = nullptr;

  bool forward_only() const { return mode != Mode::kTrain; }
  // Positions of one sequence that the step computes.
  std::int64_t queries() const { return mode == Mode::kDecode ? 1 : sequence; }
};

struct Scenario {
  std::string name;
  Model model;
  Cluster cluster;
  Workload workload;
  Plan plan;
  std::vector<std::string> notes;  // paddings and roundings, for people
  // An evaluation that is part of the step, after the rest; null: there is none.
  std::shared_ptr<Scenario> evaluation;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PLAN_PLAN_H_
