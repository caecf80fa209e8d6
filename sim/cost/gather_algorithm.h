// Base of the algorithms that are defined by their all-gather. A reduce-scatter is the all-gather
// run backwards (messages reversed in time and direction, receivers add); an all-reduce is a
// reduce-scatter and then an all-gather.
// Source: E. Chan et al., "Collective communication: theory, practice, and experience", CCPE
// 19(13), 2007, sections 2 and 5 (duality).

#ifndef MESHSTEP_SIM_COST_GATHER_ALGORITHM_H_
#define MESHSTEP_SIM_COST_GATHER_ALGORITHM_H_

#include <vector>

#include "sim/cost/collective.h"

namespace meshstep {

class GatherAlgorithm : public CollectiveAlgorithm {
 public:
  bool Supports(Collective collective, const Group& group) const override;
  std::vector<TrafficPhase> Traffic(Collective collective, Bytes bytes,
                                    const Group& group) const override;
  MessageSchedule Messages(Collective collective, const Group& group) const override;
  Seconds ClosedForm(Collective collective, Bytes bytes, const Group& group) const override;

 protected:
  virtual bool SupportsGather(const Group& group) const = 0;
  virtual std::vector<TrafficPhase> GatherTraffic(Bytes bytes, const Group& group) const = 0;
  virtual MessageSchedule GatherMessages(const Group& group) const = 0;
  virtual Seconds GatherClosedForm(Bytes bytes, const Group& group) const = 0;
};

// Phases in reverse order, flows in reverse direction.
std::vector<TrafficPhase> Transpose(std::vector<TrafficPhase> phases, const Group& group);

// Messages in reverse order and direction; receivers add.
MessageSchedule Transpose(MessageSchedule schedule);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_GATHER_ALGORITHM_H_
