#include "sim/advice/variants.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sim/base/format.h"
#include "sim/base/parallel.h"
#include "sim/base/set_field.h"
#include "strategies/plan/schedules/schedule.h"

namespace meshstep {
namespace {

std::string Set(const char* field, std::int64_t value) {
  return absl::StrCat("plan.", field, "=", value);
}

// Degrees traded: `from` halved and `to` doubled.
void AddTrades(const v1::Plan& plan, std::vector<PlanEdit>* edits) {
  const struct {
    const char* name;
    int degree;
  } axes[] = {{"data", std::max(1, plan.data())},
              {"fsdp", std::max(1, plan.fsdp())},
              {"tensor", std::max(1, plan.tensor())},
              {"context", std::max(1, plan.context())},
              {"pipeline", std::max(1, plan.pipeline())}};
  for (const auto& from : axes) {
    for (const auto& to : axes) {
      if (from.name == to.name || from.degree % 2 != 0) continue;
      edits->push_back(
          {Set(from.name, from.degree / 2), Set(to.name, std::int64_t{2} * to.degree)});
    }
  }
}

// The other schedules, with as many virtual stages as they need.
void AddSchedules(const v1::Plan& plan, std::vector<PlanEdit>* edits) {
  const std::string usual = plan.virtual_stages() > 1 ? "interleaved" : "1f1b";
  const std::string now = plan.schedule().empty() ? usual : plan.schedule();
  for (const PublishedSchedule* schedule : Schedules()) {
    const std::string name(schedule->name());
    if (name == now) continue;
    const int parts = name == "interleaved" ? 2 : schedule->DefaultVirtualStages();
    PlanEdit edit = {"plan.schedule=" + name};
    if (parts > 1 || plan.has_virtual_stages()) edit.push_back(Set("virtual_stages", parts));
    edits->push_back(std::move(edit));
  }
}

void AddRecomputation(const ScenarioFile& input, std::vector<PlanEdit>* edits) {
  const v1::Plan& plan = input.proto.plan();
  const std::string set = plan.recompute().empty() ? "none" : plan.recompute();
  const std::string now = set == "block" ? "full" : set;
  for (const char* policy : {"none", "selective", "matmuls", "full"}) {
    if (now == policy) continue;
    PlanEdit edit = {absl::StrCat("plan.recompute=", policy)};
    // What is refused beside the new policy goes with the old one.
    if (plan.recompute_modules_size() > 0) edit.push_back("plan.recompute_modules=");
    if (std::string_view(policy) == "none" && plan.recompute_keep_size() > 0) {
      edit.push_back("plan.recompute_keep=");
    }
    edits->push_back(std::move(edit));
  }
  // Half of the layers of a stage, or of each of its parts.
  const int parts = input.scenario.plan.stages * input.scenario.plan.virtual_stages;
  const int half = input.scenario.model.layers / parts / 2;
  if (half == 0 || plan.recompute_layers() == half || (now != "full" && now != "none")) return;
  PlanEdit edit = {Set("recompute_layers", half)};
  if (now == "none") edit.insert(edit.begin(), "plan.recompute=full");
  edits->push_back(std::move(edit));
}

// What only a training step has.
void AddTraining(const ScenarioFile& input, std::vector<PlanEdit>* edits) {
  const v1::Plan& plan = input.proto.plan();
  AddRecomputation(input, edits);
  if (plan.data() > 1) {
    for (int zero = 0; zero <= 2; ++zero) {
      if (zero != plan.zero_stage()) edits->push_back({Set("zero_stage", zero)});
    }
  }
  if (plan.precision().optimizer() != "adam-bf16") {
    edits->push_back({"plan.precision.optimizer=adam-bf16"});
  }
  if (plan.precision().gradients() != "bf16") edits->push_back({"plan.precision.gradients=bf16"});
  if (input.scenario.cluster.chip.datasheet.host.value() > 0) {
    if (plan.offload().activations() == 0) edits->push_back({"plan.offload.activations=1"});
    if (plan.offload().optimizer() == 0) edits->push_back({"plan.offload.optimizer=1"});
  }
  if (plan.pipeline() > 1 && plan.schedule_table().empty()) AddSchedules(plan, edits);
}

std::string Sentence(const PlanEdit& edit, const v1::PlanChange& change, double base_s) {
  const auto bytes = static_cast<double>(change.peak_difference_bytes());
  const double time = change.step_time_difference_s() / base_s;
  return absl::StrCat(absl::StrJoin(edit, ", "), ": ", bytes < 0 ? "-" : "+",
                      FormatBytes(std::abs(bytes)), ", ", time < 0 ? "-" : "+",
                      FormatPercent(std::abs(time)), " time");
}

}  // namespace

std::vector<PlanEdit> PlanEdits(const ScenarioFile& input) {
  const v1::Plan& plan = input.proto.plan();
  std::vector<PlanEdit> edits;
  if (!input.scenario.workload.forward_only()) {
    AddTraining(input, &edits);
  } else {
    for (const char* type : {"int8", "fp8"}) {
      if (plan.precision().kv_cache() != type) {
        edits.push_back({absl::StrCat("plan.precision.kv_cache=", type)});
      }
      if (plan.precision().parameters() != type) {
        edits.push_back({absl::StrCat("plan.precision.parameters=", type)});
      }
    }
  }
  const auto micro = static_cast<std::int64_t>(input.scenario.plan.micro_batch_sequences);
  if (micro > 1) edits.push_back({Set("micro_batch_sequences", micro / 2)});
  edits.push_back({Set("micro_batch_sequences", 2 * micro)});
  if (plan.tensor() > 1) {
    edits.push_back({plan.sequence_parallel() ? "plan.sequence_parallel=false"
                                              : "plan.sequence_parallel=true"});
  }
  if (input.scenario.model.moe) {
    const int expert = std::max(1, plan.expert());
    edits.push_back({Set("expert", std::int64_t{2} * expert)});
    if (expert % 2 == 0) {
      edits.push_back({Set("expert", expert / 2)});
      edits.push_back({Set("expert", expert / 2),
                       Set("expert_tensor", std::int64_t{2} * std::max(1, plan.expert_tensor()))});
    }
  }
  if (plan.fsdp() > 1) {
    edits.push_back({Set("prefetch_layers", input.scenario.plan.prefetch_layers + 1)});
  }
  if (!plan.has_mesh()) AddTrades(plan, &edits);
  return edits;
}

bool ChangesNumbers(const PlanEdit& edit) {
  return std::ranges::any_of(
      edit, [](const std::string& set) { return set.starts_with("plan.precision."); });
}

std::optional<v1::PlanChange> SimulateEdit(const ScenarioFile& input, const PlanEdit& edit,
                                           const v1::SimulateReport& base,
                                           const SimulateOptions& options) {
  v1::Scenario changed = input.proto;
  for (const std::string& set : edit) {
    if (!SetField(set, &changed).ok()) return std::nullopt;
  }
  const StatusOr<v1::SimulateReport> report = Simulate(changed, options);
  if (!report.ok()) return std::nullopt;
  const v1::Memory& memory = report->memory();
  if (report->step_time_s() == base.step_time_s() &&
      memory.peak_bytes() == base.memory().peak_bytes()) {
    return std::nullopt;
  }
  v1::PlanChange change;
  for (const std::string& set : edit) change.add_set(set);
  change.set_fits(memory.fits());
  change.set_verdict(memory.verdict());
  change.set_peak_bytes(memory.peak_bytes());
  change.set_peak_difference_bytes(memory.peak_bytes() - base.memory().peak_bytes());
  change.set_step_time_s(report->step_time_s());
  change.set_step_time_difference_s(report->step_time_s() - base.step_time_s());
  change.set_text(Sentence(edit, change, base.step_time_s()));
  return change;
}

std::vector<v1::PlanChange> SimulateEdits(const ScenarioFile& input,
                                          const std::vector<PlanEdit>& edits,
                                          const v1::SimulateReport& base,
                                          const SimulateOptions& options) {
  // Each by itself, on as many threads as the machine has; the order is that of `edits`.
  std::vector<std::optional<v1::PlanChange>> found(edits.size());
  ParallelFor(edits.size(), 0,
              [&](std::size_t i) { found[i] = SimulateEdit(input, edits[i], base, options); });
  std::vector<v1::PlanChange> changes;
  for (std::optional<v1::PlanChange>& change : found) {
    if (change) changes.push_back(std::move(*change));
  }
  std::stable_sort(changes.begin(), changes.end(),
                   [](const v1::PlanChange& a, const v1::PlanChange& b) {
                     return a.step_time_s() < b.step_time_s();
                   });
  return changes;
}

}  // namespace meshstep
