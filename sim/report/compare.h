// Scenarios side by side: which fields differ, and where the difference in step time comes from.

#ifndef MESHSTEP_SIM_REPORT_COMPARE_H_
#define MESHSTEP_SIM_REPORT_COMPARE_H_

#include <cstddef>
#include <span>

#include "meshstep/v1/report.pb.h"
#include "meshstep/v1/scenario.pb.h"

namespace meshstep {

// scenarios[i] is what reports[i] is of; the others are compared with that of index `baseline`. The
// reasons of a comparison sum to its difference in step time, and in chip-seconds per token.
v1::CompareReport Compare(std::span<const v1::Scenario> scenarios,
                          std::span<const v1::SimulateReport> reports, std::size_t baseline = 0);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_COMPARE_H_
