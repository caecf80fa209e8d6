#include "sim/cli/scenario_input.h"

#include <algorithm>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/str_join.h"
#include "sim/cli/commands.h"

namespace meshstep {

void AddScenarioOptions(CLI::App* command, ScenarioOptions* options, int at_least, int at_most) {
  command
      ->add_option("SCENARIO", options->names,
                   "A file (.textproto, .json, .binpb), an example's name, or - for standard input")
      ->required()
      ->expected(at_least, at_most);
  command->add_option("--input-format", options->files.input_format, "textproto, json or binary")
      ->check(CLI::IsMember({"textproto", "json", "binary"}));
  command
      ->add_option("--set", options->files.sets,
                   "PATH=VALUE overrides a field, as plan.tensor=8; repeat")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
}

void AddSimulateOptions(CLI::App* command, SimulateOptions* options) {
  command
      ->add_option_function<std::string>(
          "--fidelity",
          [options](const std::string& name) {
            options->fidelity = name == "ideal" ? Fidelity::kIdeal : Fidelity::kCalibrated;
          },
          "calibrated (default, measured efficiencies) or ideal (data-sheet rates)")
      ->check(CLI::IsMember({"calibrated", "ideal"}));
  command->add_flag("--unfolded", options->unfolded,
                    "Simulate every device and link; slow, the same times");
}

std::vector<ScenarioFile> ReadScenarios(const ScenarioOptions& options, const Catalog& catalog) {
  std::vector<ScenarioFile> files;
  std::vector<std::string> problems;
  if (std::count(options.names.begin(), options.names.end(), "-") > 1) {
    Fail(InvalidInput("-: standard input can be named once"));
  }
  for (const std::string& name : options.names) {
    StatusOr<ScenarioFile> file = ReadScenarioFile(name, options.files, catalog);
    if (file.ok()) {
      files.push_back(*std::move(file));
      continue;
    }
    const std::string problem(file.status().message());
    // A wrong --set is wrong for every file; once is enough.
    if (std::find(problems.begin(), problems.end(), problem) == problems.end()) {
      problems.push_back(problem);
    }
  }
  if (!problems.empty()) Fail(InvalidInput(absl::StrJoin(problems, "\n")));
  return files;
}

std::vector<v1::SimulateReport> SimulateAll(
    const std::vector<ScenarioFile>& files, const SimulateOptions& options,
    const std::function<void(const SimulatedStep& step)>& visit) {
  std::vector<v1::SimulateReport> reports;
  std::vector<std::string> problems;
  for (const ScenarioFile& file : files) {
    SimulateOptions located = options;
    located.locator = file.locator;
    StatusOr<SimulatedStep> step = SimulateStep(file.scenario, located);
    if (step.ok()) {
      if (visit) visit(*step);
      reports.push_back(std::move(step->report));
    } else if (step.status().code() == absl::StatusCode::kInternal) {
      Fail(step.status());
    } else {
      problems.emplace_back(step.status().message());
    }
  }
  if (!problems.empty()) Fail(InvalidInput(absl::StrJoin(problems, "\n")));
  return reports;
}

}  // namespace meshstep
