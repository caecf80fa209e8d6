#include "strategies/plan/load_scenario.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "meshstep/v1/scenario.pb.h"
#include "strategies/model/hugging_face/load_hf_config.h"
#include "strategies/model/load_model.h"
#include "strategies/plan/load_framework.h"
#include "strategies/plan/load_plan.h"
#include "strategies/plan/load_plan_parts.h"
#include "topologies/load_cluster.h"

namespace meshstep {
namespace {

constexpr char kModelFolder[] = "strategies/models";
constexpr std::int64_t kMaxBatch = 1000000000, kMaxSequence = 100000000;

Workload LoadWorkload(const v1::Workload& proto, Diagnostics* diagnostics) {
  Workload workload{proto.global_batch_sequences(), proto.sequence_length()};
  if (proto.mode() == v1::Workload::PREFILL) workload.mode = Workload::Mode::kPrefill;
  if (proto.mode() == v1::Workload::DECODE) workload.mode = Workload::Mode::kDecode;
  if (workload.batch < 1 || workload.batch > kMaxBatch) {
    diagnostics->Error("workload.global_batch_sequences",
                       absl::StrCat("is ", workload.batch, ", expected 1 to ", kMaxBatch));
    workload.batch = 1;
  }
  if (workload.sequence < 1 || workload.sequence > kMaxSequence) {
    diagnostics->Error("workload.sequence_length",
                       absl::StrCat("is ", workload.sequence, ", expected 1 to ", kMaxSequence));
    workload.sequence = 1;
  }
  if (proto.mode() < 0 || proto.mode() > v1::Workload::DECODE) {
    diagnostics->Error("workload.mode",
                       absl::StrCat("is ", proto.mode(), ", expected TRAIN, PREFILL or DECODE"));
  }
  return workload;
}

// The library that the plan names: its own over the cluster's, that over its framework's.
void LoadPlanLibrary(const v1::Scenario& given, const v1::Plan& merged, const Catalog& catalog,
                     Cluster* cluster, Diagnostics* diagnostics) {
  const std::string& name = merged.collective_library();
  const bool own = !given.plan().collective_library().empty();
  if (name.empty() || (!own && given.cluster().has_library())) return;
  SetLibrary(name, "plan.collective_library", catalog, cluster, diagnostics);
}

// The step of an evaluation inside a training step, of which `resolved` has presets and framework
// written out: its sequences, forward alone.
v1::Scenario EvaluationOf(const v1::Scenario& resolved) {
  v1::Scenario evaluation = resolved;
  evaluation.mutable_plan()->clear_framework();
  evaluation.mutable_plan()->clear_framework_options();
  v1::Workload* const workload = evaluation.mutable_workload();
  workload->set_mode(v1::Workload::PREFILL);
  workload->set_global_batch_sequences(workload->evaluation_sequences());
  workload->clear_evaluation_sequences();
  ClearTraining(evaluation.mutable_plan());
  return evaluation;
}

void LoadEvaluation(const v1::Scenario& resolved, const Catalog& catalog, Scenario* scenario,
                    Diagnostics* diagnostics) {
  const std::int64_t sequences = resolved.workload().evaluation_sequences();
  if (sequences == 0) return;
  if (sequences < 0 || sequences > kMaxBatch || scenario->workload.forward_only()) {
    diagnostics->Error("workload.evaluation_sequences",
                       absl::StrCat("is ", sequences, ", expected 0 to ", kMaxBatch,
                                    ", and 0 in a step that goes forward alone"));
    return;
  }
  Diagnostics own;
  auto loaded = std::make_shared<Scenario>(LoadScenario(EvaluationOf(resolved), catalog, &own));
  if (own.ok()) {
    scenario->evaluation = std::move(loaded);
    return;
  }
  const std::string why(own.status().message());
  diagnostics->Error("workload.evaluation_sequences",
                     absl::StrCat("is ", sequences, ", which do not go forward alone: ",
                                  why.substr(0, why.find('\n'))));
}

}  // namespace

Scenario LoadScenario(const v1::Scenario& proto, const Catalog& catalog, Diagnostics* diagnostics) {
  v1::Scenario resolved = proto;
  ResolveHfConfig("model", resolved.mutable_model(), diagnostics);
  catalog.Resolve(kModelFolder, "model", resolved.mutable_model(), diagnostics);
  ResolveClusterPresets(resolved.mutable_cluster(), "cluster", catalog, diagnostics);
  Scenario scenario;
  scenario.name = proto.name();
  scenario.workload = LoadWorkload(resolved.workload(), diagnostics);
  // Without a model or a cluster nothing below could be told apart from their problems.
  if (!diagnostics->ok()) return scenario;
  scenario.model = LoadModel(resolved.model(), "model", diagnostics);
  scenario.cluster = LoadCluster(resolved.cluster(), "cluster", diagnostics);
  for (const auto& [field, value] :
       {std::pair{"model.heads", scenario.model.heads}, std::pair{"model.ffn", scenario.model.ffn},
        std::pair{"model.vocab", scenario.model.vocab}}) {
    // Where every layer is routed there is no MLP.
    const bool needed = field != std::string_view("model.ffn") || !scenario.model.moe;
    if (value < 1 && needed) {
      diagnostics->Error(field, absl::StrCat("is ", value, ", expected at least 1 for a step"));
    }
  }
  if (!diagnostics->ok()) return scenario;
  v1::Plan* const plan = resolved.mutable_plan();
  MergeFramework("plan", scenario.model, scenario.cluster, scenario.workload, catalog, plan,
                 diagnostics);
  LoadPlanLibrary(proto, *plan, catalog, &scenario.cluster, diagnostics);
  scenario.plan =
      LoadPlan(*plan, "plan", scenario.model, scenario.cluster, scenario.workload, diagnostics);
  if (diagnostics->ok()) NoteLines(scenario.cluster, scenario.plan, "plan", diagnostics);
  NoteUnread(proto.plan(), *plan, "plan", scenario.model, scenario.plan, diagnostics);
  if (diagnostics->ok()) LoadEvaluation(resolved, catalog, &scenario, diagnostics);
  scenario.notes = diagnostics->notes();
  return scenario;
}

v1::Scenario ExpandScenario(const v1::Scenario& proto, const Catalog& catalog) {
  Diagnostics diagnostics;
  const Scenario scenario = LoadScenario(proto, catalog, &diagnostics);
  CHECK(diagnostics.ok()) << std::string(diagnostics.status().message());
  v1::Scenario expanded = proto;
  ResolveHfConfig("model", expanded.mutable_model(), &diagnostics);
  catalog.Resolve(kModelFolder, "model", expanded.mutable_model(), &diagnostics);
  ResolveClusterPresets(expanded.mutable_cluster(), "cluster", catalog, &diagnostics);
  // The library's tables follow from its name or the chip's vendor.
  if (proto.cluster().has_library()) {
    *expanded.mutable_cluster()->mutable_library() = proto.cluster().library();
  } else {
    expanded.mutable_cluster()->clear_library();
  }
  ExpandPlan(scenario.plan, expanded.mutable_plan());
  if (scenario.workload.forward_only()) {
    v1::Precision* precision = expanded.mutable_plan()->mutable_precision();
    precision->clear_gradients();
    precision->clear_reduce();
    precision->clear_optimizer();
  } else {
    expanded.mutable_plan()->mutable_precision()->clear_kv_cache();
  }
  return expanded;
}

}  // namespace meshstep
