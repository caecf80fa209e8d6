// The one call: a scenario in, the report of its step out.
//
//   v1::Scenario scenario;                  // presets, degrees, batch: proto/meshstep/v1
//   const Catalog catalog;                  // one for all calls; threads share it
//   ASSIGN_OR_RETURN(const v1::SimulateReport report, Simulate(scenario, {.catalog = &catalog}));
//
// Calls do not see each other: the report depends on the arguments alone, whichever threads call.

#ifndef MESHSTEP_SIM_SIMULATE_SIMULATE_H_
#define MESHSTEP_SIM_SIMULATE_SIMULATE_H_

#include "meshstep/v1/report.pb.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/diagnostics.h"
#include "sim/base/status.h"
#include "sim/engine/engine.h"
#include "strategies/plan/plan.h"
#include "strategies/step/step_graph.h"
#include "topologies/chip.h"

namespace meshstep {

class PlacementPool;

struct SimulateOptions {
  const Catalog* catalog = nullptr;  // unset: presets are read anew
  Fidelity fidelity = Fidelity::kCalibrated;
  bool unfolded = false;  // every device and link by itself; slow, the same times
  Locator locator = {};   // where fields were written, for errors; unset: they name the field only
  // Prices of collectives on the scenario's cluster at this fidelity, kept from call to call
  // (strategies/step/placement.h); unset: nothing is kept.
  PlacementPool* placements = nullptr;
};

// A step with all that led to its report.
struct SimulatedStep {
  Scenario scenario;
  StepGraph step;
  Run run;  // of step.graph
  v1::SimulateReport report;
};

// Error: one line per problem of the scenario; or the plan cannot be lowered, is too large, or its
// schedule deadlocks.
StatusOr<v1::SimulateReport> Simulate(const v1::Scenario& proto, const SimulateOptions& options);
StatusOr<SimulatedStep> SimulateStep(const v1::Scenario& proto, const SimulateOptions& options);

// Of a scenario that is loaded (strategies/plan/load_scenario.h) and may have been changed since;
// options.catalog gives the intervals only.
StatusOr<SimulatedStep> SimulateStep(const Scenario& scenario, const SimulateOptions& options);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_SIMULATE_SIMULATE_H_
