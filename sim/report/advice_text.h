// Advice on a scenario as text for people.

#ifndef MESHSTEP_SIM_REPORT_ADVICE_TEXT_H_
#define MESHSTEP_SIM_REPORT_ADVICE_TEXT_H_

#include <string>

#include "meshstep/v1/advice_report.pb.h"

namespace meshstep {

// Whether it fits, and if not the changes that do, quickest first.
std::string ToText(const v1::CheckReport& report);
// Two tables: hardware rates, and changes of the plan.
std::string ToText(const v1::SensitivityReport& report);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_ADVICE_TEXT_H_
