// A scenario with something changed: single changes of a plan, and hardware rates.

#ifndef MESHSTEP_SIM_ADVICE_VARIANTS_H_
#define MESHSTEP_SIM_ADVICE_VARIANTS_H_

#include <string>
#include <vector>

#include "meshstep/v1/advice_report.pb.h"
#include "sim/base/status.h"
#include "sim/simulate/simulate_scenario.h"

namespace meshstep {

// As --set takes them; all of one change together.
using PlanEdit = std::vector<std::string>;

// Changes of one knob each: recomputation, schedule, micro-batch, ZeRO stage, offloading, sequence
// parallelism, experts, precision, prefetch, and degrees traded two for one. Some may not be valid.
std::vector<PlanEdit> PlanEdits(const ScenarioInput& input);

// Simulates every valid edit; each result is relative to `base`. Edits that change neither time nor
// memory are left out.
std::vector<v1::PlanChange> SimulateEdits(const ScenarioInput& input,
                                          const std::vector<PlanEdit>& edits,
                                          const v1::SimulateReport& base,
                                          const SimulateOptions& options);

// Each rate of the cluster twice and half as good. Error: the step cannot be simulated.
StatusOr<std::vector<v1::HardwareResponse>> SimulateRates(const ScenarioInput& input,
                                                          double step_time_s,
                                                          const SimulateOptions& options);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ADVICE_VARIANTS_H_
