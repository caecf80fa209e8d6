// meshstep compare: scenarios side by side.

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "sim/cli/commands.h"
#include "sim/cli/scenario_input.h"
#include "sim/cli/terminal.h"
#include "sim/report/compare.h"
#include "sim/report/html/html.h"
#include "sim/report/output_file.h"
#include "sim/report/text.h"
#include "sim/simulate/stages.h"

namespace meshstep {
namespace {

struct Options {
  Catalog catalog;
  ScenarioOptions scenarios;
  SimulateOptions simulate;
  OutputFormat format = OutputFormat::kText;
  int baseline = 1;
  std::string html;  // path; empty: none
};

// What --set says of scenario `index`, from 0, alone: "tensor=4 fsdp=256"; "" if that is nothing or
// long.
std::string OwnSets(const std::vector<std::string>& sets, std::size_t index) {
  constexpr std::size_t kLong = 40;
  const std::string number = absl::StrCat(index + 1, ":");
  std::string out;
  for (const std::string& set : sets) {
    if (!set.starts_with(number)) continue;
    std::string own = set.substr(number.size());
    if (own.starts_with("plan.")) own = own.substr(5);
    absl::StrAppend(&out, out.empty() ? "" : " ", own);
  }
  return out.size() > kLong ? "" : out;
}

// Tells apart scenarios of one name: "NAME (tensor=4)" by what --set says of it alone, "NAME (FILE)",
// and the second of a file "NAME (FILE, 2)".
void DistinguishNames(const ScenarioOptions& options, std::vector<ScenarioFile>* inputs) {
  std::map<std::string, int> of_name;
  std::map<std::pair<std::string, std::string>, int> of_file;
  const bool tables = options.names.size() != inputs->size();
  for (std::size_t i = 0; i < inputs->size(); ++i) {
    std::string& name = (*inputs)[i].scenario.name;
    const std::string own = tables ? "" : OwnSets(options.files.sets, i);
    if (!own.empty()) absl::StrAppend(&name, " (", own, ")");
    ++of_name[name];
  }
  for (ScenarioFile& input : *inputs) {
    std::string& name = input.scenario.name;
    if (of_name[name] == 1) continue;
    const std::string file = input.path.substr(input.path.find_last_of('/') + 1);
    const int count = ++of_file[{name, file}];
    absl::StrAppend(&name, " (", file, count > 1 ? absl::StrCat(", ", count) : "", ")");
  }
}

void RunCompare(const Options& options) {
  std::vector<ScenarioFile> inputs = ReadScenarios(options.scenarios, options.catalog);
  if (inputs.size() < 2) {
    Fail(InvalidInput("SCENARIO: is one, expected two or more to compare, or a table of them"));
  }
  CheckOutputsOf(inputs, {{"--html", options.html}});
  DistinguishNames(options.scenarios, &inputs);
  std::string html;
  const std::vector<v1::SimulateReport> reports =
      SimulateAll(inputs, options.simulate, [&](const ScenarioFile&, SimulatedStep& s) {
        AddStageBreakdowns(s.step, s.run, &s.report);
        if (!options.html.empty()) html += StepToHtml(s.scenario, s.step, s.run, s.report);
      });
  std::vector<v1::Scenario> scenarios;
  for (const ScenarioFile& input : inputs) scenarios.push_back(input.proto);
  if (options.baseline > static_cast<int>(reports.size())) {
    Fail(InvalidInput(absl::StrCat("--baseline: is ", options.baseline, ", expected 1 to the ",
                                   reports.size(), " scenarios")));
  }
  const v1::CompareReport report =
      Compare(scenarios, reports, static_cast<std::size_t>(options.baseline) - 1);
  Status written;  // told after the report, which a full disk must not cost
  if (!options.html.empty()) {
    const std::string title = reports.front().scenario() + " and others";
    written = WriteFile("--html", options.html, HtmlPage(title, CompareToHtml(report) + html));
  }
  Print(options.format == OutputFormat::kText ? ToText(report, TerminalStyle())
                                              : Serialize(report, options.format));
  if (!written.ok()) Fail(written);
}

}  // namespace

void AddCompareCommand(CLI::App* app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app->add_subcommand(
      "compare", "Simulate scenarios side by side: what differs and why one is faster");
  AddScenarioOptions(command, &options->scenarios, 1, -1);
  AddSimulateOptions(command, &options->simulate);
  AddFormatOption(command, &options->format);
  command
      ->add_option("--baseline", options->baseline,
                   "Which scenario the others are compared with, from 1 (default)")
      ->check(CLI::Range(1, 1 << 20));
  command->add_option("--html", options->html, "Also write a report with charts: FILE.html");
  command->footer(
      "Example:\n"
      "  meshstep compare llama3-70b-h100-512 llama3-70b-h100-512 --set 2:plan.recompute=full");
  command->callback([options] { RunCompare(*options); });
}

}  // namespace meshstep
