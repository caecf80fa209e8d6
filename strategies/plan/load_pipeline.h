// The pipeline of a plan: its schedule, which part holds which layers, and when gradients leave.

#ifndef MESHSTEP_STRATEGIES_PLAN_LOAD_PIPELINE_H_
#define MESHSTEP_STRATEGIES_PLAN_LOAD_PIPELINE_H_

#include <string>

#include "sim/base/diagnostics.h"
#include "strategies/plan/plan.h"

namespace meshstep {

namespace v1 {
class Plan;
}

// Needs plan->stages and plan->micro_batches. `field` is the plan's path in errors.
void LoadPipeline(const v1::Plan& proto, const std::string& field, const Model& model, Plan* plan,
                  Diagnostics* diagnostics);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PLAN_LOAD_PIPELINE_H_
