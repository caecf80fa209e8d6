// What the step time answers to: each hardware rate and each knob of the plan, alone.

#ifndef MESHSTEP_SIM_ADVICE_SENSITIVITY_H_
#define MESHSTEP_SIM_ADVICE_SENSITIVITY_H_

#include "meshstep/v1/advice_report.pb.h"
#include "meshstep/v1/report.pb.h"
#include "sim/base/status.h"
#include "sim/simulate/scenario_file.h"
#include "sim/simulate/simulate.h"

namespace meshstep {

// `base` is the report of `input`. Each rate of the cluster is simulated twice and half as good;
// the plan is changed as PlanEdits says. Error: the step cannot be simulated with such a rate.
StatusOr<v1::SensitivityReport> Sensitivity(const ScenarioFile& input,
                                            const v1::SimulateReport& base,
                                            const SimulateOptions& options);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ADVICE_SENSITIVITY_H_
