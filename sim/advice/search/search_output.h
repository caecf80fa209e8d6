// What a search found: for people, for spreadsheets, for a page.

#ifndef MESHSTEP_SIM_ADVICE_SEARCH_SEARCH_OUTPUT_H_
#define MESHSTEP_SIM_ADVICE_SEARCH_SEARCH_OUTPUT_H_

#include <string>

#include "meshstep/v1/search_report.pb.h"
#include "sim/simulate/write_scenario_table.h"

namespace meshstep {

std::string SearchToText(const v1::SearchReport& report);
// The body of a page: the picture of memory and throughput, whose points say which plan they are,
// and the tables.
std::string SearchToHtml(const v1::SearchReport& report);
// A table of scenarios. base: the cells of every row that what differs comes on top of.
std::string SearchToCsv(const v1::SearchReport& report, const Cells& base);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ADVICE_SEARCH_SEARCH_OUTPUT_H_
