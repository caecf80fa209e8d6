// A collective simulated message by message, to check what its phases and closed form say.
//
// Every message of the algorithm's schedule is a flow of its own: it waits the latency of its route
// and then shares every link max-min fairly with the others. Messages of one step start together,
// when the last of the step before has ended. Messages that switches combine (Combine) are one flow
// that crosses each link with the bytes of the largest.
//
//   StatusOr<StepwiseRun> run = Stepwise(fabric, group, algorithm, collective, bytes);
//
// O(messages) flows; for studies and tests, never in a training step.

#ifndef MESHSTEP_SIM_COST_STEPWISE_H_
#define MESHSTEP_SIM_COST_STEPWISE_H_

#include <cstdint>

#include "sim/cost/collective.h"

namespace meshstep {

struct StepwiseRun {
  Time time;
  int steps = 0;
  std::int64_t messages = 0;
};

// The algorithm must support the collective on the group.
StepwiseRun Stepwise(const Fabric& fabric, const Group& group, const CollectiveAlgorithm& algorithm,
                     Collective collective, Bytes bytes);

// How many messages that is, if those of one step are made at a time, as of rings, so that they take
// time but no memory; else 0.
std::int64_t MessagesMadeByStep(const CollectiveAlgorithm& algorithm, Collective collective,
                                const Group& group);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_STEPWISE_H_
