// meshstep validate: predicted against measured.

#include <memory>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "sim/base/catalog.h"
#include "sim/cli/commands.h"
#include "sim/report/html/html.h"
#include "sim/report/output_file.h"
#include "sim/validation/validate_collectives.h"
#include "sim/validation/validate_kernels.h"
#include "sim/validation/validate_matmuls.h"
#include "sim/validation/validate_memory.h"
#include "sim/validation/validate_report.h"
#include "sim/validation/validate_runs.h"
#include "sim/validation/validate_scatter.h"
#include "sim/validation/validate_table.h"

namespace meshstep {
namespace {

struct Options {
  std::string runs, collectives, matmuls, memory, kernels, scenario;
  std::string scatter, html;  // paths; empty: none
  std::vector<std::string> without;
  double min_bytes = 0;
  bool rows = false;
  int threads = 0;
  std::string format = "text";
};

void Append(const StatusOr<v1::ValidateReport>& part, v1::ValidateReport* report) {
  if (!part.ok()) Fail(part.status());
  for (const v1::ValidateRow& row : part->rows()) *report->add_rows() = row;
}

// What one table of scenarios says is written as that table.
StatusOr<std::string> WrittenAsCsv(const v1::ValidateReport& report, const Options& options) {
  const bool parts = !options.collectives.empty() || !options.matmuls.empty() ||
                     !options.kernels.empty() || options.min_bytes > 0;
  const bool both = !options.runs.empty() && !options.memory.empty();
  if (parts || both) return ValidateToCsv(report);
  const std::vector<std::string> paths = !options.runs.empty()     ? std::vector{options.runs}
                                         : !options.memory.empty() ? std::vector{options.memory}
                                                                   : ShippedTables();
  return ValidateToTable(paths, report);
}

std::string Written(const v1::ValidateReport& report, const Options& options) {
  if (options.format == "text") return ValidateToText(report, options.rows);
  if (options.format == "markdown") return ValidateToMarkdown(report, options.rows);
  if (options.format == "csv") {
    const StatusOr<std::string> text = WrittenAsCsv(report, options);
    if (!text.ok()) Fail(text.status());
    return *text;
  }
  return Serialize(report, options.format == "json"        ? OutputFormat::kJson
                           : options.format == "textproto" ? OutputFormat::kTextproto
                                                           : OutputFormat::kBinary);
}

void ShowScenario(const Options& options) {
  const StatusOr<v1::Scenario> scenario = ScenarioOfRow(options.runs, options.scenario);
  if (!scenario.ok()) Fail(scenario.status());
  Print(Serialize(*scenario,
                  options.format == "json" ? OutputFormat::kJson : OutputFormat::kTextproto));
}

void RunValidate(const Options& options) {
  if (!options.scenario.empty()) {
    if (options.runs.empty()) Fail(InvalidInput("--scenario: needs the FILE that the row is in"));
    ShowScenario(options);
    return;
  }
  if (!(options.min_bytes >= 0)) {
    Fail(InvalidInput(absl::StrCat("--min-bytes: is ", options.min_bytes, ", expected 0 or more")));
  }
  const Status outputs = CheckOutputs(
      {{"--scatter", options.scatter}, {"--html", options.html}},
      {options.runs, options.collectives, options.matmuls, options.memory, options.kernels});
  if (!outputs.ok()) Fail(outputs);
  const Catalog catalog;
  RunOptions run{.catalog = &catalog};
  run.threads = options.threads;
  std::vector<std::string> frameworks;
  if (!options.without.empty()) {
    for (const std::string& path : {options.runs, options.memory, options.kernels}) {
      if (path.empty()) continue;
      const std::vector<std::string> named = FrameworksOf(path);
      frameworks.insert(frameworks.end(), named.begin(), named.end());
    }
  }
  for (const std::string& name : options.without) {
    StatusOr<Mechanism> mechanism = FindMechanism(name, catalog, frameworks);
    if (!mechanism.ok()) Fail(mechanism.status());
    run.without.push_back(*std::move(mechanism));
  }
  v1::ValidateReport report;
  if (!options.runs.empty()) Append(ValidateRuns(options.runs, run), &report);
  if (!options.collectives.empty())
    Append(ValidateCollectives(options.collectives, catalog), &report);
  if (!options.matmuls.empty()) Append(ValidateMatmuls(options.matmuls, catalog), &report);
  if (!options.memory.empty()) Append(ValidateMemory(options.memory, run), &report);
  if (!options.kernels.empty()) Append(ValidateKernels(options.kernels, run), &report);
  if (options.runs.empty() && options.collectives.empty() && options.matmuls.empty() &&
      options.memory.empty() && options.kernels.empty()) {
    Append(ValidateShippedRuns(run), &report);
  }
  report = RowsOfAtLeast(report, options.min_bytes);
  Status written;  // told after the report, which a full disk must not cost
  if (!options.scatter.empty()) {
    written.Update(WriteFile("--scatter", options.scatter, ScatterSvg(report)));
  }
  if (!options.html.empty()) {
    written.Update(WriteFile("--html", options.html,
                             HtmlPage("Predicted against measured", ValidateToHtml(report))));
  }
  Print(Written(report, options));
  if (!written.ok()) Fail(written);
}

}  // namespace

void AddValidateCommand(CLI::App* app) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      app->add_subcommand("validate", "Compare predictions with measurements, row by row");
  command->add_option(
      "FILE", options->runs,
      "A table of scenarios (.csv) with measured.step_time_s or the like; without any "
      "file: the tables that ship with meshstep");
  command->add_option("--collectives", options->collectives,
                      "CSV of measured collectives, inside one domain or across nodes");
  command->add_option("--matmuls", options->matmuls, "CSV of measured matmuls");
  command->add_option("--memory", options->memory,
                      "A table of scenarios (.csv) with measured.peak_bytes or the like");
  command->add_option("--kernels", options->kernels,
                      "A table of scenarios (.csv) with measured.busy.matmuls or the like: a "
                      "profile by groups of kernels");
  command->add_option("--min-bytes", options->min_bytes, "Leave out rows of smaller transfers");
  std::string names;
  for (const Mechanism& mechanism : Mechanisms()) {
    absl::StrAppend(&names, names.empty() ? "" : ", ", mechanism.name);
  }
  command
      ->add_option("--without", options->without,
                   absl::StrCat("Leave a mechanism out of the training steps: ", names,
                                "; or the kernels of another label that `meshstep show framework "
                                "NAME` prints"))
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
  command->add_flag("--rows", options->rows, "Text and Markdown: every row, not only families");
  command->add_option("--scenario", options->scenario,
                      "Print the scenario of the row of FILE with this name and stop");
  command->add_option("--scatter", options->scatter,
                      "Also draw predicted against measured: FILE.svg");
  command->add_option("--html", options->html, "Also write a page with the drawing and tables");
  command->add_option("--threads", options->threads, "Default: as many as the machine has")
      ->check(CLI::Range(1, 256));
  command
      ->add_option("--format", options->format,
                   "text (default), json, csv, markdown, textproto or binary")
      ->check(CLI::IsMember({"text", "json", "csv", "markdown", "textproto", "binary"}));
  command->footer("Example:\n  meshstep validate my_runs.csv --rows");
  command->callback([options] { RunValidate(*options); });
}

}  // namespace meshstep
