// Scenarios side by side as one table of figures, for text and pages.

#ifndef MESHSTEP_SIM_REPORT_COMPARE_TABLE_H_
#define MESHSTEP_SIM_REPORT_COMPARE_TABLE_H_

#include <string>
#include <vector>

#include "meshstep/v1/report.pb.h"

namespace meshstep {

// A column per scenario after that of the figures' names; the first row is the head.
std::vector<std::vector<std::string>> CompareTable(const v1::CompareReport& report);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_COMPARE_TABLE_H_
