// The other half of scenario_table.h: what it reads, written. Sweeps, searches and validation print
// their rows with it, so that what one command prints another reads.
//
//   Cells row = {{"name", "a"}, {"base", "llama3-70b-h100-512"}, {"plan.tensor", "8"}};
//   AppendResult(report, &row);              // step_time_s, mfu, memory.peak_bytes, ...
//   Print(WriteScenarioTable({row}));

#ifndef MESHSTEP_SIM_SIMULATE_WRITE_SCENARIO_TABLE_H_
#define MESHSTEP_SIM_SIMULATE_WRITE_SCENARIO_TABLE_H_

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "meshstep/v1/report.pb.h"
#include "meshstep/v1/scenario.pb.h"

namespace meshstep {

// Cells of one row, each with its column.
using Cells = std::vector<std::pair<std::string, std::string>>;

// The fields that are set, as the table reads them: lists with semicolons; a message with lists of
// messages in it whole, as "{ ... }".
Cells FieldCells(const v1::Scenario& scenario);

// "plan.recompute_modules=mlp,moe" as a cell: a list of the table, if the field is one.
std::pair<std::string, std::string> CellOf(const std::string& assignment);

// A number that reads back the same, in as few digits as that takes.
std::string CellOf(double value);

// "FITS" or "DOES_NOT_FIT".
std::string VerdictName(const v1::Memory& memory);

// Result columns, named after the report's fields.
void AppendResult(const v1::SimulateReport& report, Cells* row);

// The first line names the columns, in the order in which rows first have them.
std::string WriteScenarioTable(std::span<const Cells> rows);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_SIMULATE_WRITE_SCENARIO_TABLE_H_
