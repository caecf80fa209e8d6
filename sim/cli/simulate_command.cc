// meshstep simulate: one step of each scenario.

#include <cstdint>
#include <iostream>
#include <memory>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "sim/advice/next_change.h"
#include "sim/advice/why.h"
#include "sim/base/format.h"
#include "sim/cli/commands.h"
#include "sim/cli/scenario_input.h"
#include "sim/cli/terminal.h"
#include "sim/report/html/html.h"
#include "sim/report/output_file.h"
#include "sim/report/text.h"
#include "sim/report/trace/trace.h"
#include "sim/simulate/stages.h"
#include "strategies/step/placement.h"

namespace meshstep {
namespace {

struct Options {
  Catalog catalog;
  ScenarioOptions scenarios;
  SimulateOptions simulate;
  OutputFormat format = OutputFormat::kText;
  std::string require_fit;  // "", "fits" or "strict"
  bool brief = false, bounds = false;
  std::string trace, html;  // paths; empty: none
  TraceWindowText window;
};

// Why and next take some more simulations: for a few scenarios, and next for people only.
constexpr std::size_t kMostExplained = 8;

void Explain(const ScenarioFile& file, const SimulatedStep& step, const Options& options,
             v1::SimulateReport* report) {
  AddStageBreakdowns(step.step, step.run, report);
  if (options.brief) return;
  SimulateOptions simulate = options.simulate;
  simulate.unfolded = false;  // the same times
  PlacementPool placements;
  simulate.placements = &placements;
  for (const v1::Cause& cause : Why(step, simulate)) *report->add_why() = cause;
  if (options.format != OutputFormat::kText || options.scenarios.names.size() > 1) return;
  if (auto next = BestNextChange(file, *report, simulate)) *report->mutable_next() = *next;
}

// One message as it is; several as an array, or wrapped in the message for several.
std::string Written(const std::vector<v1::SimulateReport>& reports, OutputFormat format,
                    bool bounds) {
  std::string out;
  if (format == OutputFormat::kText) {
    for (const v1::SimulateReport& report : reports) {
      absl::StrAppend(&out, out.empty() ? "" : "\n\n", ToText(report, TerminalStyle()),
                      bounds ? BoundsToText(report) : "");
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

// A file larger than this is announced before it is written.
constexpr std::int64_t kLargeTrace = 100'000'000;

StatusOr<TraceWindow> CheckTrace(const Options& options) {
  if (options.trace.empty()) return TraceWindow();
  if (options.scenarios.names.size() > 1) {
    return InvalidInput(absl::StrCat("--trace: is of one scenario, but ",
                                     options.scenarios.names.size(), " are given"));
  }
  RETURN_IF_ERROR(CheckTracePath(options.trace));
  return ParseTraceWindow(options.window);
}

Status Trace(const Options& options, const TraceWindow& window, const SimulatedStep& s) {
  RETURN_IF_ERROR(CheckTraceWindow(window, s.step, s.run));
  const std::int64_t bytes = TraceBytes(window, s.step, s.run, options.trace);
  if (bytes > kLargeTrace) {
    std::cerr << "meshstep: warning: --trace: writes about "
              << FormatTraffic(static_cast<double>(bytes))
              << "; --trace-stages, --trace-layers and --trace-time write a part of the step\n";
  }
  return WriteTrace(s.scenario, s.step, s.run, window, options.trace);
}

void RunSimulate(const Options& options) {
  const StatusOr<TraceWindow> window = CheckTrace(options);
  if (!window.ok()) Fail(window.status());
  Status written;  // told after the report, which a full disk must not cost
  std::string html;
  const std::vector<ScenarioFile> files = ReadScenarios(options.scenarios, options.catalog);
  const auto visit = [&](const ScenarioFile& file, SimulatedStep& s) {
    if (files.size() <= kMostExplained) Explain(file, s, options, &s.report);
    if (!options.trace.empty()) written = Trace(options, *window, s);
    if (!options.html.empty()) html += StepToHtml(s.scenario, s.step, s.run, s.report);
  };
  CheckOutputsOf(files, {{"--trace", options.trace}, {"--html", options.html}});
  const std::vector<v1::SimulateReport> reports = SimulateAll(files, options.simulate, visit);
  if (!options.html.empty()) {
    written.Update(WriteFile("--html", options.html, HtmlPage(reports.front().scenario(), html)));
  }
  Print(Written(reports, options.format, options.bounds));
  if (!written.ok()) Fail(written);
  if (options.require_fit.empty()) return;
  const bool strict = options.require_fit == "strict";
  for (const v1::SimulateReport& report : reports) {
    const v1::Memory::Verdict verdict = report.memory().verdict();
    if (verdict == v1::Memory::FITS || (verdict == v1::Memory::TIGHT && !strict)) continue;
    std::cerr << report.scenario() << ": " << Verdict(report.memory()) << "\n";
    SetExitCode(kExitDoesNotFit);
  }
}

void AddWindow(CLI::App* command, const std::string& name, std::string* text,
               const std::string& what) {
  command->add_option(name, *text, "Of --trace: " + what)->needs("--trace");
}

}  // namespace

void AddSimulateCommand(CLI::App* app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app->add_subcommand(
      "simulate", "Simulate one step: how long it takes, where the time goes, whether it fits");
  AddScenarioOptions(command, &options->scenarios, 1, -1);
  AddSimulateOptions(command, &options->simulate);
  AddFormatOption(command, &options->format);
  command
      ->add_flag("--require-fit{fits}", options->require_fit,
                 "Exit with status 3 if a plan does not fit in memory; --require-fit=strict: or if "
                 "it is tight")
      ->check(CLI::IsMember({"fits", "strict"}));
  command->add_flag("--brief", options->brief,
                    "Leave out why the step takes as long as it does and the best next change, "
                    "which take simulations of their own");
  command->add_flag("--bounds", options->bounds,
                    "Text: also print the parts of the physical bound");
  command->add_option("--trace", options->trace,
                      "Also write a timeline: FILE.pftrace (Perfetto) or FILE.json (Chrome)");
  AddWindow(command, "--trace-stages", &options->window.stages, "Only these stages: 0,60..63");
  AddWindow(command, "--trace-layers", &options->window.layers, "Only these layers: 10..12");
  AddWindow(command, "--trace-time", &options->window.time, "Only this time: 1.2s..1.25s");
  command->add_option("--html", options->html, "Also write a report with charts: FILE.html");
  command->footer(
      "Example:\n"
      "  meshstep simulate llama3-70b-v5p-1024 --set plan.tensor=4 --set plan.fsdp=256 "
      "--set plan.micro_batch_sequences=4");
  command->callback([options] { RunSimulate(*options); });
}

}  // namespace meshstep
