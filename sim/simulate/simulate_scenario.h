// Simulates a scenario that was read.

#ifndef MESHSTEP_SIM_SIMULATE_SIMULATE_SCENARIO_H_
#define MESHSTEP_SIM_SIMULATE_SIMULATE_SCENARIO_H_

#include <functional>
#include <string>

#include "meshstep/v1/report.pb.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/diagnostics.h"
#include "sim/base/status.h"
#include "sim/engine/engine.h"
#include "strategies/plan/plan.h"
#include "strategies/step/step_graph.h"

namespace meshstep {

struct SimulateOptions {
  bool ideal = false;
  bool unfolded = false;
};

// A scenario as written, with the overrides, and as a value.
struct ScenarioInput {
  std::string file;
  v1::Scenario proto;
  Scenario scenario;
  Locator locator;  // where a field of the scenario was written
};

// Called with each scenario that was simulated.
using StepVisitor = std::function<void(const ScenarioInput& input, const StepGraph& step,
                                       const Run& run, const v1::SimulateReport& report)>;
// Error: the plan cannot be lowered, or its schedule deadlocks.
StatusOr<v1::SimulateReport> SimulateOne(const ScenarioInput& input, const SimulateOptions& options,
                                         const StepVisitor& visit = nullptr);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_SIMULATE_SIMULATE_SCENARIO_H_
