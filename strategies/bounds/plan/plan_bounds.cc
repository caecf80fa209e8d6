#include "strategies/bounds/plan/plan_bounds.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "sim/base/check.h"
#include "sim/base/index.h"
#include "sim/engine/processors.h"
#include "strategies/block/block_context.h"
#include "strategies/bounds/plan/least_memory.h"
#include "strategies/step/lower_model.h"
#include "strategies/step/updater.h"

namespace meshstep {
namespace {

using Kind = Action::Kind;

// What is known of a step: its blocks, and what its transfers take at least.
struct Known {
  const Scenario& scenario;
  const LoweredModel& model;
  const ComputeModel& compute;
  const TransferTable& transfers;
  LeastTimes times;
  std::vector<double> taken = {};  // by transfer: what it takes of a processor at least
  std::int64_t send = 0;           // between two stages
};

std::int64_t Or0(std::int64_t at) { return at == kNever ? 0 : at; }

// Streams are by role and axes (StepBuilder::StreamName); axes of one name may share one, which
// only makes the simulation wait longer.
void NumberStreams(const TransferTable& transfers, LeastTimes* times) {
  std::map<std::tuple<Role, std::vector<AxisId>, bool>, int> streams;
  for (int t = 0; t < transfers.size(); ++t) {
    const TransferSpec& spec = transfers[t];
    const auto [at, added] =
        streams.try_emplace({spec.role, spec.axes, spec.experts}, static_cast<int>(streams.size()));
    times->stream.push_back(at->second);
  }
  times->streams = static_cast<int>(streams.size());
  times->transfer.assign(Index(transfers.size()), 0);
}

// The phases of a group on links that nobody else uses, in whole picoseconds below.
std::int64_t IdleTime(const UnitGroup& group, const StepUnits& units) {
  std::int64_t ps = 0;
  for (const CostPhase& phase : group.cost.phases) {
    double slowest = 0;
    for (const LinkDemand& demand : phase.demands) {
      const BytesPerSecond capacity = units.links()[Index(demand.link)].capacity;
      slowest = std::max(slowest, demand.bytes.value() / capacity.value());
    }
    ps += phase.latency.ps();
    ps += std::max<std::int64_t>(0, static_cast<std::int64_t>(std::floor(slowest * 1e12)) - 1);
  }
  return ps;
}

// What a collective takes of the processors of its members, as StepBuilder says; less than all, so
// that sums of two do not matter.
double TakenBy(const CollectiveCost& cost, const StepRates& rates) {
  if (cost.algorithm == nullptr) return 0;
  const double units = std::floor(std::min(1e6, rates.taken_by_collectives * cost.units));
  const double whole = static_cast<double>(Processors::kWhole - Processors::kLeastRate);
  return std::clamp((units - 1) / 1e6, 0.0, whole / 1e6);
}

// The bounds of one step.
class Bounds {
 public:
  explicit Bounds(const Known& known)
      : known_(known),
        plan_(known.scenario.plan),
        shape_(plan_.pipeline_shape()),
        forward_only_(known.scenario.workload.forward_only()) {}

  TimeBound Bound() {
    TimeBound best{Time(0), "kernels", 0};
    const auto take = [&](std::int64_t ps, std::string_view binds, int stage) {
      if (ps > best.time.ps()) best = {Time(ps), binds, stage};
    };
    for (int stage = 0; stage < plan_.stages; ++stage) {
      const std::vector<Action> actions = plan_.order->Actions(stage, shape_);
      if (actions.empty()) continue;
      const std::int64_t fill = Fill(stage, actions.front());
      const std::int64_t kernels =
          fill + Kernels(stage, actions, actions.size()) + Update(stage, true);
      take(kernels, "kernels", stage);
      take(Slowed(stage, actions, kernels), "kernels", stage);
      take(fill + LastGradient(stage, actions), "last gradient", stage);
      take(Most(Streams(stage, actions)), "streams", stage);
    }
    return best;
  }

 private:
  struct PartTimes {
    ChainTimes from_kernel, from_input;
    std::int64_t busy = 0;   // kernels
    std::int64_t moved = 0;  // transfers
  };

  int PartOf(int stage, const Action& action) const {
    return plan_.order->PartOf({stage, action.chunk}, shape_);
  }

  const PartTimes& Of(int part, Kind kind) {
    const auto [at, added] = parts_.try_emplace({part, kind});
    if (added) at->second = Compute(part, kind);
    return at->second;
  }

  PartTimes Compute(int part, Kind kind) {
    std::vector<const LoweredBlock*> blocks;
    for (const LayerRef& layer : known_.model.layers[Index(part)]) {
      blocks.push_back(&known_.model.of(layer));
    }
    if (kind != Kind::kForward) std::reverse(blocks.begin(), blocks.end());
    const auto [there, added] = alike_.try_emplace({blocks, kind});
    if (!added) return there->second;
    PartTimes& times = there->second;
    times.from_kernel = LongestChain(blocks, kind, known_.times, ChainFrom::kFirstKernel);
    times.from_input = LongestChain(blocks, kind, known_.times, ChainFrom::kInput);
    for (const LoweredBlock* block : blocks) AddSteps(*block, kind, &times);
    return times;
  }

  void AddSteps(const LoweredBlock& block, Kind kind, PartTimes* times) const {
    const auto add = [&](const BlockPass& pass) {
      for (const BlockStep& step : pass.steps) {
        if (step.transfer < 0) {
          times->busy += KernelTime(step, known_.times.slowest_chip);
        } else {
          times->moved += known_.times.transfer[Index(step.transfer)];
        }
      }
    };
    if (kind == Kind::kForward) add(block.forward);
    if (kind == Kind::kBackward || kind == Kind::kBackwardInput) add(block.recompute);
    if (kind == Kind::kBackward) add(block.backward);
    if (kind == Kind::kBackwardInput) add(block.backward_input);
    if (kind == Kind::kBackwardWeight) add(block.backward_weight);
  }

  std::int64_t SendBetween(int part, int next, std::int64_t micro_batch) const {
    const int here = plan_.order->PlaceOf(part, micro_batch, shape_).stage;
    return here == plan_.order->PlaceOf(next, micro_batch, shape_).stage ? 0 : known_.send;
  }

  // Until the first kernel of a stage may start.
  std::int64_t Fill(int stage, const Action& first) {
    if (first.kind != Kind::kForward) return 0;
    std::int64_t fill = 0;
    for (int part = 0; part < PartOf(stage, first); ++part) {
      fill += Or0(Of(part, Kind::kForward).from_input.output);
      fill += SendBetween(part, part + 1, first.micro_batch);
    }
    return fill;
  }

  // The first `count` actions of a stage: pairs run kernel by kernel in turn.
  std::int64_t Kernels(int stage, const std::vector<Action>& actions, std::size_t count) {
    std::int64_t sum = 0;
    bool paired = false;
    for (std::size_t i = 0; i < count; ++i) {
      const PartTimes& of = Of(PartOf(stage, actions[i]), actions[i].kind);
      const bool alone = !paired && !actions[i].with_next;
      sum += alone ? std::max(Or0(of.from_kernel.last), of.busy) : of.busy;
      paired = actions[i].with_next;
    }
    return sum;
  }

  // Kernels on the paths whose lengths Kernels() adds up.
  std::int64_t KernelsOnPaths(int stage, const std::vector<Action>& actions) {
    std::int64_t sum = 0;
    bool paired = false;
    for (const Action& action : actions) {
      const PartTimes& of = Of(PartOf(stage, action), action.kind);
      const bool alone = !paired && !action.with_next;
      const bool waits = alone && of.from_kernel.last > of.busy;
      sum += waits ? std::max<std::int64_t>(0, of.from_kernel.last - of.moved) : of.busy;
      paired = action.with_next;
    }
    return sum;
  }

  // With what transfers of one stream take of the processor: see the header. kernels: the bound
  // without it.
  std::int64_t Slowed(int stage, const std::vector<Action>& actions, std::int64_t kernels) {
    const std::int64_t on_paths = KernelsOnPaths(stage, actions);
    double most = 0;
    for (const auto& [stream, load] : Streams(stage, actions)) {
      const auto at_once = static_cast<double>(load.ps + on_paths);
      most = std::max(most, (1 - load.taken) * static_cast<double>(kernels) + load.taken * at_once);
    }
    return static_cast<std::int64_t>(most * (1 - 1e-12));
  }

  std::int64_t LastGradient(int stage, const std::vector<Action>& actions) {
    if (forward_only_) return 0;
    std::size_t last = actions.size();
    while (last > 0 && actions[last - 1].kind != Kind::kBackward &&
           actions[last - 1].kind != Kind::kBackwardInput) {
      --last;
    }
    // In a pair kernels of both run in turn.
    if (last == 0 || actions[last - 1].with_next || (last > 1 && actions[last - 2].with_next)) {
      return 0;
    }
    const Action& action = actions[last - 1];
    const int part = PartOf(stage, action);
    if (part == 0) return 0;
    std::int64_t sum = Kernels(stage, actions, last - 1);
    sum += std::max<std::int64_t>(0, Or0(Of(part, action.kind).from_kernel.output));
    for (int q = part - 1; q >= 0; --q) {
      sum += SendBetween(q + 1, q, action.micro_batch);
      const ChainTimes& passes = Of(q, action.kind).from_input;
      sum += Or0(q > 0 ? passes.output : passes.last);
    }
    return sum + Update(plan_.order->PlaceOf(0, action.micro_batch, shape_).stage, false);
  }

  // After the last kernel of a stage's backwards: the reduction that the update waits for, the
  // update, and what gathers its result. all: the stage has run everything.
  std::int64_t Update(int stage, bool all) {
    if (forward_only_) return 0;
    std::int64_t sum = all ? LateReductions(stage) : 0;
    UpdatedElements elements;
    double cast = 0;
    bool from_host = false;
    Loads regathers;
    bool any = false;
    for (int c = 0; c < plan_.order->Chunks(stage, shape_); ++c) {
      for (const LayerRef& layer :
           known_.model.layers[Index(plan_.order->PartOf({stage, c}, shape_))]) {
        const LoweredBlock& block = known_.model.of(layer);
        elements += UpdatedElements(block);
        from_host |= block.host_optimizer.to >= 0 || block.host_parameters.to >= 0;
        cast += CastAndZeroedBytes(block, plan_);
        any = true;
        for (const int t : block.regathers) AddTransfer(t, 1, &regathers);
      }
    }
    if (!any || from_host) return sum;
    sum += UpdateTime(known_.compute, plan_, elements, cast).ps();
    return plan_.overlap_parameters ? sum : sum + Most(regathers);
  }

  // Gradients that leave after all backwards, one after another on each stream.
  std::int64_t LateReductions(int stage) {
    if (plan_.overlap_gradients) return 0;
    Loads streams;
    for (int c = 0; c < plan_.order->Chunks(stage, shape_); ++c) {
      const int part = plan_.order->PartOf({stage, c}, shape_);
      for (const GradientBucket& bucket : known_.model.buckets[Index(part)]) {
        for (const int t : bucket.transfers) AddTransfer(t, 1, &streams);
      }
    }
    return Most(streams);
  }

  // Transfers of one stream: how long, and what of a processor all of them take.
  struct Load {
    std::int64_t ps = 0;
    double taken = 1;
  };
  using Loads = std::map<int, Load>;  // by stream

  void AddTransfer(int t, std::int64_t times, Loads* streams) const {
    const std::int64_t least = known_.times.transfer[Index(t)];
    if (least == 0) return;
    Load& load = (*streams)[known_.times.stream[Index(t)]];
    load.ps += times * least;
    load.taken = std::min(load.taken, known_.taken.empty() ? 0 : known_.taken[Index(t)]);
  }
  static std::int64_t Most(const Loads& streams) {
    std::int64_t most = 0;
    for (const auto& [stream, load] : streams) most = std::max(most, load.ps);
    return most;
  }

  void AddPass(const BlockPass& pass, std::int64_t times, Loads* streams) const {
    for (const BlockStep& step : pass.steps) {
      if (step.transfer >= 0) AddTransfer(step.transfer, times, streams);
    }
  }

  // All transfers of the stage, by stream; those that may stay from one run to the next once.
  Loads Streams(int stage, const std::vector<Action>& actions) {
    std::map<std::pair<int, Kind>, std::int64_t> runs;  // by chunk
    for (const Action& action : actions) ++runs[{action.chunk, action.kind}];
    Loads streams;
    for (const auto& [run, times] : runs) {
      const Kind kind = run.second;
      const int part = plan_.order->PartOf({stage, run.first}, shape_);
      for (const LayerRef& layer : known_.model.layers[Index(part)]) {
        const LoweredBlock& block = known_.model.of(layer);
        if (kind == Kind::kForward) AddPass(block.forward, times, &streams);
        if (kind == Kind::kBackward || kind == Kind::kBackwardInput) {
          AddPass(block.recompute, times, &streams);
        }
        if (kind == Kind::kBackward) AddPass(block.backward, times, &streams);
        if (kind == Kind::kBackwardInput) AddPass(block.backward_input, times, &streams);
        if (kind == Kind::kBackwardWeight) AddPass(block.backward_weight, times, &streams);
        const bool gathers =
            kind == Kind::kForward || (kind != Kind::kBackwardWeight && layer != known_.model.last);
        if (gathers && !plan_.accumulate_unsharded) {
          for (const int t : block.gathers) AddTransfer(t, times, &streams);
        }
        if (!EndsBackward(kind)) continue;
        for (const int t : block.reduces) AddTransfer(t, times, &streams);
      }
    }
    if (!forward_only_) AddLast(stage, &streams);
    return streams;
  }

  // Gradients that leave after the last micro-batch and parameters that come from the optimizer's
  // shards, once in a step.
  void AddLast(int stage, Loads* streams) {
    for (int c = 0; c < plan_.order->Chunks(stage, shape_); ++c) {
      const std::size_t part = Index(plan_.order->PartOf({stage, c}, shape_));
      for (const GradientBucket& bucket : known_.model.buckets[part]) {
        for (const int t : bucket.transfers) AddTransfer(t, 1, streams);
      }
      for (const LayerRef& layer : known_.model.layers[part]) {
        for (const int t : known_.model.of(layer).regathers) AddTransfer(t, 1, streams);
      }
    }
  }

  const Known& known_;
  const Plan& plan_;
  const Pipeline shape_;
  const bool forward_only_;
  std::map<std::pair<int, Kind>, PartTimes> parts_;
  std::map<std::pair<std::vector<const LoweredBlock*>, Kind>, PartTimes> alike_;
};

MemoryBound FullestStage(const Scenario& scenario, const LoweredModel& model) {
  const std::vector<std::int64_t> peaks = LeastPeaks(scenario, model);
  const auto most = std::max_element(peaks.begin(), peaks.end());
  return {*most, static_cast<int>(most - peaks.begin())};
}

}  // namespace

StatusOr<PlanBounds> QuickBounds(const Scenario& scenario, Fidelity fidelity) {
  const StepRates rates = RatesOf(scenario, fidelity);
  TransferTable transfers;
  const BlockContext context{&scenario.model, &scenario.plan, &scenario.workload, &rates.compute,
                             &transfers};
  ASSIGN_OR_RETURN(const LoweredModel model, LowerModel(context));
  Known known{scenario, model, rates.compute, transfers, {.slowest_chip = rates.slowest_chip}};
  NumberStreams(transfers, &known.times);
  return PlanBounds{Bounds(known).Bound(), FullestStage(scenario, model)};
}

StatusOr<PlanBounds> BoundsOf(const PreparedStep& step) {
  const Scenario& scenario = step.scenario();
  const TransferTable& transfers = step.transfers();
  const StepUnits& units = step.units();
  const StepRates& rates = step.rates();
  Known known{
      scenario, step.model(), rates.compute, transfers, {.slowest_chip = rates.slowest_chip}};
  NumberStreams(transfers, &known.times);
  known.taken.assign(Index(transfers.size()), 0);
  for (int t = 0; t < transfers.size(); ++t) {
    const Role role = transfers[t].role;
    if (role == Role::kPipeline) continue;
    std::int64_t& least = known.times.transfer[Index(t)];
    if (role == Role::kToHost || role == Role::kFromHost) {
      least = Time::RoundUp(transfers[t].bytes / rates.host_link).ps();
      continue;
    }
    least = std::numeric_limits<std::int64_t>::max();
    double taken = 1;
    for (int stage = 0; stage < scenario.plan.stages; ++stage) {
      ASSIGN_OR_RETURN(const std::vector<UnitGroup> groups, units.Groups(t, stage));
      for (const UnitGroup& group : groups) {
        least = std::min(least, IdleTime(group, units));
        taken = std::min(taken, TakenBy(group.cost, rates));
      }
    }
    known.taken[Index(t)] = taken;
    if (least == std::numeric_limits<std::int64_t>::max()) least = 0;
  }
  return PlanBounds{Bounds(known).Bound(), FullestStage(scenario, step.model())};
}

}  // namespace meshstep
