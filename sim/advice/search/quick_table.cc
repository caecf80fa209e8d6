#include "sim/advice/search/quick_table.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <utility>

#include "sim/base/index.h"
#include "sim/cost/collective_model.h"
#include "strategies/block/block_context.h"
#include "strategies/bounds/plan/block_chain.h"
#include "strategies/plan/load_scenario.h"
#include "strategies/plan/pipeline_parts.h"
#include "strategies/step/lower_model.h"
#include "strategies/step/placement.h"
#include "strategies/step/step_rates.h"

namespace meshstep {
namespace {

using Kind = Action::Kind;

constexpr std::array kKernelKnobs = {Knob::kExperts,  Knob::kMicro, Knob::kRecompute,
                                     Knob::kSequence, Knob::kAsync, Knob::kCustom};
constexpr std::array kStateKnobs = {Knob::kDegrees, Knob::kExperts, Knob::kCustom, Knob::kState};

// A scenario that is lowered in place of many.
struct Lowered {
  Scenario scenario;
  StepRates rates;
  TransferTable transfers;
  LoweredModel model;
};

std::optional<Lowered> Lower(const v1::Scenario& proto, const Catalog& catalog, Fidelity fidelity) {
  Diagnostics diagnostics;
  Scenario scenario = LoadScenario(proto, catalog, &diagnostics);
  if (!diagnostics.ok()) return std::nullopt;
  StepRates rates = RatesOf(scenario, fidelity);
  Lowered lowered{std::move(scenario), std::move(rates), {}, {}};
  const BlockContext context{&lowered.scenario.model, &lowered.scenario.plan,
                             &lowered.scenario.workload, &lowered.rates.compute,
                             &lowered.transfers};
  StatusOr<LoweredModel> model = LowerModel(context);
  if (!model.ok()) return std::nullopt;
  lowered.model = *std::move(model);
  return lowered;
}

PassTime Least(const PassTime& a, const PassTime& b) {
  return {std::min(a.busy, b.busy), std::min(a.out, b.out),       std::min(a.through, b.through),
          std::min(a.tail, b.tail), std::max(a.no_out, b.no_out), std::max(a.no_in, b.no_in)};
}

// Micro-batches of which a stage holds all that forward kept: between the halves of their backward,
// where zb-h1 has up to `stage` of them, they hold less.
std::int64_t WholeLive(const PublishedSchedule& schedule, int stage, const Pipeline& shape) {
  const std::int64_t live = schedule.MostLive(stage, shape);
  return schedule.name() == "zb-h1" ? std::min<std::int64_t>(live, shape.stages - stage) : live;
}

// What a transfer takes in one group that has its links to itself, in whole picoseconds below; 0
// for all but activations over tensor and context inside a node, by the quickest algorithm.
std::int64_t LeastTime(const TransferSpec& spec, const Plan& plan, const CollectiveModel& model,
                       const Mesh& mesh) {
  const bool inside = std::ranges::all_of(spec.axes, [&](AxisId axis) {
    const std::string& name = plan.axes[Index(axis)].name;
    return name == "tensor" || name == "context";
  });
  const bool collective = spec.collective == Collective::kAllGather ||
                          spec.collective == Collective::kReduceScatter ||
                          spec.collective == Collective::kAllReduce;
  if (spec.role != Role::kActivations || spec.experts || !inside || !collective) return 0;
  // Which tiers join the nodes depends on all axes.
  const Group group = mesh.GroupOf(spec.axes, 0);
  const bool in_node = std::ranges::none_of(
      group.dims, [](const Group::Dim& dim) { return dim.kind == Level::Kind::kNetwork; });
  if (!in_node) return 0;
  const StatusOr<CollectiveCost> cost =
      model.Cost(spec.collective, spec.bytes, spec.axes, 0, "auto", spec.copies);
  if (!cost.ok()) return 0;
  double ps = 0;
  for (const CostPhase& phase : cost->phases) {
    double slowest = 0;
    for (const LinkDemand& demand : phase.demands) {
      slowest = std::max(slowest, demand.bytes / mesh.fabric().capacity(demand.link) / Seconds(1));
    }
    ps += static_cast<double>(phase.latency.ps()) + std::max(0.0, slowest * 1e12 - 2);
  }
  return static_cast<std::int64_t>(ps * (1 - 1e-9));
}

std::vector<std::int64_t> LeastTimesOf(const Lowered& lowered, bool placed_alike,
                                       Fidelity fidelity) {
  std::vector<std::int64_t> times(Index(lowered.transfers.size()), 0);
  const Plan& plan = lowered.scenario.plan;
  // Where kernels of two micro-batches run in turn, transfers hide.
  if (!placed_alike || plan.overlap_experts || !plan.collectives.empty()) return times;
  PlacementCache placements;
  const auto placed = placements.Place(lowered.scenario.cluster, plan.axes, fidelity);
  if (!placed.ok()) return times;
  const CollectiveModel model(*(*placed)->mesh, nullptr, fidelity);
  for (std::size_t t = 0; t < times.size(); ++t) {
    times[t] = LeastTime(lowered.transfers[static_cast<int>(t)], plan, model, *(*placed)->mesh);
  }
  return times;
}

// Sums over the blocks of the model; none if it does not lower.
BlockSums SumsOf(const std::optional<Lowered>& lowered, bool placed_alike, Fidelity fidelity) {
  if (!lowered) return {};
  LeastTimes times{.slowest_chip = lowered->rates.slowest_chip};
  times.transfer = LeastTimesOf(*lowered, placed_alike, fidelity);
  for (; times.streams < lowered->transfers.size(); ++times.streams) {
    times.stream.push_back(times.streams);  // none waits for another
  }
  return BlockSums(lowered->model, times);
}

BlockRange BlocksOf(const PipelinePart& part, int layers) {
  return {part.embedding ? 0 : Index(part.begin + 1),
          part.head ? Index(layers + 2) : Index(part.end + 1)};
}

// By choice of recomputation, the first one that lowers to the same blocks: whichever number of
// layers is recomputed, one of each kind is lowered either way.
std::vector<int> FirstAlike(const std::vector<Choice>& recompute) {
  std::vector<int> first;
  for (std::size_t i = 0; i < recompute.size(); ++i) {
    first.push_back(static_cast<int>(i));
    for (std::size_t k = 0; k < i && recompute[i].number > 0; ++k) {
      if (recompute[k].number == 0 || recompute[k].set[0] != recompute[i].set[0]) continue;
      first.back() = static_cast<int>(k);
      break;
    }
  }
  return first;
}

}  // namespace

QuickTable::QuickTable(const PlanSpace& space, const Catalog& catalog, Fidelity fidelity)
    : space_(space),
      catalog_(catalog),
      fidelity_(fidelity),
      placed_alike_(PlacesTensorFirst(space)),
      recompute_alike_(FirstAlike(space.choices(Knob::kRecompute))) {}

// Replicas take what tensor and context leave; each runs one micro-batch.
KernelFigures QuickTable::LowerKernels(const Choices& choices) const {
  v1::Scenario proto = space_.ScenarioOf(choices, kKernelKnobs);
  const PlanDegrees& d = space_.at(Knob::kDegrees, choices).degrees;
  const int replicas = space_.loaded().cluster.devices() / d.tensor / d.context;
  v1::Plan* const plan = proto.mutable_plan();
  plan->set_tensor(d.tensor);
  plan->set_context(d.context);
  plan->set_pipeline(1);
  plan->set_fsdp(d.fsdp > 1 ? replicas : 1);
  plan->set_data(d.fsdp > 1 ? 1 : replicas);
  plan->clear_schedule();
  plan->clear_virtual_stages();
  plan->clear_zero_stage();
  plan->clear_accumulate_unsharded();
  plan->clear_overlap_parameters();
  plan->clear_order();  // tensor and context come first
  proto.mutable_workload()->set_global_batch_sequences(std::int64_t{1} * replicas *
                                                       space_.at(Knob::kMicro, choices).number);
  proto.mutable_workload()->clear_evaluation_sequences();
  const bool trains = !space_.loaded().workload.forward_only();
  const bool limited = space_.at(Knob::kRecompute, choices).number > 0;
  if (limited) plan->clear_recompute_layers();
  KernelFigures figures;
  figures.blocks = SumsOf(Lower(proto, catalog_, fidelity_), placed_alike_, fidelity_);
  if (limited) {
    // Layers up to a limit run again, the others do not.
    plan->set_recompute_layers(0);
    figures.plain = SumsOf(Lower(proto, catalog_, fidelity_), placed_alike_, fidelity_);
    if (figures.plain.empty()) figures.blocks = {};
  }
  figures.least_busy = figures.blocks.LeastBusy(limited ? figures.plain : figures.blocks, trains);
  return figures;
}

StateFigures QuickTable::LowerState(const Choices& choices) const {
  v1::Scenario proto = space_.ScenarioOf(choices, kStateKnobs);
  const PlanDegrees& d = space_.at(Knob::kDegrees, choices).degrees;
  v1::Plan* const plan = proto.mutable_plan();
  plan->clear_schedule();
  plan->clear_virtual_stages();
  plan->clear_order();
  plan->clear_overlap_parameters();
  plan->set_micro_batch_sequences(1);
  proto.mutable_workload()->set_global_batch_sequences(std::int64_t{2} * d.data * d.fsdp);
  proto.mutable_workload()->clear_evaluation_sequences();
  const std::optional<Lowered> lowered = Lower(proto, catalog_, fidelity_);
  StateFigures figures;
  if (!lowered) return figures;
  const Plan& p = lowered->scenario.plan;
  const auto bytes_of = [&](const LoweredBlock& block) {
    return std::max(0.0, block.parameter_bytes - block.host_parameters.bytes) +
           block.gradients * SizeOf(p.precision.gradients).value() + block.optimizer_bytes -
           block.host_optimizer.bytes;
  };
  figures.always = p.kernels.library_workspace_bytes;
  const LoweredModel& model = lowered->model;
  figures.blocks = {0, bytes_of(model.embedding)};
  for (const int kind : model.layer_kind) {
    figures.blocks.push_back(figures.blocks.back() + bytes_of(model.kinds[Index(kind)]));
  }
  figures.blocks.push_back(figures.blocks.back() + bytes_of(model.head));
  return figures;
}

const KernelFigures& QuickTable::Kernels(const Choices& of) const {
  Choices choices = of;
  int& recompute = choices[static_cast<std::size_t>(Knob::kRecompute)];
  recompute = recompute_alike_[Index(recompute)];
  const PlanDegrees& d = space_.at(Knob::kDegrees, choices).degrees;
  Key key = {d.tensor, d.context, d.fsdp > 1 ? 1 : 0};
  std::size_t at = 3;
  for (const Knob knob : kKernelKnobs) key[at++] = choices[static_cast<std::size_t>(knob)];
  {
    const std::lock_guard lock(mutex_);
    const auto there = kernels_.find(key);
    if (there != kernels_.end()) return *there->second;
  }
  auto lowered = std::make_unique<const KernelFigures>(LowerKernels(choices));
  const std::lock_guard lock(mutex_);
  return *kernels_.try_emplace(std::move(key), std::move(lowered)).first->second;
}

const StateFigures& QuickTable::State(const Choices& choices) const {
  Key key = {};
  std::size_t at = 0;
  for (const Knob knob : kStateKnobs) key[at++] = choices[static_cast<std::size_t>(knob)];
  {
    const std::lock_guard lock(mutex_);
    const auto there = states_.find(key);
    if (there != states_.end()) return *there->second;
  }
  auto lowered = std::make_unique<const StateFigures>(LowerState(choices));
  const std::lock_guard lock(mutex_);
  return *states_.try_emplace(std::move(key), std::move(lowered)).first->second;
}

const StageLayout& QuickTable::Layout(const Choices& choices) const {
  const int pipeline = space_.at(Knob::kDegrees, choices).degrees.pipeline;
  const int schedule = choices[static_cast<std::size_t>(Knob::kSchedule)];
  const std::lock_guard lock(mutex_);
  StageLayout& layout = layouts_[{schedule, pipeline}];
  if (!layout.parts.empty()) return layout;
  const Pipeline shape = space_.shape(choices);
  const PublishedSchedule& order = *space_.at(Knob::kSchedule, choices).schedule;
  const int layers = space_.loaded().model.layers;
  layout.parts = EvenParts(order.Parts(shape), layers, space_.loaded().model.mtp_layers);
  for (const PipelinePart& part : layout.parts) layout.blocks.push_back(BlocksOf(part, layers));
  layout.of_stage.resize(Index(shape.stages));
  for (int stage = 0; stage < shape.stages; ++stage) {
    for (int c = 0; c < order.Chunks(stage, shape); ++c) {
      layout.of_stage[Index(stage)].push_back(order.PartOf({stage, c}, shape));
    }
  }
  return layout;
}

// Parts that hold as many layers of one kind are alike.
std::vector<BlockFigures> QuickTable::FiguresOfParts(const KernelFigures& kernels,
                                                     const StageLayout& layout, int limit) const {
  const bool one_kind = kernels.blocks.one_kind() && (limit == 0 || kernels.plain.one_kind());
  std::vector<BlockFigures> figures;
  figures.reserve(layout.parts.size());
  for (std::size_t i = 0; i < layout.parts.size(); ++i) {
    const PipelinePart& part = layout.parts[i];
    const auto alike = [&](const PipelinePart& other) {
      return other.end - other.begin == part.end - part.begin &&
             other.embedding == part.embedding && other.head == part.head;
    };
    if (one_kind && i > 0 && alike(layout.parts[i - 1])) {
      figures.push_back(figures.back());
      continue;
    }
    const BlockRange& blocks = layout.blocks[i];
    const int split = std::min(part.end, part.begin + limit);
    figures.push_back(
        RunOf(kernels, blocks,
              limit == 0 ? blocks.end : std::clamp(Index(split + 1), blocks.begin, blocks.end)));
  }
  return figures;
}

std::int64_t QuickTable::Loosely(const Choices& choices) const {
  const Pipeline shape = space_.shape(choices);
  if (space_.at(Knob::kSchedule, choices).schedule->name() == "dualpipe") return 0;
  // Some stage runs as much as all do on average.
  const double busy = Kernels(choices).least_busy / shape.stages;
  return static_cast<std::int64_t>(busy * static_cast<double>(shape.micro_batches) * (1 - 1e-9));
}

GroupBound QuickTable::Group(const Choices& choices) const {
  const Pipeline shape = space_.shape(choices);
  const PublishedSchedule& schedule = *space_.at(Knob::kSchedule, choices).schedule;
  const StageLayout& layout = Layout(choices);
  GroupBound bound{0, &layout, std::vector<double>(Index(shape.stages))};
  // Micro-batches of DualPipe enter at either end.
  const KernelFigures& kernels = Kernels(choices);
  if (kernels.blocks.empty() || schedule.name() == "dualpipe") return bound;
  const bool trains = !space_.loaded().workload.forward_only();
  const bool split = schedule.name().starts_with("zb");
  const std::vector<BlockFigures> of =
      FiguresOfParts(kernels, layout, space_.at(Knob::kRecompute, choices).number);
  std::vector<std::int64_t> before = {0}, behind = {0};  // forward, gradient of the parts before
  // A schedule that splits backwards may leave some whole.
  const auto backward = [&](const BlockFigures& part) {
    return split ? Least(part.backward, part.backward_input) : part.backward;
  };
  const auto with_weights = [&](const BlockFigures& part) {
    const std::int64_t halves = part.backward_input.busy + part.weights;
    return split ? std::min(part.backward.busy, halves) : part.backward.busy;
  };
  for (const BlockFigures& part : of) {
    // The first part has no input to wait for.
    const std::int64_t out = before.size() == 1 ? part.forward.out : 0;
    before.push_back(before.back() + std::max(part.forward.through, out));
    behind.push_back(behind.back() + backward(part).through);
  }
  for (int stage = 0; stage < shape.stages; ++stage) {
    int first = static_cast<int>(of.size());
    std::int64_t busy = 0, whole = 0;
    double kept = -1;
    for (const int part : layout.of_stage[Index(stage)]) {
      const BlockFigures& sum = of[Index(part)];
      first = std::min(first, part);
      busy += sum.forward.busy + (trains ? backward(sum).busy : 0);
      whole += sum.forward.busy + (trains ? with_weights(sum) : 0);
      kept = kept < 0 ? sum.kept : std::min(kept, sum.kept);
    }
    const std::int64_t m = shape.micro_batches;
    const std::int64_t fill = before[Index(first)];
    std::int64_t ps = fill + m * whole;
    if (trains) {
      // The last backward ends with kernels that the part before it does not wait for.
      const PassTime pass = backward(of[Index(first)]);
      ps = std::max(ps, fill + m * busy - (pass.busy - pass.out) + behind[Index(first)]);
    }
    bound.ps = std::max(bound.ps, ps);
    const bool counts = trains && !shape.pairs;
    bound.live[Index(stage)] =
        counts ? static_cast<double>(WholeLive(schedule, stage, shape)) * std::max(0.0, kept) : 0;
  }
  return bound;
}

double QuickTable::Peak(const Choices& choices, const GroupBound& group) const {
  const StateFigures& state = State(choices);
  if (state.blocks.empty()) return 0;
  double most = 0;
  for (std::size_t stage = 0; stage < group.live.size(); ++stage) {
    double bytes = state.always + group.live[stage];
    for (const int part : group.layout->of_stage[stage]) {
      const auto& [begin, end] = group.layout->blocks[Index(part)];
      bytes += state.blocks[end] - state.blocks[begin];
    }
    most = std::max(most, bytes);
  }
  // Sums of a thousand roundings.
  return most * (1 - 1e-9) - 4096;
}

}  // namespace meshstep
