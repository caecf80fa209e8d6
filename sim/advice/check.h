// Does a scenario fit in memory, and which changes of its plan do.

#ifndef MESHSTEP_SIM_ADVICE_CHECK_H_
#define MESHSTEP_SIM_ADVICE_CHECK_H_

#include "meshstep/v1/advice_report.pb.h"
#include "meshstep/v1/report.pb.h"
#include "sim/simulate/scenario_file.h"
#include "sim/simulate/simulate.h"

namespace meshstep {

// `base` is the report of `input`. Where that does not fit, or only just, single changes are
// simulated, then combinations of more and more knobs (fitting_plans.h) until some fit, within a
// budget of tasks that takes a few seconds. Those that fit come first, each group quickest first.
v1::CheckReport Check(const ScenarioFile& input, const v1::SimulateReport& base,
                      const SimulateOptions& options);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ADVICE_CHECK_H_
