// meshstep simulate: one step of each scenario.

#include <iostream>
#include <memory>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "sim/cli/commands.h"
#include "sim/cli/scenario_input.h"
#include "sim/cli/terminal.h"
#include "sim/report/html/html.h"
#include "sim/report/output_file.h"
#include "sim/report/text.h"
#include "sim/report/trace/trace.h"

namespace meshstep {
namespace {

struct Options {
  Catalog catalog;
  ScenarioOptions scenarios;
  SimulateOptions simulate;
  OutputFormat format = OutputFormat::kText;
  bool require_fit = false;
  std::string trace, html;  // paths; empty: none
};

// One message as it is; several as an array, or wrapped in the message for several.
std::string Written(const std::vector<v1::SimulateReport>& reports, OutputFormat format) {
  std::string out;
  if (format == OutputFormat::kText) {
    for (const v1::SimulateReport& report : reports) {
      absl::StrAppend(&out, out.empty() ? "" : "\n\n", ToText(report, TerminalStyle()));
    }
    return out;
  }
  if (reports.size() == 1) return Serialize(reports.front(), format);
  if (format == OutputFormat::kJson) {
    for (const v1::SimulateReport& report : reports) {
      absl::StrAppend(&out, out.empty() ? "[" : ",\n", ToJson(report));
    }
    return out + "]\n";
  }
  v1::SimulateReports all;
  for (const v1::SimulateReport& report : reports) *all.add_reports() = report;
  return Serialize(all, format);
}

Status CheckTrace(const Options& options) {
  if (options.trace.empty()) return absl::OkStatus();
  if (options.scenarios.names.size() > 1) {
    return InvalidInput(absl::StrCat("--trace: is of one scenario, but ",
                                     options.scenarios.names.size(), " are given"));
  }
  return CheckTracePath(options.trace);
}

void RunSimulate(const Options& options) {
  if (const Status status = CheckTrace(options); !status.ok()) Fail(status);
  Status written;  // told after the report, which a full disk must not cost
  std::string html;
  const auto visit = [&](const SimulatedStep& s) {
    if (!options.trace.empty()) written = WriteTrace(s.scenario, s.step, s.run, options.trace);
    if (!options.html.empty()) html += StepToHtml(s.scenario, s.step, s.run, s.report);
  };
  const std::vector<ScenarioFile> files = ReadScenarios(options.scenarios, options.catalog);
  CheckOutputsOf(files, {{"--trace", options.trace}, {"--html", options.html}});
  const std::vector<v1::SimulateReport> reports = SimulateAll(files, options.simulate, visit);
  if (!options.html.empty()) {
    written.Update(WriteFile("--html", options.html, HtmlPage(reports.front().scenario(), html)));
  }
  Print(Written(reports, options.format));
  if (!written.ok()) Fail(written);
  if (!options.require_fit) return;
  for (const v1::SimulateReport& report : reports) {
    if (report.memory().fits()) continue;
    std::cerr << report.scenario() << ": " << Verdict(report.memory()) << "\n";
    SetExitCode(kExitDoesNotFit);
  }
}

}  // namespace

void AddSimulateCommand(CLI::App* app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app->add_subcommand(
      "simulate", "Simulate one step: how long it takes, where the time goes, whether it fits");
  AddScenarioOptions(command, &options->scenarios, 1, -1);
  AddSimulateOptions(command, &options->simulate);
  AddFormatOption(command, &options->format);
  command->add_flag("--require-fit", options->require_fit,
                    "Exit with status 3 if a plan does not fit in memory");
  command->add_option("--trace", options->trace,
                      "Also write a timeline: FILE.pftrace (Perfetto) or FILE.json (Chrome)");
  command->add_option("--html", options->html, "Also write a report with charts: FILE.html");
  command->footer(
      "Example:\n"
      "  meshstep simulate llama3-70b-v5p-1024 --set plan.tensor=4 --set plan.fsdp=256");
  command->callback([options] { RunSimulate(*options); });
}

}  // namespace meshstep
