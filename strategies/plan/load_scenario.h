// Scenario messages as values: presets resolved, defaults filled in, everything checked.

#ifndef MESHSTEP_STRATEGIES_PLAN_LOAD_SCENARIO_H_
#define MESHSTEP_STRATEGIES_PLAN_LOAD_SCENARIO_H_

#include "sim/base/catalog.h"
#include "sim/base/diagnostics.h"
#include "strategies/plan/plan.h"

namespace meshstep::v1 {
class Scenario;
}

namespace meshstep {

// Presets are those of `catalog`. Reports every problem; the result is usable only if `diagnostics`
// stays ok.
Scenario LoadScenario(const v1::Scenario& proto, const Catalog& catalog, Diagnostics* diagnostics);

// The scenario with presets written out and the plan as mesh and rules. Requires a scenario that
// loaded without a problem.
v1::Scenario ExpandScenario(const v1::Scenario& proto, const Catalog& catalog);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PLAN_LOAD_SCENARIO_H_
