// An algorithm that gathers along a single dim by one pattern (sim/cost/dim_gather.h).

#ifndef MESHSTEP_SIM_COST_ONE_DIM_GATHER_H_
#define MESHSTEP_SIM_COST_ONE_DIM_GATHER_H_

#include <vector>

#include "sim/cost/dim_gather.h"
#include "sim/cost/gather_algorithm.h"

namespace meshstep {

class OneDimGather : public GatherAlgorithm {
 protected:
  explicit OneDimGather(GatherPattern pattern) : pattern_(pattern) {}

  virtual bool SupportsDim(const Group::Dim& dim) const = 0;

  bool SupportsGather(const Group& group) const final {
    return group.dims.size() == 1 && SupportsDim(group.dims.front());
  }
  std::vector<TrafficPhase> GatherTraffic(Bytes bytes, const Group& group) const final {
    TrafficPhase phase{GatherLatency(group.dims.front(), pattern_), {}};
    AppendGatherFlows(RankGrid(group), 0, pattern_, bytes, &phase.flows);
    return {phase};
  }
  MessageSchedule GatherMessages(const Group& group) const final {
    MessageSchedule schedule{splits(), {}, {}};
    AppendGatherMessages(RankGrid(group), Gather(0), &schedule);
    return schedule;
  }
  int GatherStepsApart(const Group& group) const final {
    return GatherSteps(group.dims.front(), pattern_);
  }
  MessageSchedule GatherStep(const Group& group, int step) const final {
    MessageSchedule schedule{splits(), {}, {}};
    AppendGatherStep(RankGrid(group), Gather(0), step, &schedule);
    return schedule;
  }
  Seconds GatherClosedForm(Bytes bytes, const Group& group) const final {
    const Group::Dim& dim = group.dims.front();
    return GatherLatency(dim, pattern_) + GatherDrain(dim, pattern_, bytes);
  }

 private:
  int splits() const { return pattern_ == GatherPattern::kBidirectional ? 2 : 1; }
  DimGather Gather(int first_step) const { return {0, pattern_, {false}, 0, splits(), first_step}; }

  const GatherPattern pattern_;
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_ONE_DIM_GATHER_H_
