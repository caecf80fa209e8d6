// meshstep check: is the scenario valid, does it fit, and what would.

#include <memory>

#include "CLI/CLI.hpp"
#include "sim/advice/check.h"
#include "sim/cli/commands.h"
#include "sim/cli/scenario_input.h"
#include "sim/report/advice_text.h"

namespace meshstep {
namespace {

struct Options {
  Catalog catalog;
  ScenarioOptions scenarios;
  SimulateOptions simulate;
  OutputFormat format = OutputFormat::kText;
};

void RunCheck(const Options& options) {
  const std::vector<ScenarioFile> inputs = ReadScenarios(options.scenarios, options.catalog);
  const v1::SimulateReport base = SimulateAll(inputs, options.simulate).front();
  const v1::CheckReport report = Check(inputs.front(), base, options.simulate);
  if (!report.memory().fits()) SetExitCode(kExitDoesNotFit);
  Print(options.format == OutputFormat::kText ? ToText(report) : Serialize(report, options.format));
}

}  // namespace

void AddCheckCommand(CLI::App* app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app->add_subcommand(
      "check", "Does the scenario fit in memory, and the nearest changes that do");
  AddScenarioOptions(command, &options->scenarios, 1, 1);
  AddSimulateOptions(command, &options->simulate);
  options->simulate.catalog = &options->catalog;
  AddFormatOption(command, &options->format);
  command->footer(
      "Exit status: 0 it fits, 2 it is not valid, 3 it does not fit.\n"
      "Example:\n"
      "  meshstep check llama3-70b-h100-512 --set plan.micro_batch_sequences=4");
  command->callback([options] { RunCheck(*options); });
}

}  // namespace meshstep
