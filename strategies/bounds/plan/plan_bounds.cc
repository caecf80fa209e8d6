#include "strategies/bounds/plan/plan_bounds.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "sim/base/check.h"
#include "sim/base/index.h"
#include "sim/engine/processors.h"
#include "strategies/block/block_context.h"
#include "strategies/bounds/plan/action_counts.h"
#include "strategies/bounds/plan/least_memory.h"
#include "strategies/bounds/plan/transfer_prices.h"
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
  bool updates = true;             // the update counts
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

// What a collective of some channels takes of the processors of its members, as StepBuilder says;
// less than all, so that sums of two do not matter.
double TakenBy(double channels, const StepRates& rates) {
  const double units = std::floor(std::min(1e6, rates.taken_by_collectives * channels));
  const double whole = static_cast<double>(Processors::kWhole - Processors::kLeastRate);
  return std::clamp((units - 1) / 1e6, 0.0, whole / 1e6);
}

// The bounds of one step.
class Bounds {
 public:
  Bounds(const Known& known, const std::vector<StageRuns>& runs)
      : known_(known),
        plan_(known.scenario.plan),
        shape_(plan_.pipeline_shape()),
        forward_only_(known.scenario.workload.forward_only()),
        runs_(runs),
        parts_(4 * plan_.parts.size()),
        updates_(Index(plan_.stages), -1) {}

  TimeBound Bound() {
    TimeBound best{Time(0), "kernels", 0};
    const auto take = [&](std::int64_t ps, std::string_view binds, int stage) {
      if (ps > best.time.ps()) best = {Time(ps), binds, stage};
    };
    for (int stage = 0; stage < plan_.stages; ++stage) {
      const StageRuns& runs = runs_[Index(stage)];
      if (!runs.first) continue;
      const std::int64_t fill = Fill(stage, *runs.first);
      const std::int64_t kernels =
          fill + Kernels(stage, runs.all) + LateReductions(stage) + Update(stage);
      const Loads streams = Streams(stage, runs.all);
      take(kernels, "kernels", stage);
      take(Slowed(stage, runs.all, streams, kernels), "kernels", stage);
      if (runs.last) take(fill + LastGradient(stage, runs), "last gradient", stage);
      take(Most(streams), "streams", stage);
    }
    return best;
  }

 private:
  struct PartTimes {
    ChainTimes from_kernel, from_input;
    std::int64_t busy = 0;   // kernels
    std::int64_t moved = 0;  // transfers
  };
  // Transfers of one stream: how long, and what of a processor all of them take.
  struct Load {
    std::int64_t ps = 0;
    double taken = 1;
  };
  using Loads = std::vector<Load>;  // by stream; those of no time take nothing

  int PartOf(int stage, int chunk) const { return plan_.order->PartOf({stage, chunk}, shape_); }

  const PartTimes& Of(int part, Kind kind) {
    std::optional<PartTimes>& there = parts_[4 * Index(part) + static_cast<std::size_t>(kind)];
    if (!there) there = Compute(part, kind);
    return *there;
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
    for (std::size_t i = 0, next = 0; i < blocks.size(); i = next) {
      while (next < blocks.size() && blocks[next] == blocks[i]) ++next;
      AddSteps(*blocks[i], kind, static_cast<std::int64_t>(next - i), &times);
    }
    return times;
  }

  // Calls visit with each pass that an action runs of a block.
  template <class Visit>
  static void ForPasses(const LoweredBlock& block, Kind kind, Visit visit) {
    if (kind == Kind::kForward) visit(block.forward);
    if (kind == Kind::kBackward || kind == Kind::kBackwardInput) visit(block.recompute);
    if (kind == Kind::kBackward) visit(block.backward);
    if (kind == Kind::kBackwardInput) visit(block.backward_input);
    if (kind == Kind::kBackwardWeight) visit(block.backward_weight);
  }

  // Of so many blocks that are alike.
  void AddSteps(const LoweredBlock& block, Kind kind, std::int64_t count, PartTimes* times) const {
    ForPasses(block, kind, [&](const BlockPass& pass) {
      for (const BlockStep& step : pass.steps) {
        if (step.transfer < 0) {
          times->busy += count * KernelTime(step, known_.times.slowest_chip);
        } else {
          times->moved += count * known_.times.transfer[Index(step.transfer)];
        }
      }
    });
  }

  // Until the first kernel of a stage may start.
  std::int64_t Fill(int stage, const Action& first) {
    if (first.kind != Kind::kForward) return 0;
    std::int64_t fill = 0;
    for (int part = 0; part < PartOf(stage, first.chunk); ++part) {
      fill += Or0(Of(part, Kind::kForward).from_input.output);
    }
    return fill;
  }

  // Calls visit(part, kind, runs) for what a stage runs.
  template <class Visit>
  void ForRuns(int stage, const std::vector<ChunkRuns>& chunks, Visit visit) {
    for (std::size_t c = 0; c < chunks.size(); ++c) {
      const int part = PartOf(stage, static_cast<int>(c));
      for (std::size_t k = 0; k < chunks[c].size(); ++k) {
        const Runs& runs = chunks[c][k];
        if (runs.alone + runs.paired > 0) visit(part, static_cast<Kind>(k), runs);
      }
    }
  }

  // Pairs run kernel by kernel in turn.
  std::int64_t Kernels(int stage, const std::vector<ChunkRuns>& chunks) {
    std::int64_t sum = 0;
    ForRuns(stage, chunks, [&](int part, Kind kind, const Runs& runs) {
      const PartTimes& of = Of(part, kind);
      sum += runs.alone * std::max(Or0(of.from_kernel.last), of.busy) + runs.paired * of.busy;
    });
    return sum;
  }

  // Kernels on the paths whose lengths Kernels() adds up.
  std::int64_t KernelsOnPaths(int stage, const std::vector<ChunkRuns>& chunks) {
    std::int64_t sum = 0;
    ForRuns(stage, chunks, [&](int part, Kind kind, const Runs& runs) {
      const PartTimes& of = Of(part, kind);
      const std::int64_t path = std::max<std::int64_t>(0, of.from_kernel.last - of.moved);
      sum += runs.alone * (of.from_kernel.last > of.busy ? path : of.busy) + runs.paired * of.busy;
    });
    return sum;
  }

  // With what transfers of one stream take of the processor: see the header. kernels: the bound
  // without it.
  std::int64_t Slowed(int stage, const std::vector<ChunkRuns>& chunks, const Loads& streams,
                      std::int64_t kernels) {
    const std::int64_t on_paths = KernelsOnPaths(stage, chunks);
    double most = 0;
    for (const Load& load : streams) {
      if (load.ps == 0) continue;
      const auto at_once = static_cast<double>(load.ps + on_paths);
      most = std::max(most, (1 - load.taken) * static_cast<double>(kernels) + load.taken * at_once);
    }
    return static_cast<std::int64_t>(most * (1 - 1e-12));
  }

  std::int64_t LastGradient(int stage, const StageRuns& runs) {
    const Action& action = *runs.last;
    const int part = PartOf(stage, action.chunk);
    if (forward_only_ || part == 0) return 0;
    std::int64_t sum = Kernels(stage, runs.to_last);
    sum += Or0(std::max<std::int64_t>(0, Of(part, action.kind).from_kernel.output));
    for (int q = part - 1; q >= 0; --q) {
      const ChainTimes& passes = Of(q, action.kind).from_input;
      sum += Or0(q > 0 ? passes.output : passes.last);
    }
    return sum + Update(plan_.order->PlaceOf(0, action.micro_batch, shape_).stage);
  }

  // After the last kernel of a stage's backwards: the update, and what gathers its result.
  std::int64_t Update(int stage) {
    if (forward_only_ || !known_.updates) return 0;
    std::int64_t& known = updates_[Index(stage)];
    if (known >= 0) return known;
    UpdatedElements elements;
    double cast = 0;
    bool from_host = false, any = false;
    Loads regathers = NoLoads();
    for (int c = 0; c < plan_.order->Chunks(stage, shape_); ++c) {
      for (const LayerRef& layer : known_.model.layers[Index(PartOf(stage, c))]) {
        const LoweredBlock& block = known_.model.of(layer);
        elements += UpdatedElements(block);
        from_host |= block.host_optimizer.to >= 0 || block.host_parameters.to >= 0;
        cast += CastAndZeroedBytes(block, plan_);
        any = true;
        for (const int t : block.regathers) AddTransfer(t, 1, &regathers);
      }
    }
    known = 0;
    if (!any || from_host) return known;
    known = UpdateTime(known_.compute, plan_, elements, cast).ps();
    if (!plan_.overlap_parameters) known += Most(regathers);
    return known;
  }

  // Gradients that leave after all backwards, one after another on each stream: the update waits.
  std::int64_t LateReductions(int stage) {
    if (plan_.overlap_gradients || forward_only_) return 0;
    Loads streams = NoLoads();
    for (int c = 0; c < plan_.order->Chunks(stage, shape_); ++c) {
      for (const GradientBucket& bucket : known_.model.buckets[Index(PartOf(stage, c))]) {
        for (const int t : bucket.transfers) AddTransfer(t, 1, &streams);
      }
    }
    return Most(streams);
  }

  Loads NoLoads() const { return Loads(Index(known_.times.streams)); }

  void AddTransfer(int t, std::int64_t times, Loads* streams) const {
    const std::int64_t least = known_.times.transfer[Index(t)];
    if (least == 0) return;
    Load& load = (*streams)[Index(known_.times.stream[Index(t)])];
    load.ps += times * least;
    load.taken = std::min(load.taken, known_.taken.empty() ? 0 : known_.taken[Index(t)]);
  }
  static std::int64_t Most(const Loads& streams) {
    std::int64_t most = 0;
    for (const Load& load : streams) most = std::max(most, load.ps);
    return most;
  }

  // All transfers of the stage, by stream; those that may stay from one run to the next once.
  Loads Streams(int stage, const std::vector<ChunkRuns>& chunks) {
    Loads streams = NoLoads();
    ForRuns(stage, chunks, [&](int part, Kind kind, const Runs& runs) {
      const std::vector<LayerRef>& layers = known_.model.layers[Index(part)];
      for (std::size_t i = 0, next = 0; i < layers.size(); i = next) {
        const LoweredBlock* const block = &known_.model.of(layers[i]);
        const bool is_last = layers[i] == known_.model.last;
        next = i + 1;
        while (!is_last && next < layers.size() && &known_.model.of(layers[next]) == block &&
               layers[next] != known_.model.last) {
          ++next;
        }
        const std::int64_t times = (runs.alone + runs.paired) * static_cast<std::int64_t>(next - i);
        AddBlock(*block, kind, is_last, times, &streams);
      }
    });
    if (!forward_only_) AddLast(stage, &streams);
    return streams;
  }

  void AddBlock(const LoweredBlock& block, Kind kind, bool is_last, std::int64_t times,
                Loads* streams) const {
    ForPasses(block, kind, [&](const BlockPass& pass) {
      for (const BlockStep& step : pass.steps) {
        if (step.transfer >= 0) AddTransfer(step.transfer, times, streams);
      }
    });
    const bool gathers = kind == Kind::kForward || (kind != Kind::kBackwardWeight && !is_last);
    if (gathers && !plan_.accumulate_unsharded) {
      for (const int t : block.gathers) AddTransfer(t, times, streams);
    }
    if (!EndsBackward(kind)) return;
    for (const int t : block.reduces) AddTransfer(t, times, streams);
  }

  // Gradients that leave after the last micro-batch and parameters that come from the optimizer's
  // shards, once in a step.
  void AddLast(int stage, Loads* streams) {
    for (int c = 0; c < plan_.order->Chunks(stage, shape_); ++c) {
      const std::size_t part = Index(PartOf(stage, c));
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
  const std::vector<StageRuns>& runs_;
  std::vector<std::optional<PartTimes>> parts_;  // by part and kind
  std::vector<std::int64_t> updates_;            // by stage; -1: not known yet
  std::map<std::pair<std::vector<const LoweredBlock*>, Kind>, PartTimes> alike_;
};

MemoryBound FullestStage(const Scenario& scenario, const LoweredModel& model) {
  const std::vector<std::int64_t> peaks = LeastPeaks(scenario, model);
  const auto most = std::max_element(peaks.begin(), peaks.end());
  return {*most, static_cast<int>(most - peaks.begin())};
}

}  // namespace

struct BoundCache::Kept {
  ActionCounts actions;
  TransferPrices prices;
};

BoundCache::BoundCache() : kept_(std::make_unique<Kept>()) {}
BoundCache::~BoundCache() = default;

StatusOr<PlanBounds> QuickBounds(const Scenario& scenario, Fidelity fidelity) {
  const StepRates rates = RatesOf(scenario, fidelity);
  TransferTable transfers;
  const BlockContext context{&scenario.model, &scenario.plan, &scenario.workload, &rates.compute,
                             &transfers};
  ASSIGN_OR_RETURN(const LoweredModel model, LowerModel(context));
  Known known{scenario, model, rates.compute, transfers, {.slowest_chip = rates.slowest_chip}};
  NumberStreams(transfers, &known.times);
  const Plan& plan = scenario.plan;
  const std::vector<StageRuns> runs = CountActions(*plan.order, plan.pipeline_shape());
  return PlanBounds{Bounds(known, runs).Bound(), FullestStage(scenario, model)};
}

// What transfers take of a step, and how often parts run.
class BoundInputs {
 public:
  BoundInputs(const PreparedStep& step, const BoundOptions& options)
      : step_(step),
        options_(options),
        kept_(*(options.cache != nullptr ? options.cache : &own_)->kept_) {}

  Status PriceTransfers(Known* known) {
    const TransferTable& transfers = step_.transfers();
    NumberStreams(transfers, &known->times);
    known->taken.assign(Index(transfers.size()), 0);
    for (int t = 0; t < transfers.size(); ++t) {
      const Role role = transfers[t].role;
      if (role == Role::kPipeline || (options_.activations_only && role != Role::kActivations))
        continue;
      std::int64_t& least = known->times.transfer[Index(t)];
      if (role == Role::kToHost || role == Role::kFromHost) {
        least = Time::RoundUp(transfers[t].bytes / step_.rates().host_link).ps();
        continue;
      }
      ASSIGN_OR_RETURN(const TransferPrice price,
                       kept_.prices.Of(t, step_, options_.tensor_first, &units_));
      least = price.ps;
      known->taken[Index(t)] = TakenBy(price.channels, step_.rates());
    }
    return absl::OkStatus();
  }

  std::shared_ptr<const std::vector<StageRuns>> Actions() {
    const Plan& plan = step_.scenario().plan;
    return kept_.actions.Of(*plan.order, plan.pipeline_shape());
  }

 private:
  const PreparedStep& step_;
  const BoundOptions& options_;
  BoundCache own_;
  std::optional<StepUnits> units_;  // once a price is new
  BoundCache::Kept& kept_;
};

StatusOr<PlanBounds> BoundsOf(const PreparedStep& step, const BoundOptions& options) {
  const StepRates& rates = step.rates();
  Known known{step.scenario(),
              step.model(),
              rates.compute,
              step.transfers(),
              {.slowest_chip = rates.slowest_chip}};
  known.updates = !options.activations_only;
  BoundInputs inputs(step, options);
  RETURN_IF_ERROR(inputs.PriceTransfers(&known));
  PlanBounds bounds{Bounds(known, *inputs.Actions()).Bound(), {}};
  const bool memory = !options.activations_only && bounds.time.time <= options.most;
  if (memory) bounds.memory = FullestStage(step.scenario(), step.model());
  return bounds;
}

}  // namespace meshstep
