#include "sim/validation/validate_table.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "sim/base/csv.h"
#include "sim/base/data_path.h"
#include "sim/simulate/write_scenario_table.h"

namespace meshstep {
namespace {

constexpr std::array<std::string_view, 4> kResults = {"step_time_s", "memory.peak_bytes", "error",
                                                      "reason"};

void AppendResults(const v1::ValidateRow& row, Cells* cells) {
  if (row.has_predicted_s()) cells->emplace_back("step_time_s", CellOf(row.predicted_s()));
  if (row.has_predicted_bytes()) {
    cells->emplace_back("memory.peak_bytes", CellOf(row.predicted_bytes()));
  }
  if (row.has_error()) cells->emplace_back("error", CellOf(row.error()));
  if (!row.reason().empty()) cells->emplace_back("reason", row.reason());
}

}  // namespace

StatusOr<std::string> ValidateToTable(std::span<const std::string> paths,
                                      const v1::ValidateReport& report) {
  std::vector<Cells> rows;
  int next = 0;
  for (const std::string& path : paths) {
    ASSIGN_OR_RETURN(const std::string content, ReadFile(path));
    ASSIGN_OR_RETURN(const CsvTable table, ParseCsv(path, content));
    for (std::size_t i = 0; i < table.rows.size(); ++i) {
      if (next == report.rows_size() || report.rows(next).id() != table.At(i, "name")) continue;
      Cells cells;
      for (std::size_t c = 0; c < table.columns.size(); ++c) {
        const std::string& column = table.columns[c];
        if (std::find(kResults.begin(), kResults.end(), column) != kResults.end()) continue;
        cells.emplace_back(column, table.rows[i][c]);
      }
      AppendResults(report.rows(next++), &cells);
      rows.push_back(std::move(cells));
    }
  }
  return WriteScenarioTable(rows);
}

}  // namespace meshstep
