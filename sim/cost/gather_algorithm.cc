#include "sim/cost/gather_algorithm.h"

#include <algorithm>
#include <utility>

#include "sim/base/check.h"
#include "sim/cost/rank_grid.h"

namespace meshstep {
namespace {

bool IsGatherLike(Collective collective) {
  return collective == Collective::kAllGather || collective == Collective::kReduceScatter ||
         collective == Collective::kAllReduce;
}

Combine Opposite(Combine combine) {
  if (combine == Combine::kReduce) return Combine::kMulticast;
  return combine == Combine::kMulticast ? Combine::kReduce : Combine::kNone;
}

}  // namespace

MessageSchedule Transpose(MessageSchedule schedule) {
  int last = 0;
  for (const Message& m : schedule.messages) last = std::max(last, m.step);
  for (Message& m : schedule.messages) {
    m.step = last - m.step;
    std::swap(m.src, m.dst);
    m.reduce = true;
    m.combine = Opposite(m.combine);
  }
  std::stable_sort(schedule.messages.begin(), schedule.messages.end(),
                   [](const Message& a, const Message& b) { return a.step < b.step; });
  return schedule;
}

std::vector<TrafficPhase> Transpose(std::vector<TrafficPhase> phases, const Group& group) {
  const RankGrid grid(group);
  std::reverse(phases.begin(), phases.end());
  for (TrafficPhase& phase : phases) {
    for (RankFlow& flow : phase.flows) {
      flow.combine = Opposite(flow.combine);
      std::swap(flow.src, flow.dst);
      if (!phase.shifted) continue;
      // The flow that rank 0 sends is the one that reaches it, shifted back by its source.
      int dst = 0;
      for (int d = 0; d < grid.dims(); ++d) {
        dst = grid.WithDigit(dst, d, (grid.size(d) - grid.Digit(flow.src, d)) % grid.size(d));
      }
      flow = {0, dst, flow.bytes, flow.combine};
    }
  }
  return phases;
}

bool GatherAlgorithm::Supports(Collective collective, const Group& group) const {
  return IsGatherLike(collective) && group.size() > 1 && SupportsGather(group);
}

std::vector<TrafficPhase> GatherAlgorithm::Traffic(Collective collective, Bytes bytes,
                                                   const Group& group) const {
  CHECK(IsGatherLike(collective));
  std::vector<TrafficPhase> gather = GatherTraffic(bytes, group);
  if (collective == Collective::kAllGather) return gather;
  std::vector<TrafficPhase> phases = meshstep::Transpose(gather, group);
  if (collective == Collective::kAllReduce) {
    for (TrafficPhase& phase : gather) phases.push_back(std::move(phase));
  }
  return phases;
}

MessageSchedule GatherAlgorithm::Messages(Collective collective, const Group& group) const {
  CHECK(IsGatherLike(collective));
  MessageSchedule gather = GatherMessages(group);
  std::stable_sort(gather.messages.begin(), gather.messages.end(),
                   [](const Message& a, const Message& b) { return a.step < b.step; });
  if (collective == Collective::kAllGather) return gather;
  MessageSchedule schedule = meshstep::Transpose(gather);
  if (collective == Collective::kAllReduce) {
    const int steps = schedule.messages.empty() ? 0 : schedule.messages.back().step + 1;
    for (Message& m : gather.messages) {
      m.step += steps;
      schedule.messages.push_back(std::move(m));
    }
  }
  return schedule;
}

void GatherAlgorithm::VisitSteps(Collective collective, const Group& group,
                                 const StepVisitor& visit) const {
  const int steps = GatherStepsApart(group);
  if (collective != Collective::kAllGather) {
    for (int s = steps; s-- > 0;) visit(meshstep::Transpose(GatherStep(group, s)));
  }
  if (collective == Collective::kReduceScatter) return;
  for (int s = 0; s < steps; ++s) visit(GatherStep(group, s));
}

std::int64_t GatherAlgorithm::MessagesMadeByStep(Collective collective, const Group& group) const {
  const std::int64_t steps = GatherStepsApart(group);
  if (steps == 0) return 0;
  const auto each = static_cast<std::int64_t>(GatherStep(group, 0).messages.size());
  return (collective == Collective::kAllReduce ? 2 : 1) * steps * each;
}

Seconds GatherAlgorithm::ClosedForm(Collective collective, Bytes bytes, const Group& group) const {
  return (collective == Collective::kAllReduce ? 2.0 : 1.0) * GatherClosedForm(bytes, group);
}

}  // namespace meshstep
