// v1::Plan's recomputation as values, for strategies/plan/load_plan.cc.

#ifndef MESHSTEP_STRATEGIES_PLAN_LOAD_RECOMPUTE_H_
#define MESHSTEP_STRATEGIES_PLAN_LOAD_RECOMPUTE_H_

#include <string>

#include "sim/base/diagnostics.h"
#include "strategies/plan/plan.h"

namespace meshstep {

namespace v1 {
class Plan;
}

// The policy, the ops that it spares and the layers that it is limited to. `field` is the plan's
// path in errors.
void LoadRecompute(const v1::Plan& proto, const std::string& field, Plan* plan,
                   Diagnostics* diagnostics);
void ExpandRecompute(const Plan& plan, v1::Plan* proto);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PLAN_LOAD_RECOMPUTE_H_
