// meshstep show: one chip, cluster or model as its file says it, or a scenario written out in full.

#include <memory>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "meshstep/v1/chip.pb.h"
#include "meshstep/v1/cluster.pb.h"
#include "meshstep/v1/framework.pb.h"
#include "meshstep/v1/model.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/data_path.h"
#include "sim/cli/commands.h"
#include "sim/cli/scenario_input.h"
#include "sim/report/framework.h"
#include "strategies/model/load_model.h"
#include "strategies/plan/load_framework.h"
#include "strategies/plan/load_scenario.h"
#include "topologies/load_chip.h"
#include "topologies/load_cluster.h"

namespace meshstep {
namespace {

struct Options {
  std::string kind, name;
  ScenarioOptions scenario;
  bool full = false;
  OutputFormat format = OutputFormat::kText;
};

// What a file says is checked as if a scenario named it.
void Check(v1::Chip chip, const Catalog& catalog, Diagnostics* diagnostics) {
  catalog.Resolve("topologies/chips", "chip", &chip, diagnostics);
  if (diagnostics->ok()) LoadChip(chip, "chip", diagnostics);
}

void Check(v1::Cluster cluster, const Catalog& catalog, Diagnostics* diagnostics) {
  ResolveClusterPresets(&cluster, "cluster", catalog, diagnostics);
  if (!diagnostics->ok()) return;
  // Most files leave the size to the scenario.
  const bool sized = cluster.chips() != 0 || !cluster.slice().empty();
  if (sized) {
    LoadCluster(cluster, "cluster", diagnostics);
  } else {
    LoadChip(cluster.chip(), "cluster.chip", diagnostics);
  }
}

void Check(v1::Model model, const Catalog& catalog, Diagnostics* diagnostics) {
  catalog.Resolve("strategies/models", "model", &model, diagnostics);
  if (diagnostics->ok()) LoadModel(model, "model", diagnostics);
}

// As text, the file as it is: its comments say where the numbers come from.
template <class Message>
StatusOr<std::string> ShowFile(const std::string& folder, const Options& options) {
  const StatusOr<std::string> path = PresetPath(folder, options.name);
  if (!path.ok()) {
    return InvalidInput(absl::StrCat(options.kind, " ", std::string(path.status().message())));
  }
  const Catalog catalog;
  Message message;
  RETURN_IF_ERROR(catalog.Read(folder, options.name, &message));
  Message named;
  named.set_preset(options.name);
  Diagnostics diagnostics;
  Check(std::move(named), catalog, &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  if (options.format == OutputFormat::kText) return ReadFile(*path);
  return Serialize(message, options.format);
}

std::string ShowScenario(Options options) {
  options.scenario.names = {options.name};
  const Catalog catalog;
  const ScenarioFile file = std::move(ReadScenarios(options.scenario, catalog).front());
  v1::Scenario expanded = ExpandScenario(file.proto, catalog);
  if (options.format == OutputFormat::kText && !options.full) {
    // Presets stand by their names.
    *expanded.mutable_model() = file.proto.model();
    *expanded.mutable_cluster() = file.proto.cluster();
  }
  if (options.format != OutputFormat::kText) return Serialize(expanded, options.format);
  std::string text;
  google::protobuf::TextFormat::PrintToString(expanded, &text);
  std::string notes;
  for (const std::string& note : file.scenario.notes) {
    absl::StrAppend(&notes, "# Note: ", note, "\n");
  }
  return absl::StrCat(
      "# proto-file: meshstep/v1/scenario.proto\n"
      "# proto-message: meshstep.v1.Scenario\n",
      options.full ? "" : "# --full prints what presets give as well.\n", notes, text);
}

StatusOr<std::string> ShowFramework(const Options& options) {
  const StatusOr<std::vector<v1::Framework>> files = ReadFramework(options.name, Catalog());
  if (!files.ok()) {
    return InvalidInput(absl::StrCat("framework ", std::string(files.status().message())));
  }
  if (options.format == OutputFormat::kText) return FrameworkToText(options.name, *files);
  v1::Framework whole;
  for (const v1::Framework& file : *files) whole.MergeFrom(file);
  whole.clear_base();
  return Serialize(whole, options.format);
}

void RunShow(const Options& options) {
  if (options.kind == "scenario") {
    Print(ShowScenario(options));
    return;
  }
  const StatusOr<std::string> text =
      options.kind == "chip"        ? ShowFile<v1::Chip>("topologies/chips", options)
      : options.kind == "cluster"   ? ShowFile<v1::Cluster>("topologies/clusters", options)
      : options.kind == "framework" ? ShowFramework(options)
                                    : ShowFile<v1::Model>("strategies/models", options);
  if (!text.ok()) Fail(text.status());
  Print(*text);
}

}  // namespace

void AddShowCommand(CLI::App* app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app->add_subcommand(
      "show",
      "Show a chip, cluster, model or framework, or a scenario with its plan as mesh and rules");
  command->add_option("KIND", options->kind, "chip, cluster, model, framework or scenario")
      ->required()
      ->check(CLI::IsMember({"chip", "cluster", "model", "framework", "scenario"}));
  command->add_option("NAME", options->name, "A name from `meshstep list`, or a file")->required();
  command
      ->add_option("--input-format", options->scenario.files.input_format,
                   "Of a scenario: textproto, json or binary")
      ->check(CLI::IsMember({"textproto", "json", "binary"}));
  command
      ->add_option("--set", options->scenario.files.sets,
                   "Of a scenario: PATH=VALUE overrides a field")
      ->take_all()
      ->expected(1)
      ->allow_extra_args(false);
  command->add_flag("--full", options->full,
                    "Of a scenario, as text: also what its presets give");
  AddFormatOption(command, &options->format);
  command->footer("Example:\n  meshstep show scenario llama3-70b-v5p-1024");
  command->callback([options] { RunShow(*options); });
}

}  // namespace meshstep
