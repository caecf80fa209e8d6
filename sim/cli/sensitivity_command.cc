// meshstep sensitivity: what the step time answers to.

#include <memory>

#include "CLI/CLI.hpp"
#include "sim/advice/sensitivity.h"
#include "sim/cli/commands.h"
#include "sim/cli/scenario_input.h"
#include "sim/report/advice_text.h"
#include "sim/report/html/html.h"
#include "sim/report/output_file.h"

namespace meshstep {
namespace {

struct Options {
  Catalog catalog;
  ScenarioOptions scenarios;
  SimulateOptions simulate;
  OutputFormat format = OutputFormat::kText;
  std::string html;  // path; empty: none
};

void RunSensitivity(const Options& options) {
  const std::vector<ScenarioFile> inputs = ReadScenarios(options.scenarios, options.catalog);
  CheckOutputsOf(inputs, {{"--html", options.html}});
  const v1::SimulateReport base = SimulateAll(inputs, options.simulate).front();
  const StatusOr<v1::SensitivityReport> report =
      Sensitivity(inputs.front(), base, options.simulate);
  if (!report.ok()) Fail(report.status());
  Status written;  // told after the report, which a full disk must not cost
  if (!options.html.empty()) {
    written =
        WriteFile("--html", options.html, HtmlPage(report->scenario(), SensitivityToHtml(*report)));
  }
  Print(options.format == OutputFormat::kText ? ToText(*report)
                                              : Serialize(*report, options.format));
  if (!written.ok()) Fail(written);
}

}  // namespace

void AddSensitivityCommand(CLI::App* app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app->add_subcommand(
      "sensitivity", "How the step time answers to each hardware rate and plan knob");
  AddScenarioOptions(command, &options->scenarios, 1, 1);
  AddSimulateOptions(command, &options->simulate);
  options->simulate.catalog = &options->catalog;
  AddFormatOption(command, &options->format);
  command->add_option("--html", options->html, "Also write a report with charts: FILE.html");
  command->footer(
      "Example:\n"
      "  meshstep sensitivity llama3-70b-v5p-1024");
  command->callback([options] { RunSensitivity(*options); });
}

}  // namespace meshstep
