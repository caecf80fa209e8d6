// meshstep show: one chip, cluster or model as its file says it, or a scenario written out in full.

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "CLI/CLI.hpp"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/descriptor.h"
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

// "# tensor 8: N, K, F, V of COMPUTE and PARAMETERS; T of RESIDUAL", a line for each axis.
std::string AxisComments(const Plan& plan) {
  const std::pair<const char*, const std::vector<Rule>*> kinds[] = {
      {"COMPUTE", &plan.rules.compute},
      {"PARAMETERS", &plan.rules.parameters},
      {"OPTIMIZER", &plan.rules.optimizer},
      {"RESIDUAL", &plan.rules.residual}};
  std::string out;
  for (std::size_t a = 0; a < plan.axes.size(); ++a) {
    std::vector<std::pair<std::string, std::vector<std::string>>> parts;  // dimensions, of what
    for (const auto& [name, rules] : kinds) {
      std::vector<std::string> dims;
      for (const Rule& rule : *rules) {
        if (std::ranges::count(rule.axes, static_cast<AxisId>(a)) > 0) dims.push_back(rule.dim);
      }
      if (dims.empty()) continue;
      const std::string joined = absl::StrJoin(dims, ", ");
      const auto same = std::ranges::find(parts, joined, [](const auto& p) { return p.first; });
      if (same == parts.end()) {
        parts.push_back({joined, {name}});
      } else {
        same->second.emplace_back(name);
      }
    }
    if (parts.empty()) continue;
    std::vector<std::string> texts;
    for (const auto& [dims, of] : parts) {
      texts.push_back(absl::StrCat(dims, " of ", absl::StrJoin(of, " and ")));
    }
    absl::StrAppend(&out, "# ", plan.axes[a].name, " ", plan.axes[a].size, " shards ",
                    absl::StrJoin(texts, "; "), "\n");
  }
  return out;
}

// What was said, with what was inferred: degrees, micro-batches, the batch in sequences.
v1::Scenario Resolved(const ScenarioFile& file) {
  v1::Scenario scenario = file.proto;
  v1::Plan* plan = scenario.mutable_plan();
  if (!plan->has_mesh()) {
    const auto* descriptor = v1::Plan::descriptor();
    for (const char* name : {"data", "fsdp", "tensor", "context", "pipeline"}) {
      plan->GetReflection()->ClearField(plan, descriptor->FindFieldByName(name));
    }
    if (plan->zero_stage() == 3) plan->clear_zero_stage();
    for (const AxisRequest& axis : file.scenario.plan.axes) {
      const auto* field =
          descriptor->FindFieldByName(axis.part_of.empty() ? axis.name : axis.part_of);
      if (field == nullptr) continue;
      const auto* reflection = plan->GetReflection();
      const int before = std::max(1, reflection->GetInt32(*plan, field));
      reflection->SetInt32(plan, field, before * axis.size);
    }
  }
  scenario.mutable_workload()->clear_global_batch_tokens();
  scenario.mutable_workload()->set_global_batch_sequences(file.scenario.workload.batch);
  plan->set_micro_batch_sequences(
      static_cast<std::int32_t>(file.scenario.plan.micro_batch_sequences));
  return scenario;
}

std::string ShowScenario(Options options) {
  options.scenario.names = {options.name};
  const Catalog catalog;
  const ScenarioFile file = std::move(ReadScenarios(options.scenario, catalog).front());
  const bool is_short = options.format == OutputFormat::kText && !options.full;
  const v1::Scenario shown = is_short ? Resolved(file) : ExpandScenario(file.proto, catalog);
  if (options.format != OutputFormat::kText) return Serialize(shown, options.format);
  std::string text;
  google::protobuf::TextFormat::PrintToString(shown, &text);
  std::string notes;
  for (const std::string& note : file.scenario.notes) {
    absl::StrAppend(&notes, "# Note: ", note, "\n");
  }
  return absl::StrCat(
      "# proto-file: meshstep/v1/scenario.proto\n"
      "# proto-message: meshstep.v1.Scenario\n",
      is_short ? absl::StrCat("# --full prints the mesh, its rules and all that presets and the "
                              "framework give.\n",
                              AxisComments(file.scenario.plan))
               : "",
      notes, text);
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
      "show", "Show a chip, cluster, model or framework, or a scenario with what was inferred");
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
  command->add_flag(
      "--full", options->full,
      "Of a scenario, as text: its mesh and rules, and what its presets and framework give");
  AddFormatOption(command, &options->format);
  command->footer("Example:\n  meshstep show scenario llama3-70b-v5p-1024");
  command->callback([options] { RunShow(*options); });
}

}  // namespace meshstep
