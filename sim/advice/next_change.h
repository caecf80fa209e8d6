// The best single change of a plan, for the first screen of a report.

#ifndef MESHSTEP_SIM_ADVICE_NEXT_CHANGE_H_
#define MESHSTEP_SIM_ADVICE_NEXT_CHANGE_H_

#include <optional>

#include "meshstep/v1/report.pb.h"
#include "sim/simulate/scenario_file.h"
#include "sim/simulate/simulate.h"

namespace meshstep {

// Of the single changes that keep all number formats (variants.h), the one that saves most and has
// `base`'s verdict on memory or a better one. Nothing: none saves 1 % of the step, or the step has so
// many tasks that trying them would take seconds. A plan that does not fit has no next change:
// `meshstep check` searches further.
std::optional<v1::NextChange> BestNextChange(const ScenarioFile& input,
                                             const v1::SimulateReport& base,
                                             const SimulateOptions& options);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ADVICE_NEXT_CHANGE_H_
