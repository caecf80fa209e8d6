// The least that the fullest device of each stage holds at its peak.
//
// The problem. A stage holds parameters, gradients and optimizer state all step, and activations
// from the forward of a block to its backward; on top of that comes what the running block takes.
// The order of a stage's actions is known before anything is simulated, and with it what has been
// kept whenever the last kernel of a block runs: all that blocks before it took, less at most all
// that they gave back.
//
// The invariant. The bound is never above the simulated peak: it counts the same bytes, rounded as
// they are there, at instants that the simulation passes. Left out, since when they come and go
// depends on the network: parameters gathered ahead, whole gradients on their way into shards,
// copies between device and host.
//
// Cost: O(blocks + actions of the stages).

#ifndef MESHSTEP_STRATEGIES_BOUNDS_PLAN_LEAST_MEMORY_H_
#define MESHSTEP_STRATEGIES_BOUNDS_PLAN_LEAST_MEMORY_H_

#include <cstdint>
#include <vector>

#include "strategies/plan/plan.h"
#include "strategies/step/lowered_model.h"

namespace meshstep {

// Bytes of one device, by stage.
std::vector<std::int64_t> LeastPeaks(const Scenario& scenario, const LoweredModel& model);

// All step, by stage.
std::vector<std::int64_t> ResidentBytes(const Scenario& scenario, const LoweredModel& model);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_BOUNDS_PLAN_LEAST_MEMORY_H_
