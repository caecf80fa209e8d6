// Times of collectives as text for people.

#ifndef MESHSTEP_SIM_REPORT_COLLECTIVE_TEXT_H_
#define MESHSTEP_SIM_REPORT_COLLECTIVE_TEXT_H_

#include <string>

#include "meshstep/v1/collective_report.pb.h"

namespace meshstep {

// One a line: what was asked, times and bandwidths.
std::string ToText(const v1::CollectiveReport& report);
// A table with a row for each size.
std::string ToText(const v1::CollectiveReports& reports);
// The candidates of one size; what was measured stands before them.
std::string WhyText(const v1::CollectiveReport& report);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_COLLECTIVE_TEXT_H_
