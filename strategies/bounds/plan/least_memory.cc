#include "strategies/bounds/plan/least_memory.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "sim/base/checked.h"
#include "sim/base/index.h"

namespace meshstep {
namespace {

using Kind = Action::Kind;

std::int64_t Whole(double bytes) {
  constexpr std::int64_t kMost = std::int64_t{1} << 59;
  return std::clamp(SaturatingRound(bytes), -kMost, kMost);
}

// What the running block has beside what is kept.
std::int64_t WorkingBytes(const LoweredBlock& block, const Plan& plan, Kind kind) {
  std::int64_t bytes = Whole(block.workspace_bytes - block.workspace_logits_bytes) +
                       Whole(block.workspace_logits_bytes);
  if (kind == Kind::kBackwardWeight) return bytes;
  if (!block.gathers.empty() && !plan.accumulate_unsharded) bytes += Whole(block.gathered_bytes);
  if (block.host_parameters.from >= 0) bytes += Whole(block.host_parameters.bytes);
  if (kind != Kind::kForward) bytes += Whole(block.recomputed_bytes);
  return bytes;
}

// What a forward leaves on the device at least; what of it is on its way to the host is gone.
std::int64_t KeptBytes(const LoweredBlock& block) {
  return Whole(block.kept_bytes - block.kept_logits_bytes) + Whole(block.kept_logits_bytes) -
         (block.host_activations.to >= 0 ? Whole(block.host_activations.bytes) : 0);
}

// What a backward gives back.
std::int64_t FreedBytes(const LoweredBlock& block, Kind kind) {
  if (kind == Kind::kBackwardWeight) return Whole(block.weight_half_bytes);
  const bool half = kind == Kind::kBackwardInput;
  // As one sum there, with what was made again; rounding may differ by one.
  return KeptBytes(block) - (half ? Whole(block.weight_half_bytes) : 0) + 2;
}

// Whether a kernel runs, which all that the run takes is there for.
bool HasKernels(const LoweredBlock& block, Kind kind) {
  const auto in = [](const BlockPass& pass) {
    return std::any_of(pass.steps.begin(), pass.steps.end(),
                       [](const BlockStep& step) { return step.transfer < 0; });
  };
  switch (kind) {
    case Kind::kForward:
      return in(block.forward);
    case Kind::kBackward:
      return in(block.recompute) || in(block.backward);
    case Kind::kBackwardInput:
      return in(block.recompute) || in(block.backward_input);
    case Kind::kBackwardWeight:
      return in(block.backward_weight);
  }
  return false;
}

// One action on one part: the most above what was there before it, and what is there after it.
struct PartMemory {
  std::int64_t most = 0, after = 0;
};

PartMemory MemoryOf(const std::vector<LayerRef>& layers, const LoweredModel& model,
                    const Plan& plan, Kind kind) {
  PartMemory memory;
  const auto run = [&](const LayerRef& layer) {
    const LoweredBlock& block = model.of(layer);
    if (kind == Kind::kForward) memory.after += KeptBytes(block);
    if (HasKernels(block, kind)) {
      memory.most = std::max(memory.most, memory.after + WorkingBytes(block, plan, kind));
    }
    if (kind != Kind::kForward) memory.after -= FreedBytes(block, kind);
  };
  if (kind == Kind::kForward) {
    for (const LayerRef& layer : layers) run(layer);
  } else {
    for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) run(*layer);
  }
  return memory;
}

std::int64_t PeakOf(int stage, const Scenario& scenario, const LoweredModel& model) {
  const Plan& plan = scenario.plan;
  const Pipeline shape = plan.pipeline_shape();
  const int chunks = plan.order->Chunks(stage, shape);
  std::vector<std::array<PartMemory, 4>> of_chunk(Index(chunks));
  for (int c = 0; c < chunks; ++c) {
    const std::vector<LayerRef>& layers =
        model.layers[Index(plan.order->PartOf({stage, c}, shape))];
    for (const Kind kind :
         {Kind::kForward, Kind::kBackward, Kind::kBackwardInput, Kind::kBackwardWeight}) {
      of_chunk[Index(c)][static_cast<std::size_t>(kind)] = MemoryOf(layers, model, plan, kind);
    }
  }
  std::int64_t live = 0, peak = 0;
  bool paired = false;  // with the action before
  for (const Action& action : plan.order->Actions(stage, shape)) {
    const PartMemory& of = of_chunk[Index(action.chunk)][static_cast<std::size_t>(action.kind)];
    // Two at once: which of them has taken or given back what is not known.
    if (!paired && !action.with_next) peak = std::max(peak, live + of.most);
    live += of.after;
    paired = action.with_next;
  }
  return peak;
}

}  // namespace

std::vector<std::int64_t> ResidentBytes(const Scenario& scenario, const LoweredModel& model) {
  const Plan& plan = scenario.plan;
  const Pipeline shape = plan.pipeline_shape();
  std::vector<std::int64_t> resident;
  for (int stage = 0; stage < plan.stages; ++stage) {
    double parameters = 0, gradients = 0, optimizer = 0, cache = 0;
    for (int c = 0; c < plan.order->Chunks(stage, shape); ++c) {
      for (const LayerRef& layer : model.layers[Index(plan.order->PartOf({stage, c}, shape))]) {
        const LoweredBlock& block = model.of(layer);
        parameters += std::max(0.0, block.parameter_bytes - block.host_parameters.bytes);
        gradients += block.gradients * SizeOf(plan.precision.gradients).value();
        optimizer += block.optimizer_bytes - block.host_optimizer.bytes;
        cache += block.kv_cache_bytes;
      }
    }
    resident.push_back(Whole(plan.kernels.library_workspace_bytes) + Whole(parameters) +
                       Whole(gradients) + Whole(optimizer) + Whole(cache));
  }
  return resident;
}

std::vector<std::int64_t> LeastPeaks(const Scenario& scenario, const LoweredModel& model) {
  std::vector<std::int64_t> peaks = ResidentBytes(scenario, model);
  for (std::size_t s = 0; s < peaks.size(); ++s) {
    peaks[s] += PeakOf(static_cast<int>(s), scenario, model);
  }
  return peaks;
}

}  // namespace meshstep
