#include "sim/cli/scenario_input.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <iterator>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sim/base/data_path.h"
#include "sim/base/proto_file.h"
#include "sim/base/set_field.h"
#include "sim/cli/commands.h"
#include "strategies/plan/load_scenario.h"

namespace meshstep {
namespace {

constexpr std::size_t kMaxInputBytes = 64 << 20;
StatusOr<std::string> ReadStandardInput() {
  std::string content;
  std::vector<char> buffer(1 << 16);
  while (std::cin) {
    std::cin.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    content.append(buffer.data(), static_cast<std::size_t>(std::cin.gcount()));
    if (content.size() > kMaxInputBytes) {
      return InvalidInput(absl::StrCat("-: is longer than ", kMaxInputBytes, " bytes"));
    }
  }
  if (std::cin.bad()) return InvalidInput("-: standard input cannot be read");
  return content;
}

// A file as named, or the example of that name.
std::string PathOf(const std::string& name) {
  std::error_code ignored;
  if (name.find('/') != std::string::npos || std::filesystem::exists(name, ignored)) return name;
  const StatusOr<std::string> example = PresetPath("examples", name);
  return example.ok() ? *example : name;
}

StatusOr<InputFormat> FormatOf(const std::string& path, const std::string& input_format) {
  if (!input_format.empty()) return ParseInputFormat(input_format);
  if (path == "-") {
    return InvalidInput("-: give --input-format=textproto, json or binary with standard input");
  }
  return FormatOfFile(path);
}

// Fields that --set wrote are found there, not in the file.
Locator WithOverrides(Locator file, const std::vector<std::string>& sets) {
  std::vector<std::string> paths;
  for (const std::string& set : sets) paths.push_back(set.substr(0, set.find('=')));
  return [file = std::move(file), paths = std::move(paths)](const std::string& field) {
    for (const std::string& path : paths) {
      const bool inside =
          field.starts_with(path) &&
          (field.size() == path.size() || field[path.size()] == '.' || field[path.size()] == '[');
      if (inside) return std::string("--set");
    }
    return file(field);
  };
}

Status ReadOne(const std::string& name, const ScenarioOptions& options, ScenarioInput* input) {
  input->file = PathOf(name);
  ASSIGN_OR_RETURN(const std::string content, input->file == "-"
                                                  ? ReadStandardInput()
                                                  : ReadFile(input->file, kMaxInputBytes));
  ASSIGN_OR_RETURN(const InputFormat format, FormatOf(input->file, options.input_format));
  if (content.find_first_not_of(" \t\r\n") == std::string::npos) {
    return InvalidInput(input->file + ": is empty, expected a meshstep.v1.Scenario");
  }
  Locator locator;
  RETURN_IF_ERROR(ParseMessage(input->file, content, format, &input->proto, &locator));
  for (const std::string& set : options.sets) {
    if (const Status status = SetField(set, &input->proto); !status.ok()) {
      return InvalidInput(absl::StrCat("--set: ", std::string(status.message())));
    }
  }
  if (input->proto.name().empty()) {
    input->proto.set_name(input->file == "-" ? "scenario"
                                             : std::filesystem::path(input->file).stem().string());
  }
  if (const std::string& hf = input->proto.model().hf_config();
      !hf.empty() && input->file != "-" && std::filesystem::path(hf).is_relative()) {
    input->proto.mutable_model()->set_hf_config(
        (std::filesystem::path(input->file).parent_path() / hf).string());
  }
  input->locator = WithOverrides(std::move(locator), options.sets);
  Diagnostics diagnostics(input->locator);
  input->scenario = LoadScenario(input->proto, &diagnostics);
  return diagnostics.status();
}

// Errors that are not located in a file, with its name before them, and the place of their field.
std::string Prefixed(const ScenarioInput& input, const Status& status) {
  const std::string message(status.message());
  if (message.starts_with(input.file) || message.starts_with("--")) return message;
  std::string place = input.file;
  if (message.starts_with("plan.") && input.locator) {
    const std::string found = input.locator(message.substr(0, message.find(':')));
    if (!found.empty()) place = found;
  }
  return absl::StrCat(place, ": ", message);
}

}  // namespace

void AddScenarioOptions(CLI::App* command, ScenarioOptions* options, int at_least, int at_most) {
  command
      ->add_option("SCENARIO", options->files,
                   "A file (.textproto, .json, .binpb), an example's name, or - for standard input")
      ->required()
      ->expected(at_least, at_most);
  command->add_option("--input-format", options->input_format, "textproto, json or binary")
      ->check(CLI::IsMember({"textproto", "json", "binary"}));
  command
      ->add_option("--set", options->sets, "PATH=VALUE overrides a field, as plan.tensor=8; repeat")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
}

void AddSimulateOptions(CLI::App* command, SimulateOptions* options) {
  command
      ->add_option_function<std::string>(
          "--fidelity", [options](const std::string& name) { options->ideal = name == "ideal"; },
          "calibrated (default, measured efficiencies) or ideal (data-sheet rates)")
      ->check(CLI::IsMember({"calibrated", "ideal"}));
  command->add_flag("--unfolded", options->unfolded,
                    "Simulate every device and link; slow, the same times");
}

std::vector<ScenarioInput> ReadScenarios(const ScenarioOptions& options) {
  std::vector<ScenarioInput> inputs(options.files.size());
  std::vector<std::string> problems;
  if (std::count(options.files.begin(), options.files.end(), "-") > 1) {
    Fail(InvalidInput("-: standard input can be named once"));
  }
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    const Status status = ReadOne(options.files[i], options, &inputs[i]);
    if (status.ok()) continue;
    const std::string problem(status.message());
    // A wrong --set is wrong for every file; once is enough.
    if (std::find(problems.begin(), problems.end(), problem) == problems.end()) {
      problems.push_back(problem);
    }
  }
  if (!problems.empty()) Fail(InvalidInput(absl::StrJoin(problems, "\n")));
  return inputs;
}

std::vector<v1::SimulateReport> SimulateAll(const std::vector<ScenarioInput>& inputs,
                                            const SimulateOptions& options,
                                            const StepVisitor& visit) {
  std::vector<v1::SimulateReport> reports;
  std::vector<std::string> problems;
  for (const ScenarioInput& input : inputs) {
    StatusOr<v1::SimulateReport> report = SimulateOne(input, options, visit);
    if (report.ok()) {
      reports.push_back(*std::move(report));
    } else if (report.status().code() == absl::StatusCode::kInternal) {
      Fail(report.status());
    } else {
      problems.push_back(Prefixed(input, report.status()));
    }
  }
  if (!problems.empty()) Fail(InvalidInput(absl::StrJoin(problems, "\n")));
  return reports;
}

}  // namespace meshstep
