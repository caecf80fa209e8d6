#include "sim/validation/validate_report.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sim/base/counted.h"
#include "sim/base/csv.h"
#include "sim/base/escape.h"
#include "sim/base/format.h"
#include "sim/validation/plan_order.h"

namespace meshstep {
namespace {

// Ranks with ties at their mean.
std::vector<double> RanksOf(const std::vector<double>& values) {
  std::vector<std::size_t> order(values.size());
  for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t i = 0; i < order.size();) {
    std::size_t end = i;
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    for (std::size_t k = i; k < end; ++k) {
      ranks[order[k]] = static_cast<double>(i + end - 1) / 2;
    }
    i = end;
  }
  return ranks;
}

double Spearman(const std::vector<double>& a, const std::vector<double>& b) {
  const std::vector<double> x = RanksOf(a), y = RanksOf(b);
  const double mean = (static_cast<double>(x.size()) - 1) / 2;
  double xy = 0, xx = 0, yy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xy += (x[i] - mean) * (y[i] - mean);
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

v1::ValidateFamily Summary(const std::string& name,
                           const std::vector<const v1::ValidateRow*>& rows) {
  std::vector<double> errors, predicted, measured;
  double sum = 0, signed_sum = 0;
  for (const v1::ValidateRow* row : rows) {
    errors.push_back(std::abs(row->error()));
    sum += errors.back();
    signed_sum += row->error();
    const bool bytes = row->has_predicted_bytes();
    predicted.push_back(bytes ? row->predicted_bytes() : row->predicted_s());
    measured.push_back(bytes ? row->measured_bytes() : row->measured_s());
  }
  std::sort(errors.begin(), errors.end());
  v1::ValidateFamily family;
  family.set_family(name);
  family.set_rows(static_cast<std::int64_t>(rows.size()));
  family.set_mape(sum / static_cast<double>(rows.size()));
  family.set_bias(signed_sum / static_cast<double>(rows.size()));
  family.set_median(errors[errors.size() / 2]);
  family.set_ninetieth(errors[errors.size() * 9 / 10]);
  family.set_worst(errors.back());
  family.set_spearman(Spearman(predicted, measured));
  return family;
}

std::string Signed(double fraction) {
  return absl::StrCat(fraction < 0 ? "" : "+", FormatPercent(fraction));
}

std::string Quantity(const v1::ValidateRow& row, bool predicted) {
  const bool bytes = row.has_measured_bytes() || row.has_predicted_bytes();
  if (predicted && !row.has_predicted_s() && !row.has_predicted_bytes()) return "-";
  if (bytes) return FormatBytes(predicted ? row.predicted_bytes() : row.measured_bytes());
  const double seconds = predicted ? row.predicted_s() : row.measured_s();
  return seconds > 0 ? FormatSeconds(seconds) : "-";
}

std::string OrderLine(const v1::ValidateOrder& order) {
  return absl::StrCat(FormatCount(order.pairs()),
                      " pairs of plans at least 10 % apart: ", FormatPercent(order.right()),
                      " ordered right (10 to 20 % apart ", FormatPercent(order.near_right()),
                      ", beyond ", FormatPercent(order.far_right()), "); the best predicted of ",
                      FormatCount(order.groups()), " groups costs ",
                      FormatPercent(order.mean_regret()), " over the best measured on average, ",
                      FormatPercent(order.worst_regret()), " at worst");
}

// Why rows are not predicted, and the totals.
std::vector<std::string> Totals(const v1::ValidateReport& report) {
  std::map<std::string, int> reasons;
  std::vector<double> errors;
  int predicted = 0;
  for (const v1::ValidateRow& row : report.rows()) {
    if (row.has_error()) errors.push_back(std::abs(row.error()));
    const bool has = row.has_predicted_s() || row.has_predicted_bytes();
    predicted += has ? 1 : 0;
    if (!has) ++reasons[row.reason()];
  }
  std::sort(errors.begin(), errors.end());
  std::vector<std::string> lines;
  for (const auto& [reason, count] : reasons) {
    lines.push_back(absl::StrCat(FormatCount(count), " not predicted: ", EscapeControls(reason)));
  }
  std::string last =
      absl::StrCat(predicted, " of ", Counted(report.rows_size(), "row"), " predicted");
  if (!errors.empty()) {
    absl::StrAppend(&last, ", ", errors.size(), " of them measured: median error ",
                    FormatPercent(errors[errors.size() / 2]), ", 90th percentile ",
                    FormatPercent(errors[errors.size() * 9 / 10]));
  }
  lines.push_back(last);
  if (report.has_order()) lines.push_back(OrderLine(report.order()));
  if (report.has_first_errors()) {
    const v1::FirstErrors& e = report.first_errors();
    lines.push_back(absl::StrCat(FormatCount(e.rows()), " of sources not seen before: mean error ",
                                 FormatPercent(e.first_mape()), " at first sight (bias ",
                                 Signed(e.first_bias()), "), ", FormatPercent(e.mape()),
                                 " now (bias ", Signed(e.bias()), ")"));
  }
  return lines;
}

std::string CsvNumber(bool there, double value) { return there ? absl::StrCat(value) : ""; }

}  // namespace

void SummarizeFamilies(v1::ValidateReport* report) {
  report->clear_families();
  std::map<std::string, std::vector<const v1::ValidateRow*>> families;
  std::map<std::string, int> all;
  for (const v1::ValidateRow& row : report->rows()) {
    ++all[row.family()];
    if (row.has_error()) families[row.family()].push_back(&row);
  }
  for (const auto& [name, rows] : families) {
    *report->add_families() = Summary(name, rows);
    report->mutable_families()->rbegin()->set_all_rows(all[name]);
  }
}

void Summarize(v1::ValidateReport* report) {
  SummarizeFamilies(report);
  SummarizeOrder(report);
  report->clear_first_errors();
  double first = 0, first_signed = 0, now = 0, now_signed = 0;
  std::int64_t rows = 0;
  for (const v1::ValidateRow& row : report->rows()) {
    if (!row.has_first_error() || !row.has_error()) continue;
    ++rows;
    first += std::abs(row.first_error());
    first_signed += row.first_error();
    now += std::abs(row.error());
    now_signed += row.error();
  }
  if (rows == 0) return;
  v1::FirstErrors* const errors = report->mutable_first_errors();
  const auto count = static_cast<double>(rows);
  errors->set_rows(rows);
  errors->set_first_mape(first / count);
  errors->set_first_bias(first_signed / count);
  errors->set_mape(now / count);
  errors->set_bias(now_signed / count);
}

v1::ValidateReport RowsOfAtLeast(const v1::ValidateReport& report, double min_bytes) {
  v1::ValidateReport kept;
  for (const v1::ValidateRow& row : report.rows()) {
    if (row.tensor_bytes() >= min_bytes) *kept.add_rows() = row;
  }
  Summarize(&kept);
  return kept;
}

CellTable FamilyTable(const v1::ValidateReport& report) {
  CellTable table = {{"family", "rows", "of", "mean", "bias", "median", "90th", "worst", "rank"}};
  for (const v1::ValidateFamily& family : report.families()) {
    table.push_back({family.family(), FormatCount(family.rows()), FormatCount(family.all_rows()),
                     FormatPercent(family.mape()), Signed(family.bias()),
                     FormatPercent(family.median()), FormatPercent(family.ninetieth()),
                     FormatPercent(family.worst()), FormatNumber(family.spearman(), 3)});
  }
  return table;
}

CellTable RowTable(const v1::ValidateReport& report) {
  CellTable table = {{"row", "predicted", "measured", "error", ""}};
  for (const v1::ValidateRow& row : report.rows()) {
    table.push_back({row.id(), Quantity(row, true), Quantity(row, false),
                     row.has_error() ? Signed(row.error()) : "-", row.reason()});
  }
  return table;
}

std::string ValidateToText(const v1::ValidateReport& report, bool rows) {
  std::string text = rows ? FormatTable(RowTable(report), "<>>><", 0) + "\n" : "";
  text += FormatTable(FamilyTable(report), "<>>>>>>>>", 0) + "\n";
  return absl::StrCat(text, absl::StrJoin(Totals(report), "\n"), "\n");
}

std::string ValidateToMarkdown(const v1::ValidateReport& report, bool rows) {
  std::string text = rows ? FormatMarkdown(RowTable(report), "<>>>>") + "\n" : "";
  text += FormatMarkdown(FamilyTable(report), "<>>>>>>>>");
  for (const std::string& line : Totals(report)) absl::StrAppend(&text, "\n", line, "\n");
  return text;
}

std::string ValidateToCsv(const v1::ValidateReport& report) {
  CellTable records = {{"id", "family", "predicted_s", "measured_s", "predicted_bytes",
                        "measured_bytes", "error", "reason"}};
  for (const v1::ValidateRow& row : report.rows()) {
    records.push_back({row.id(), row.family(), CsvNumber(row.has_predicted_s(), row.predicted_s()),
                       CsvNumber(row.measured_s() > 0, row.measured_s()),
                       CsvNumber(row.has_predicted_bytes(), row.predicted_bytes()),
                       CsvNumber(row.has_measured_bytes(), row.measured_bytes()),
                       CsvNumber(row.has_error(), row.error()), row.reason()});
  }
  return WriteCsv(records);
}

}  // namespace meshstep
