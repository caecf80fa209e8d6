#include "sim/advice/search/plan_space.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/text_format.h"
#include "sim/base/check.h"
#include "sim/base/checked.h"
#include "sim/base/set_field.h"
#include "strategies/plan/load_scenario.h"
#include "strategies/plan/pipeline_parts.h"
#include "strategies/plan/schedules/schedule.h"

namespace meshstep {
namespace {

constexpr char kSame[] = "the same as another plan";
// FNV-1a of 64 bits (draft-eastlake-fnv).
std::uint64_t Hash(std::uint64_t hash, std::string_view bytes) {
  for (const char c : bytes) {
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  }
  return hash;
}

}  // namespace

const char* NameOf(Knob knob) {
  constexpr const char* kNames[] = {"degrees",
                                    "experts",
                                    "micro-batch",
                                    "varied",
                                    "schedule",
                                    "recompute",
                                    "sequence parallel",
                                    "async tensor",
                                    "zero and accumulation",
                                    "order",
                                    "overlap of parameters"};
  return kNames[static_cast<std::size_t>(knob)];
}

namespace {

// A batch in tokens as one in sequences.
Status CountSequences(const Catalog& catalog, v1::Workload* workload) {
  if (workload->global_batch_tokens().empty()) return absl::OkStatus();
  v1::Scenario alone;
  *alone.mutable_workload() = *workload;
  Diagnostics diagnostics;
  const std::int64_t batch = LoadScenario(alone, catalog, &diagnostics).workload.batch;
  // That model and cluster are missing is no matter.
  for (const std::string& error : diagnostics.errors()) {
    if (error.find("workload.") != std::string::npos) return InvalidInput(error);
  }
  workload->clear_global_batch_tokens();
  workload->set_global_batch_sequences(batch);
  return absl::OkStatus();
}

}  // namespace

StatusOr<PlanSpace> PlanSpace::Make(const v1::Scenario& base, std::span<const Vary> varied,
                                    const Catalog& catalog, Fidelity fidelity) {
  if (base.plan().has_mesh()) {
    return InvalidInput("plan.mesh: search varies degrees, expected a plan without mesh");
  }
  PlanSpace space;
  space.original_ = base;
  space.base_ = base;
  RETURN_IF_ERROR(CountSequences(catalog, space.base_.mutable_workload()));
  v1::Plan* const plan = space.base_.mutable_plan();
  plan->clear_layout();  // of one number of stages
  plan->clear_schedule_table();
  // Any degrees make model, cluster and workload known.
  v1::Scenario probe = space.base_;
  for (const char* field : {"data", "fsdp", "tensor", "context", "pipeline", "expert",
                            "expert_tensor", "virtual_stages", "schedule"}) {
    RETURN_IF_ERROR(SetField(absl::StrCat("plan.", field, "="), &probe));
  }
  ASSIGN_OR_RETURN(const std::int64_t devices, RestOfDevices("plan.data", probe, catalog));
  probe.mutable_plan()->set_data(static_cast<int>(devices));
  probe.mutable_plan()->set_micro_batch_sequences(1);
  probe.mutable_workload()->set_global_batch_sequences(devices);
  probe.mutable_workload()->clear_evaluation_sequences();
  Diagnostics diagnostics;
  space.loaded_ = LoadScenario(probe, catalog, &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  space.loaded_.workload.batch = space.base_.workload().global_batch_sequences();
  if (space.loaded_.workload.batch < 1) {
    return InvalidInput("workload.global_batch_sequences: expected at least 1");
  }
  RETURN_IF_ERROR(space.AddKnobs(catalog));
  for (const Vary& vary : varied) RETURN_IF_ERROR(space.Restrict(vary));
  space.Finish(fidelity);
  return space;
}

void PlanSpace::Finish(Fidelity fidelity) {
  size_ = 1;
  for (std::size_t k = knobs_.size(); k-- > 0;) {
    stride_[k] = size_;
    size_ = SaturatingMultiply(size_, static_cast<std::int64_t>(knobs_[k].size()));
  }
  std::string text;
  google::protobuf::TextFormat::PrintToString(base_, &text);
  std::uint64_t hash = Hash(0xcbf29ce484222325ULL, text);
  hash = Hash(hash, fidelity == Fidelity::kIdeal ? "ideal" : "calibrated");
  for (const std::vector<Choice>& choices : knobs_) {
    hash = Hash(hash, "|");
    for (const Choice& choice : choices) hash = Hash(hash, absl::StrJoin(choice.set, " ") + ";");
  }
  char buffer[17];
  std::snprintf(buffer, sizeof(buffer), "%016" PRIx64, hash);
  digest_ = buffer;
}

Choices PlanSpace::ChoicesOf(std::int64_t index) const {
  Choices choices;
  for (std::size_t k = 0; k < knobs_.size(); ++k) {
    choices[k] = static_cast<int>(index / stride_[k]);
    index %= stride_[k];
  }
  return choices;
}

const char* PlanSpace::RefusesDegrees(const Choice& choice) const {
  const PlanDegrees& d = choice.degrees;
  const Model& model = loaded_.model;
  if (model.heads % d.tensor != 0) return "tensor does not divide the heads";
  if (model.kv_heads > 0 && d.tensor > model.kv_heads && d.tensor % model.kv_heads != 0) {
    return "tensor does not divide the heads";
  }
  if (d.context > 1 && loaded_.workload.sequence % (2 * d.context) != 0) {
    return "context does not divide the sequence";
  }
  if (d.pipeline > model.layers) return "more stages than layers";
  if (loaded_.workload.batch % (static_cast<std::int64_t>(d.data) * d.fsdp) != 0) {
    return "replicas do not divide the batch";
  }
  return "";
}

// What a choice comes to beside those of the knobs before it; choices of one knob that come to the
// same are one plan.
std::string PlanSpace::Essence(Knob knob, const Choices& choices, const Choice& choice) const {
  const PlanDegrees& d = at(Knob::kDegrees, choices).degrees;
  // State is sharded over context and the data ranks of experts, too.
  const bool shards = d.data > 1 || d.context > 1 || loaded_.model.moe;
  switch (knob) {
    case Knob::kSchedule:
      return d.pipeline == 1 ? "" : absl::StrJoin(choice.set, " ");
    case Knob::kRecompute: {
      const int parts = at(Knob::kSchedule, choices).schedule->Parts(shape(choices));
      const bool all = std::int64_t{1} * choice.number * parts >= loaded_.model.layers;
      if (choice.set.empty()) return "";
      return absl::StrCat(choice.set[0], choice.set[1], all ? 0 : choice.number);
    }
    case Knob::kSequence:
      return d.tensor > 1 && choice.on ? "on" : "";
    case Knob::kAsync:
      return d.tensor > 1 && at(Knob::kSequence, choices).on && choice.on ? "on" : "";
    case Knob::kState:
      return absl::StrCat(shards ? choice.number : 0,
                          (d.fsdp > 1 || d.context > 1) && choice.on ? "+" : "");
    case Knob::kOverlap:
      return shards && at(Knob::kState, choices).number > 0 && choice.on ? "on" : "";
    case Knob::kOrder: {
      std::string axes;
      for (const std::string& axis : choice.order) {
        const int size = axis == "tensor"     ? d.tensor
                         : axis == "context"  ? d.context
                         : axis == "pipeline" ? d.pipeline
                         : axis == "fsdp"     ? d.fsdp
                                              : d.data;
        if (size > 1) absl::StrAppend(&axes, axis, " ");
      }
      return axes;
    }
    default:
      return absl::StrJoin(choice.set, " ");
  }
}

// Whether an earlier choice of the knob comes to the same.
bool PlanSpace::IsAnother(Knob knob, const Choices& choices) const {
  const int own = choices[static_cast<std::size_t>(knob)];
  if (own == 0) return false;
  const std::string essence = Essence(knob, choices, at(knob, choices));
  for (int i = 0; i < own; ++i) {
    const Choice& earlier = this->choices(knob)[static_cast<std::size_t>(i)];
    if (Essence(knob, choices, earlier) == essence) return true;
  }
  return false;
}

const char* PlanSpace::Refuses(Knob knob, const Choices& choices) const {
  const Choice& choice = at(knob, choices);
  const PlanDegrees& d = at(Knob::kDegrees, choices).degrees;
  switch (knob) {
    case Knob::kDegrees:
      return RefusesDegrees(choice);
    case Knob::kExperts: {
      const std::int64_t ranks = std::int64_t{1} * d.data * d.fsdp * d.context * d.tensor;
      return ranks % (std::int64_t{1} * choice.expert * choice.shards) == 0
                 ? ""
                 : "experts do not divide the ranks of a stage";
    }
    case Knob::kMicro: {
      const std::int64_t each =
          loaded_.workload.batch / (static_cast<std::int64_t>(d.data) * d.fsdp);
      return choice.number < 1 || each % choice.number != 0
                 ? "micro-batch does not divide the replica's batch"
                 : "";
    }
    case Knob::kSchedule:
      if (d.pipeline > 1) {
        if (choice.schedule->Parts(shape(choices)) > loaded_.model.layers) {
          return "more stages than layers";
        }
        if (!choice.schedule->Check(shape(choices)).ok()) return "the schedule cannot run";
      }
      return IsAnother(knob, choices) ? kSame : "";
    case Knob::kCustom:
      return "";
    default:
      return IsAnother(knob, choices) ? kSame : "";
  }
}

std::int64_t PlanSpace::micro_batches(const Choices& choices) const {
  const PlanDegrees& d = at(Knob::kDegrees, choices).degrees;
  return loaded_.workload.batch /
         (static_cast<std::int64_t>(d.data) * d.fsdp * at(Knob::kMicro, choices).number);
}

Pipeline PlanSpace::shape(const Choices& choices) const {
  return {at(Knob::kDegrees, choices).degrees.pipeline, at(Knob::kSchedule, choices).virtual_stages,
          micro_batches(choices), at(Knob::kCustom, choices).on};
}

std::vector<std::string> PlanSpace::SetOf(std::int64_t index) const {
  const Choices choices = ChoicesOf(index);
  v1::Scenario written = base_;
  std::vector<std::string> sets;
  for (std::size_t k = 0; k < knobs_.size(); ++k) {
    for (const std::string& set : at(static_cast<Knob>(k), choices).set) {
      const std::string before = written.SerializeAsString();
      CHECK(SetField(set, &written).ok()) << set;
      if (written.SerializeAsString() != before) sets.push_back(set);
    }
  }
  return sets;
}

v1::Scenario PlanSpace::ScenarioOf(const Choices& choices, std::span<const Knob> knobs) const {
  v1::Scenario scenario = base_;
  for (const Knob k : knobs) {
    for (const std::string& set : at(k, choices).set) {
      CHECK(SetField(set, &scenario).ok()) << set;
    }
  }
  return scenario;
}

v1::Scenario PlanSpace::ScenarioOf(std::int64_t index) const {
  return ScenarioOf(ChoicesOf(index), kAllKnobs);
}

bool PlacesTensorFirst(const PlanSpace& space) {
  const Cluster& cluster = space.loaded().cluster;
  if (cluster.is_torus() || cluster.is_graph()) return false;
  return std::ranges::all_of(space.choices(Knob::kOrder), [](const Choice& choice) {
    return choice.order.size() > 2 && choice.order[0] == "tensor" && choice.order[1] == "context";
  });
}

std::vector<std::string> PlanSpace::Dimensions() const {
  std::vector<std::string> lines;
  for (std::size_t k = 0; k < knobs_.size(); ++k) {
    if (knobs_[k].size() > 1) {
      lines.push_back(absl::StrCat(NameOf(static_cast<Knob>(k)), ": ", knobs_[k].size()));
    }
  }
  return lines;
}

}  // namespace meshstep
