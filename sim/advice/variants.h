// A scenario with something of its plan changed.

#ifndef MESHSTEP_SIM_ADVICE_VARIANTS_H_
#define MESHSTEP_SIM_ADVICE_VARIANTS_H_

#include <optional>
#include <string>
#include <vector>

#include "meshstep/v1/advice_report.pb.h"
#include "sim/simulate/scenario_file.h"
#include "sim/simulate/simulate.h"

namespace meshstep {

// As --set takes them; all of one change together.
using PlanEdit = std::vector<std::string>;

// Changes of one knob each: recomputation, schedule, micro-batch, ZeRO stage, offloading, sequence
// parallelism, experts, precision, prefetch, and degrees traded two for one. Some may not be valid.
std::vector<PlanEdit> PlanEdits(const ScenarioFile& input);

// It changes what is computed, not how that is shared: number formats.
bool ChangesNumbers(const PlanEdit& edit);

// One edit, relative to `base`. Nothing: it is not valid, or changes neither time nor memory.
std::optional<v1::PlanChange> SimulateEdit(const ScenarioFile& input, const PlanEdit& edit,
                                           const v1::SimulateReport& base,
                                           const SimulateOptions& options);

// Simulates every valid edit; each result is relative to `base`. Edits that change neither time nor
// memory are left out.
std::vector<v1::PlanChange> SimulateEdits(const ScenarioFile& input,
                                          const std::vector<PlanEdit>& edits,
                                          const v1::SimulateReport& base,
                                          const SimulateOptions& options);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ADVICE_VARIANTS_H_
