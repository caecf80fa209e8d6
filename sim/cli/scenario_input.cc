#include "sim/cli/scenario_input.h"

#include <algorithm>
#include <iostream>
#include <utility>

#include "CLI/CLI.hpp"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sim/base/counted.h"
#include "sim/cli/commands.h"
#include "sim/simulate/scenario_fields.h"
#include "sim/simulate/scenario_table.h"
#include "strategies/plan/load_scenario.h"

namespace meshstep {

void AddScenarioOptions(CLI::App* command, ScenarioOptions* options, int at_least, int at_most) {
  command
      ->add_option(
          "SCENARIO", options->names,
          "A file (.textproto, .json, .binpb), a table of scenarios (.csv), an example's name, "
          "or - for standard input")
      ->required()
      ->expected(at_least, at_most);
  command->add_option("--input-format", options->files.input_format, "textproto, json or binary")
      ->check(CLI::IsMember({"textproto", "json", "binary"}));
  command
      ->add_option("--set", options->files.sets,
                   "PATH=VALUE overrides a field, as plan.tensor=8; N:PATH=VALUE of the Nth "
                   "scenario only; repeat")
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

namespace {

// The rows of a table as files of their own, but for those that say why they have no result.
Status ReadTable(const std::string& name, const std::vector<std::string>& sets,
                 const Catalog& catalog, std::vector<ScenarioFile>* files) {
  ASSIGN_OR_RETURN(ScenarioTable table, ReadScenarioTable(name));
  std::vector<std::string> problems;
  std::int64_t left_out = 0;
  for (ScenarioRow& row : table.rows) {
    if (!row.reason.empty()) {
      ++left_out;
      continue;
    }
    ScenarioFile file{
        .path = name, .proto = std::move(row.scenario), .locator = row.locator, .scenario = {}};
    for (const std::string& set : sets) {
      if (const Status status = SetScenarioField(set, &file.proto); !status.ok()) {
        return InvalidInput(absl::StrCat("--set: ", std::string(status.message())));
      }
    }
    Diagnostics diagnostics(file.locator);
    file.scenario = LoadScenario(file.proto, catalog, &diagnostics);
    if (diagnostics.ok()) {
      files->push_back(std::move(file));
    } else {
      problems.emplace_back(diagnostics.status().message());
    }
  }
  if (table.rows.empty()) return InvalidInput(absl::StrCat(name, ": has no rows"));
  if (left_out == std::ssize(table.rows)) {
    return InvalidInput(absl::StrCat(name, ": every row has a reason why there is no result"));
  }
  if (left_out > 0) {
    std::cerr << name << ": " << Counted(left_out, "row") << " with a reason left out\n";
  }
  return problems.empty() ? Status() : InvalidInput(absl::StrJoin(problems, "\n"));
}

Status ReadOne(const std::string& name, const ScenarioFileOptions& options, const Catalog& catalog,
               std::vector<ScenarioFile>* files) {
  if (IsScenarioTable(name)) return ReadTable(name, options.sets, catalog, files);
  ASSIGN_OR_RETURN(ScenarioFile file, ReadScenarioFile(name, options, catalog));
  files->push_back(std::move(file));
  return absl::OkStatus();
}

// Those of `sets` that are for scenario `index` (from 0) of `count`, or for all. Error: one is for a
// scenario that is not there.
StatusOr<std::vector<std::string>> SetsFor(std::size_t index, std::size_t count,
                                           const std::vector<std::string>& sets) {
  std::vector<std::string> own;
  for (const std::string& set : sets) {
    const std::size_t colon = set.find(':'), equals = set.find('=');
    if (colon == std::string::npos || colon > equals) {
      own.push_back(set);
      continue;
    }
    int number = 0;
    if (!absl::SimpleAtoi(set.substr(0, colon), &number) || number < 1 ||
        static_cast<std::size_t>(number) > count) {
      return InvalidInput(absl::StrCat("--set: is \"", set.substr(0, 64),
                                       "\", expected N:PATH=VALUE with N from 1 to ", count));
    }
    if (static_cast<std::size_t>(number) == index + 1) own.push_back(set.substr(colon + 1));
  }
  return own;
}

}  // namespace

std::vector<ScenarioFile> ReadScenarios(const ScenarioOptions& options, const Catalog& catalog) {
  std::vector<ScenarioFile> files;
  std::vector<std::string> problems;
  if (std::count(options.names.begin(), options.names.end(), "-") > 1) {
    Fail(InvalidInput("-: standard input can be named once"));
  }
  for (std::size_t i = 0; i < options.names.size(); ++i) {
    ScenarioFileOptions own = options.files;
    Status status = absl::OkStatus();
    if (auto sets = SetsFor(i, options.names.size(), options.files.sets); sets.ok()) {
      own.sets = *std::move(sets);
      status = ReadOne(options.names[i], own, catalog, &files);
    } else {
      status = sets.status();
    }
    if (status.ok()) continue;
    const std::string problem(status.message());
    // A wrong --set is wrong for every file; once is enough.
    if (std::find(problems.begin(), problems.end(), problem) == problems.end()) {
      problems.push_back(problem);
    }
  }
  if (!problems.empty()) Fail(InvalidInput(absl::StrJoin(problems, "\n")));
  return files;
}

void CheckOutputsOf(const std::vector<ScenarioFile>& files,
                    const std::vector<NamedOutput>& outputs) {
  std::vector<std::string> inputs;
  for (const ScenarioFile& file : files) {
    const v1::Scenario& s = file.proto;
    inputs.insert(inputs.end(),
                  {file.path, s.model().hf_config(), s.plan().schedule_table(), s.model().preset(),
                   s.cluster().preset(), s.cluster().chip().preset(), s.plan().kernels().preset()});
  }
  if (const Status status = CheckOutputs(outputs, inputs); !status.ok()) Fail(status);
}

std::vector<v1::SimulateReport> SimulateAll(
    const std::vector<ScenarioFile>& files, const SimulateOptions& options,
    const std::function<void(const ScenarioFile& file, SimulatedStep& step)>& visit) {
  std::vector<v1::SimulateReport> reports;
  std::vector<std::string> problems;
  for (const ScenarioFile& file : files) {
    SimulateOptions located = options;
    located.locator = file.locator;
    StatusOr<SimulatedStep> step = SimulateStep(file.scenario, located);
    if (step.ok()) {
      if (visit) visit(file, *step);
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
