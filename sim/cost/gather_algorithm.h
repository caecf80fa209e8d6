// Base of the algorithms that are defined by their all-gather. A reduce-scatter is the all-gather
// run backwards (messages reversed in time and direction, receivers add); an all-reduce is a
// reduce-scatter and then an all-gather.
// Source: E. Chan et al., "Collective communication: theory, practice, and experience", CCPE
// 19(13), 2007, sections 2 and 5 (duality).

#ifndef MESHSTEP_SIM_COST_GATHER_ALGORITHM_H_
#define MESHSTEP_SIM_COST_GATHER_ALGORITHM_H_

#include <cstdint>
#include <functional>
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

  // Calls visit with the messages of one step after another, if they can be made so: if there are
  // any MessagesMadeByStep.
  using StepVisitor = std::function<void(const MessageSchedule& step)>;
  void VisitSteps(Collective collective, const Group& group, const StepVisitor& visit) const;
  std::int64_t MessagesMadeByStep(Collective collective, const Group& group) const;

 protected:
  virtual bool SupportsGather(const Group& group) const = 0;
  virtual std::vector<TrafficPhase> GatherTraffic(Bytes bytes, const Group& group) const = 0;
  virtual MessageSchedule GatherMessages(const Group& group) const = 0;
  virtual Seconds GatherClosedForm(Bytes bytes, const Group& group) const = 0;
  // Steps of the gather and the messages of one, where they can be made apart; else 0 steps.
  virtual int GatherStepsApart(const Group&) const { return 0; }
  virtual MessageSchedule GatherStep(const Group&, int /*step*/) const { return {}; }
};

// Phases in reverse order, flows in reverse direction.
std::vector<TrafficPhase> Transpose(std::vector<TrafficPhase> phases, const Group& group);

// Messages in reverse order and direction; receivers add.
MessageSchedule Transpose(MessageSchedule schedule);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_GATHER_ALGORITHM_H_
