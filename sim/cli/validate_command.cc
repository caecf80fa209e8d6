// meshstep validate: predicted against measured.

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "sim/cli/commands.h"
#include "sim/cli/validate_collectives.h"
#include "sim/report/format.h"

namespace meshstep {
namespace {

struct Options {
  std::string collectives;
  double min_bytes = 0;
  OutputFormat format = OutputFormat::kText;
};

std::string ToText(const v1::ValidateReport& report) {
  std::vector<std::vector<std::string>> rows = {
      {"family", "rows", "mean", "median", "90th", "worst"}};
  std::vector<double> errors;
  std::map<std::string, int> reasons;  // why rows are not predicted
  int predicted = 0;
  for (const v1::ValidateRow& row : report.rows()) {
    if (row.has_error()) errors.push_back(std::abs(row.error()));
    predicted += row.has_predicted_s() ? 1 : 0;
    if (!row.has_predicted_s()) ++reasons[row.reason()];
  }
  for (const v1::ValidateFamily& family : report.families()) {
    rows.push_back({family.family(), FormatCount(family.rows()), FormatPercent(family.mape()),
                    FormatPercent(family.median()), FormatPercent(family.ninetieth()),
                    FormatPercent(family.worst())});
  }
  std::string text = FormatTable(rows, "<>>>>>", 0);
  std::sort(errors.begin(), errors.end());
  text += "\n";
  for (const auto& [reason, count] : reasons) {
    absl::StrAppend(&text, FormatCount(count), " not predicted: ", reason, "\n");
  }
  absl::StrAppend(&text, predicted, " of ", report.rows_size(), " rows predicted");
  if (!errors.empty()) {
    absl::StrAppend(&text, ", ", errors.size(), " of them measured: median error ",
                    FormatPercent(errors[errors.size() / 2]), ", 90th percentile ",
                    FormatPercent(errors[errors.size() * 9 / 10]));
  }
  return text + "\n";
}

// Rows of at least `min_bytes`.
v1::ValidateReport Keep(const v1::ValidateReport& all, double min_bytes) {
  v1::ValidateReport kept;
  for (const v1::ValidateRow& row : all.rows()) {
    if (row.tensor_bytes() >= min_bytes) *kept.add_rows() = row;
  }
  SummarizeFamilies(&kept);
  return kept;
}

}  // namespace

void AddValidateCommand(CLI::App* app) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app->add_subcommand("validate", "Compare predictions with measurements, row by row");
  command
      ->add_option("--collectives", options->collectives,
                   "CSV of measured collectives, inside one domain or across nodes")
      ->required();
  command->add_option("--min-bytes", options->min_bytes, "Leave out rows of smaller transfers");
  AddFormatOption(command, &options->format);
  command->footer("Example:\n  meshstep validate --collectives=collective_tables.csv");
  command->callback([options] {
    const StatusOr<v1::ValidateReport> all = ValidateCollectives(options->collectives);
    if (!all.ok()) Fail(all.status());
    const v1::ValidateReport report = Keep(*all, options->min_bytes);
    Print(options->format == OutputFormat::kText ? ToText(report)
                                                 : Serialize(report, options->format));
  });
}

}  // namespace meshstep
