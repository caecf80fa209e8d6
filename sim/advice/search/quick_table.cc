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

PassTime TimeOf(const LoweredBlock& block, Kind kind, const LeastTimes& times) {
  const LoweredBlock* const one[] = {&block};
  const ChainTimes first = LongestChain(one, kind, times, ChainFrom::kFirstKernel);
  const ChainTimes input = LongestChain(one, kind, times, ChainFrom::kInput);
  const auto or0 = [](std::int64_t at) { return std::max<std::int64_t>(0, at); };
  return {or0(first.last),
          or0(first.output),
          or0(input.output),
          or0(input.last),
          first.output == kNever ? 1 : 0,
          input.output == kNever || input.last == kNever ? 1 : 0};
}

BlockFigures FiguresOf(const LoweredBlock& block, const LeastTimes& times) {
  BlockFigures figures;
  figures.forward = TimeOf(block, Kind::kForward, times);
  figures.backward = TimeOf(block, Kind::kBackward, times);
  figures.backward_input = TimeOf(block, Kind::kBackwardInput, times);
  figures.weights = TimeOf(block, Kind::kBackwardWeight, times).busy;
  figures.kept = block.kept_bytes;
  if (block.host_activations.to >= 0) figures.kept -= block.host_activations.bytes;
  return figures;
}

void Append(const BlockFigures& block, std::vector<BlockFigures>* sums) {
  BlockFigures sum = sums->back();
  const auto add = [](PassTime* to, const PassTime& more) {
    to->busy += more.busy;
    to->out += more.out;
    to->through += more.through;
    to->tail += more.tail;
    to->no_out += more.no_out;
    to->no_in += more.no_in;
  };
  add(&sum.forward, block.forward);
  add(&sum.backward, block.backward);
  add(&sum.backward_input, block.backward_input);
  sum.weights += block.weights;
  sum.kept += block.kept;
  sums->push_back(sum);
}

PassTime Minus(const PassTime& a, const PassTime& b) {
  return {a.busy - b.busy, a.out - b.out,       a.through - b.through,
          a.tail - b.tail, a.no_out - b.no_out, a.no_in - b.no_in};
}

// `first`, then blocks that take `inner` in all, then `last`: kernels of one wait for those of the
// other, and inputs for outputs.
PassTime InTurn(const PassTime& first, const PassTime& inner, const PassTime& last) {
  const bool passes_on = first.no_out == 0 && inner.no_in == 0 && last.no_in == 0;
  PassTime run;
  run.busy = first.busy + inner.busy + last.busy;
  run.through = first.through + inner.through + last.through;
  run.no_in = first.no_in + inner.no_in + last.no_in;
  run.no_out = last.no_out > 0 && !passes_on ? 1 : 0;
  if (last.no_out == 0) run.out = first.busy + inner.busy + last.out;
  if (run.no_in == 0) run.tail = first.through + inner.through + last.tail;
  if (!passes_on) return run;
  run.busy = std::max(run.busy, first.out + inner.through + last.tail);
  run.out = std::max(run.out, first.out + inner.through + last.through);
  return run;
}

// Blocks [begin, end) of a pass; `sums` as KernelFigures.
PassTime Run(const std::vector<BlockFigures>& sums, PassTime BlockFigures::*pass, std::size_t begin,
             std::size_t end, bool backward) {
  const auto between = [&](std::size_t from, std::size_t to) {
    return Minus(sums[to].*pass, sums[from].*pass);
  };
  if (end - begin < 2) return between(begin, end);
  const PassTime low = between(begin, begin + 1), high = between(end - 1, end);
  const PassTime inner = between(begin + 1, end - 1);
  return backward ? InTurn(high, inner, low) : InTurn(low, inner, high);
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

// Whether all plans place tensor and context before other axes, on nodes that are alike.
bool IsPlacedAlike(const PlanSpace& space) {
  const Cluster& cluster = space.loaded().cluster;
  if (cluster.is_torus() || cluster.is_graph()) return false;
  return std::ranges::all_of(space.choices(Knob::kOrder), [](const Choice& choice) {
    return choice.order.size() > 2 && choice.order[0] == "tensor" && choice.order[1] == "context";
  });
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
std::vector<BlockFigures> SumsOf(const std::optional<Lowered>& lowered, bool placed_alike,
                                 Fidelity fidelity) {
  if (!lowered) return {};
  LeastTimes times{.slowest_chip = lowered->rates.slowest_chip};
  times.transfer = LeastTimesOf(*lowered, placed_alike, fidelity);
  for (; times.streams < lowered->transfers.size(); ++times.streams) {
    times.stream.push_back(times.streams);  // none waits for another
  }
  const LoweredModel& model = lowered->model;
  std::vector<BlockFigures> kinds;
  for (const LoweredBlock& kind : model.kinds) kinds.push_back(FiguresOf(kind, times));
  std::vector<BlockFigures> sums(1);
  Append(FiguresOf(model.embedding, times), &sums);
  for (const int kind : model.layer_kind) Append(kinds[Index(kind)], &sums);
  Append(FiguresOf(model.head, times), &sums);
  return sums;
}

// Blocks [begin, end) of a part, by the order of KernelFigures.
struct Blocks {
  std::size_t begin, end;
};

Blocks BlocksOf(const PipelinePart& part, int layers) {
  return {part.embedding ? 0 : Index(part.begin + 1),
          part.head ? Index(layers + 2) : Index(part.end + 1)};
}

// One part: sums over its blocks, of which only the first `limit` layers (0: all) are recomputed.
BlockFigures Sum(const KernelFigures& of, const PipelinePart& part, int layers, int limit) {
  const Blocks blocks = BlocksOf(part, layers);
  const std::size_t split =
      limit == 0
          ? blocks.end
          : std::clamp(Index(std::min(part.end, part.begin + limit) + 1), blocks.begin, blocks.end);
  const bool all = split == blocks.end;
  const auto run = [&](PassTime BlockFigures::*pass, bool backward) {
    const PassTime again = Run(of.blocks, pass, blocks.begin, split, backward);
    if (all) return again;
    const PassTime plain = Run(of.plain, pass, split, blocks.end, backward);
    if (split == blocks.begin) return plain;
    return backward ? InTurn(plain, {}, again) : InTurn(again, {}, plain);
  };
  BlockFigures sum;
  sum.forward = run(&BlockFigures::forward, false);
  sum.backward = run(&BlockFigures::backward, true);
  sum.backward_input = run(&BlockFigures::backward_input, true);
  sum.weights = of.blocks[split].weights - of.blocks[blocks.begin].weights;
  sum.kept = of.blocks[split].kept - of.blocks[blocks.begin].kept;
  if (all) return sum;
  sum.weights += of.plain[blocks.end].weights - of.plain[split].weights;
  sum.kept += of.plain[blocks.end].kept - of.plain[split].kept;
  return sum;
}

}  // namespace

QuickTable::QuickTable(const PlanSpace& space, const Catalog& catalog, Fidelity fidelity)
    : space_(space), catalog_(catalog), fidelity_(fidelity), placed_alike_(IsPlacedAlike(space)) {}

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
  KernelFigures figures;
  if (space_.at(Knob::kRecompute, choices).number == 0) {
    figures.blocks = SumsOf(Lower(proto, catalog_, fidelity_), placed_alike_, fidelity_);
    return figures;
  }
  // Layers up to a limit run again, the others do not.
  plan->clear_recompute_layers();
  figures.blocks = SumsOf(Lower(proto, catalog_, fidelity_), placed_alike_, fidelity_);
  plan->set_recompute_layers(0);
  figures.plain = SumsOf(Lower(proto, catalog_, fidelity_), placed_alike_, fidelity_);
  if (figures.plain.size() != figures.blocks.size()) figures.blocks.clear();
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
  // Whichever number of layers is recomputed, one of each kind is lowered either way.
  Choices choices = of;
  int& recompute = choices[static_cast<std::size_t>(Knob::kRecompute)];
  if (space_.at(Knob::kRecompute, choices).number > 0) {
    for (int i = 0; i < recompute; ++i) {
      const Choice& other = space_.choices(Knob::kRecompute)[Index(i)];
      if (other.number > 0 && other.set[0] == space_.at(Knob::kRecompute, choices).set[0]) {
        recompute = i;
      }
    }
  }
  const PlanDegrees& d = space_.at(Knob::kDegrees, choices).degrees;
  Key key = {d.tensor, d.context, d.fsdp > 1 ? 1 : 0};
  for (const Knob knob : kKernelKnobs) key.push_back(choices[static_cast<std::size_t>(knob)]);
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
  Key key;
  for (const Knob knob : kStateKnobs) key.push_back(choices[static_cast<std::size_t>(knob)]);
  {
    const std::lock_guard lock(mutex_);
    const auto there = states_.find(key);
    if (there != states_.end()) return *there->second;
  }
  auto lowered = std::make_unique<const StateFigures>(LowerState(choices));
  const std::lock_guard lock(mutex_);
  return *states_.try_emplace(std::move(key), std::move(lowered)).first->second;
}

GroupBound QuickTable::Group(const Choices& choices) const {
  const Pipeline shape = space_.shape(choices);
  const PublishedSchedule& schedule = *space_.at(Knob::kSchedule, choices).schedule;
  GroupBound bound;
  const int layers = space_.loaded().model.layers;
  const std::vector<PipelinePart> parts =
      EvenParts(schedule.Parts(shape), layers, space_.loaded().model.mtp_layers);
  for (int stage = 0; stage < shape.stages; ++stage) {
    GroupBound::Stage& of_stage = bound.stages.emplace_back();
    for (int c = 0; c < schedule.Chunks(stage, shape); ++c) {
      const Blocks blocks = BlocksOf(parts[Index(schedule.PartOf({stage, c}, shape))], layers);
      of_stage.parts.emplace_back(blocks.begin, blocks.end);
    }
  }
  // Micro-batches of DualPipe enter at either end.
  const KernelFigures& kernels = Kernels(choices);
  if (kernels.blocks.empty() || schedule.name() == "dualpipe") return bound;
  const int limit = space_.at(Knob::kRecompute, choices).number;
  const bool trains = !space_.loaded().workload.forward_only();
  const bool split = schedule.name().starts_with("zb");
  std::vector<BlockFigures> of;
  std::vector<std::int64_t> before = {0}, behind = {0};  // forward, gradient of the parts before
  // A schedule that splits backwards may leave some whole.
  const auto backward = [&](const BlockFigures& part) {
    return split ? Least(part.backward, part.backward_input) : part.backward;
  };
  const auto with_weights = [&](const BlockFigures& part) {
    const std::int64_t halves = part.backward_input.busy + part.weights;
    return split ? std::min(part.backward.busy, halves) : part.backward.busy;
  };
  for (const PipelinePart& part : parts) {
    of.push_back(Sum(kernels, part, layers, limit));
    // The first part has no input to wait for.
    const PassTime& forward = of.back().forward;
    const std::int64_t out = before.size() == 1 ? forward.out : 0;
    before.push_back(before.back() + std::max(forward.through, out));
    behind.push_back(behind.back() + backward(of.back()).through);
  }
  for (int stage = 0; stage < shape.stages; ++stage) {
    int first = static_cast<int>(parts.size());
    std::int64_t busy = 0, whole = 0;
    double kept = -1;
    for (int c = 0; c < schedule.Chunks(stage, shape); ++c) {
      const int part = schedule.PartOf({stage, c}, shape);
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
    bound.stages[Index(stage)].live =
        counts ? static_cast<double>(WholeLive(schedule, stage, shape)) * std::max(0.0, kept) : 0;
  }
  return bound;
}

double QuickTable::Peak(const Choices& choices, const GroupBound& group) const {
  const StateFigures& state = State(choices);
  if (state.blocks.empty()) return 0;
  double most = 0;
  for (const GroupBound::Stage& stage : group.stages) {
    double bytes = state.always + stage.live;
    for (const auto& [begin, end] : stage.parts) bytes += state.blocks[end] - state.blocks[begin];
    most = std::max(most, bytes);
  }
  // Sums of a thousand roundings.
  return most * (1 - 1e-9) - 4096;
}

}  // namespace meshstep
