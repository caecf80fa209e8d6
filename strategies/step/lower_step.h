// Lowers a scenario to the tasks of one step.

#ifndef MESHSTEP_STRATEGIES_STEP_LOWER_STEP_H_
#define MESHSTEP_STRATEGIES_STEP_LOWER_STEP_H_

#include "sim/base/status.h"
#include "strategies/plan/plan.h"
#include "strategies/step/step_graph.h"

namespace meshstep {

struct LoweringOptions {
  Fidelity fidelity = Fidelity::kCalibrated;
  bool unfolded = false;
};

// Error: the plan cannot be lowered (a placement that does not fit, an algorithm that does not
// run).
StatusOr<StepGraph> LowerStep(const Scenario& scenario, const LoweringOptions& options);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_LOWER_STEP_H_
