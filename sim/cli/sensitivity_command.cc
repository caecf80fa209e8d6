// meshstep sensitivity: what the step time answers to.

#include <memory>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "sim/advice/variants.h"
#include "sim/base/format.h"
#include "sim/cli/commands.h"
#include "sim/cli/scenario_input.h"
#include "sim/report/html/html.h"
#include "sim/report/output_file.h"

namespace meshstep {
namespace {

struct Options {
  ScenarioOptions scenarios;
  SimulateOptions simulate;
  OutputFormat format = OutputFormat::kText;
  std::string html;  // path; empty: none
};

std::string ToText(const v1::SensitivityReport& report) {
  constexpr int kBar = 24;
  std::string text = absl::StrCat(report.scenario(), ": ", FormatSeconds(report.step_time_s()),
                                  " a step\n\nHardware, each rate alone\n");
  std::vector<std::vector<std::string>> rows = {{"", "twice as good", "half as good", "saves"}};
  for (const v1::HardwareResponse& r : report.hardware()) {
    rows.push_back(
        {r.rate(), FormatSeconds(r.better_step_time_s()), FormatSeconds(r.worse_step_time_s()),
         FormatPercent(r.saved_fraction()),
         r.saved_fraction() > 0 ? Bar(std::min(1.0, 2 * r.saved_fraction()), kBar) : ""});
  }
  absl::StrAppend(&text, FormatTable(rows, "<>>><", 2), "\nPlan, each change alone\n");
  rows = {{"", "step", "difference", "peak memory"}};
  for (const v1::PlanChange& c : report.plan()) {
    std::string set;
    for (const std::string& s : c.set()) absl::StrAppend(&set, set.empty() ? "" : " ", s);
    rows.push_back(
        {set, FormatSeconds(c.step_time_s()), FormatSecondsDifference(c.step_time_difference_s()),
         FormatBytes(static_cast<double>(c.peak_bytes())), c.fits() ? "" : "does not fit"});
  }
  return text + FormatTable(rows, "<>>><", 2);
}

void RunSensitivity(const Options& options) {
  const std::vector<ScenarioInput> inputs = ReadScenarios(options.scenarios);
  const v1::SimulateReport base = SimulateAll(inputs, options.simulate).front();
  v1::SensitivityReport report;
  report.set_scenario(base.scenario());
  report.set_step_time_s(base.step_time_s());
  StatusOr<std::vector<v1::HardwareResponse>> hardware =
      SimulateRates(inputs.front(), base.step_time_s(), options.simulate);
  if (!hardware.ok()) Fail(hardware.status());
  for (v1::HardwareResponse& r : *hardware) *report.add_hardware() = std::move(r);
  for (v1::PlanChange& c :
       SimulateEdits(inputs.front(), PlanEdits(inputs.front()), base, options.simulate)) {
    *report.add_plan() = std::move(c);
  }
  Print(options.format == OutputFormat::kText ? ToText(report) : Serialize(report, options.format));
  if (options.html.empty()) return;
  const Status status =
      WriteFile("--html", options.html, HtmlPage(report.scenario(), SensitivityToHtml(report)));
  if (!status.ok()) Fail(status);
}

}  // namespace

void AddSensitivityCommand(CLI::App* app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app->add_subcommand(
      "sensitivity", "How the step time answers to each hardware rate and plan knob");
  AddScenarioOptions(command, &options->scenarios, 1, 1);
  AddSimulateOptions(command, &options->simulate);
  AddFormatOption(command, &options->format);
  command->add_option("--html", options->html, "Also write a report with charts: FILE.html");
  command->footer(
      "Example:\n"
      "  meshstep sensitivity llama3-70b-v5p-1024");
  command->callback([options] { RunSensitivity(*options); });
}

}  // namespace meshstep
