// What a plan keeps on the host, checked.

#ifndef MESHSTEP_STRATEGIES_PLAN_LOAD_OFFLOAD_H_
#define MESHSTEP_STRATEGIES_PLAN_LOAD_OFFLOAD_H_

#include <string>

#include "sim/base/diagnostics.h"
#include "strategies/plan/plan.h"
#include "topologies/chip.h"

namespace meshstep {

namespace v1 {
class Plan;
}

// `field` is the plan's path in errors.
void LoadOffload(const v1::Plan& proto, const std::string& field, const Chip& chip, Plan* plan,
                 Diagnostics* diagnostics);
// The way back.
void ExpandOffload(const Plan& plan, v1::Plan* proto);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PLAN_LOAD_OFFLOAD_H_
