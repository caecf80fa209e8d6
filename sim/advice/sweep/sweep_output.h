// A sweep as a table: for people, for spreadsheets, for a page.

#ifndef MESHSTEP_SIM_ADVICE_SWEEP_SWEEP_OUTPUT_H_
#define MESHSTEP_SIM_ADVICE_SWEEP_SWEEP_OUTPUT_H_

#include <string>

#include "meshstep/v1/sweep_report.pb.h"
#include "sim/simulate/write_scenario_table.h"

namespace meshstep {

std::string SweepToText(const v1::SweepReport& report);
std::string SweepToMarkdown(const v1::SweepReport& report);
// The body of a page.
std::string SweepToHtml(const v1::SweepReport& report);
// A table of scenarios. base: the cells of every row that what is varied comes on top of, as "base"
// and what overrides it.
std::string SweepToCsv(const v1::SweepReport& report, const Cells& base);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ADVICE_SWEEP_SWEEP_OUTPUT_H_
