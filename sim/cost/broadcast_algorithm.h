// Base of the algorithms that are defined by their broadcast from rank 0. A reduce to rank 0 is the
// broadcast run backwards: messages reversed in time and direction, receivers add.
// Source: E. Chan et al., "Collective communication: theory, practice, and experience", CCPE
// 19(13), 2007, section 2 (duality).

#ifndef MESHSTEP_SIM_COST_BROADCAST_ALGORITHM_H_
#define MESHSTEP_SIM_COST_BROADCAST_ALGORITHM_H_

#include <vector>

#include "sim/cost/collective.h"

namespace meshstep {

class BroadcastAlgorithm : public CollectiveAlgorithm {
 public:
  bool Supports(Collective collective, const Group& group) const override;
  std::vector<TrafficPhase> Traffic(Collective collective, Bytes bytes,
                                    const Group& group) const override;
  MessageSchedule Messages(Collective collective, const Group& group) const override;
  Seconds ClosedForm(Collective collective, Bytes bytes, const Group& group) const override;

 protected:
  virtual std::vector<TrafficPhase> BroadcastTraffic(Bytes bytes, const Group& group) const = 0;
  // Pieces of chunk 0.
  virtual MessageSchedule BroadcastMessages(const Group& group) const = 0;
  virtual Seconds BroadcastClosedForm(Bytes bytes, const Group& group) const = 0;
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_BROADCAST_ALGORITHM_H_
