#include "sim/advice/sweep/sweep_output.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sim/base/counted.h"
#include "sim/base/format.h"
#include "sim/report/html/html_parts.h"
#include "sim/report/html/svg.h"

namespace meshstep {
namespace {

// A table of cells: a column for each field that is varied, then results, then why there is none.
struct Lines {
  std::vector<std::vector<std::string>> cells;
  std::string align;
  int fits = 0, results = 0;
};

Lines LinesOf(const v1::SweepReport& report) {
  Lines lines;
  std::vector<std::string> head;
  if (report.rows_size() > 0) {
    for (const std::string& set : report.rows(0).set()) {
      head.push_back(set.substr(0, set.find('=')));
    }
  }
  lines.align = std::string(head.size(), '>') + ">>>><";
  for (const char* column : {"step", "tokens/s/chip", "MFU", "peak memory", ""}) {
    head.emplace_back(column);
  }
  lines.cells.push_back(std::move(head));
  for (const v1::SweepRow& row : report.rows()) {
    std::vector<std::string>& line = lines.cells.emplace_back();
    for (const std::string& set : row.set()) line.push_back(set.substr(set.find('=') + 1));
    if (!row.reason().empty()) {
      line.insert(line.end(), {"", "", "", "", row.reason()});
      continue;
    }
    ++lines.results;
    lines.fits += row.memory().fits() ? 1 : 0;
    line.insert(line.end(), {FormatSeconds(row.step_time_s()),
                             FormatNumber(row.tokens_per_s_per_chip(), 4), FormatPercent(row.mfu()),
                             FormatBytes(static_cast<double>(row.memory().peak_bytes())),
                             !row.memory().fits()                          ? "does not fit"
                             : row.memory().verdict() == v1::Memory::TIGHT ? "tight"
                                                                           : ""});
  }
  return lines;
}

std::string Summary(const v1::SweepReport& report, const Lines& lines) {
  return absl::StrCat(report.scenario(), ": ", Counted(report.rows_size(), "plan"), "; ",
                      Counted(lines.fits, "fits", "fit"), ", ",
                      Counted(lines.results - lines.fits, "does not", "do not"), ", ",
                      Counted(report.rows_size() - lines.results, "has", "have"), " no result");
}

}  // namespace

std::string SweepToText(const v1::SweepReport& report) {
  const Lines lines = LinesOf(report);
  return absl::StrCat(Summary(report, lines), "\n\n", FormatTable(lines.cells, lines.align, 2));
}

std::string SweepToMarkdown(const v1::SweepReport& report) {
  const Lines lines = LinesOf(report);
  return absl::StrCat(Summary(report, lines), "\n\n", FormatMarkdown(lines.cells, lines.align));
}

std::string SweepToHtml(const v1::SweepReport& report) {
  const Lines lines = LinesOf(report);
  return absl::StrCat("<section>\n<h2>Plans of ", EscapeHtml(report.scenario()), "</h2>\n",
                      Say(Summary(report, lines)), Table(lines.cells, {}), "</section>\n");
}

std::string SweepToCsv(const v1::SweepReport& report, const Cells& base) {
  std::vector<Cells> rows;
  for (const v1::SweepRow& row : report.rows()) {
    Cells cells = {{"name", row.name()}};
    cells.insert(cells.end(), base.begin(), base.end());
    for (const std::string& set : row.set()) {
      std::pair<std::string, std::string> cell = CellOf(set);
      std::erase_if(cells, [&](const auto& there) { return there.first == cell.first; });
      cells.push_back(std::move(cell));
    }
    if (row.reason().empty()) {
      v1::SimulateReport report_of_row;
      report_of_row.set_chips(row.chips());
      report_of_row.set_step_time_s(row.step_time_s());
      report_of_row.set_tokens_per_s_per_chip(row.tokens_per_s_per_chip());
      report_of_row.set_mfu(row.mfu());
      *report_of_row.mutable_memory() = row.memory();
      AppendResult(report_of_row, &cells);
    }
    cells.emplace_back("reason", row.reason());
    rows.push_back(std::move(cells));
  }
  return WriteScenarioTable(rows);
}

}  // namespace meshstep
