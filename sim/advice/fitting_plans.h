// Plans around one that does not fit, by how many of its knobs they turn: who holds parameters,
// gradients and optimizer state (ZeRO stages, FSDP), recomputation, micro-batch, tensor and pipeline
// degree, the optimizer on the host.

#ifndef MESHSTEP_SIM_ADVICE_FITTING_PLANS_H_
#define MESHSTEP_SIM_ADVICE_FITTING_PLANS_H_

#include <string>
#include <vector>

#include "sim/advice/variants.h"
#include "sim/simulate/scenario_file.h"

namespace meshstep {

struct PlanCandidate {
  PlanEdit edit;
  int knobs = 0;  // turned
};

// Every combination of the knobs' settings but the plan itself, fewest knobs first. Some may not be
// valid. Empty beside a mesh and for steps that go forward alone.
std::vector<PlanCandidate> FittingPlans(const ScenarioFile& input);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ADVICE_FITTING_PLANS_H_
