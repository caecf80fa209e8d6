#include "sim/advice/variants.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sim/base/format.h"
#include "sim/base/set_field.h"
#include "sim/simulate/report.h"
#include "strategies/plan/load_scenario.h"
#include "strategies/plan/schedules/schedule.h"
#include "strategies/step/lower_step.h"

namespace meshstep {
namespace {

// A rate of a scenario and how to make it `factor` times as good.
struct HardwareRate {
  const char* name;
  void (*improve)(double factor, Scenario* scenario);
};

const HardwareRate kRates[] = {
    {"matrix rate",
     [](double factor, Scenario* scenario) {
       for (FlopsPerSecond& rate : scenario->cluster.chip.datasheet.matmul) rate = rate * factor;
     }},
    {"HBM rate",
     [](double factor, Scenario* scenario) {
       scenario->cluster.chip.datasheet.hbm_rate =
           scenario->cluster.chip.datasheet.hbm_rate * factor;
     }},
    {"link bandwidth",
     [](double factor, Scenario* scenario) {
       scenario->cluster.chip.datasheet.link = scenario->cluster.chip.datasheet.link * factor;
       scenario->cluster.chip.interconnect.die_to_die =
           scenario->cluster.chip.interconnect.die_to_die * factor;
       for (CollectiveCalibration& c : scenario->cluster.chip.collectives) {
         for (CollectiveCalibration::Group& group : c.groups) {
           for (BytesPerSecond& rate : group.rates) rate = rate * factor;
         }
       }
     }},
    {"NIC bandwidth",
     [](double factor, Scenario* scenario) {
       scenario->cluster.chip.datasheet.scale_out =
           scenario->cluster.chip.datasheet.scale_out * factor;
       scenario->cluster.nodes.nic = scenario->cluster.nodes.nic * factor;
     }},
    {"latency",
     [](double factor, Scenario* scenario) {
       scenario->cluster.chip.interconnect.latency =
           scenario->cluster.chip.interconnect.latency / factor;
       scenario->cluster.nodes.nic_latency = scenario->cluster.nodes.nic_latency / factor;
       for (Tier& tier : scenario->cluster.nodes.tiers) tier.latency = tier.latency / factor;
       for (CollectiveCalibration& c : scenario->cluster.chip.collectives) {
         for (CollectiveCalibration::Group& group : c.groups)
           group.latency = group.latency / factor;
       }
     }},
    {"kernel launch",
     [](double factor, Scenario* scenario) {
       ComputeCalibration& c = scenario->cluster.chip.calibration;
       for (MatmulCalibration& m : c.matmul) m.launch = m.launch / factor;
       c.elementwise_launch = c.elementwise_launch / factor;
     }},
    {"host dispatch",
     [](double factor, Scenario* scenario) {
       std::optional<double>& given = scenario->plan.kernels.host_dispatch_ns;
       if (given) *given /= factor;
       Seconds& dispatch = scenario->cluster.chip.calibration.host_dispatch;
       dispatch = dispatch / factor;
     }},
};

// Without launches no time of the host's is in the step.
bool Acts(const HardwareRate& rate, const Scenario& scenario) {
  return std::string_view(rate.name) != "host dispatch" ||
         scenario.plan.kernels.launches != Kernels::Launches::kNone;
}

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

void AddRecomputation(const ScenarioInput& input, std::vector<PlanEdit>* edits) {
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
void AddTraining(const ScenarioInput& input, std::vector<PlanEdit>* edits) {
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

StatusOr<double> StepSeconds(const Scenario& scenario, const SimulateOptions& options) {
  const Fidelity fidelity = options.ideal ? Fidelity::kIdeal : Fidelity::kCalibrated;
  ASSIGN_OR_RETURN(const StepGraph step,
                   LowerStep(scenario, {.fidelity = fidelity, .unfolded = options.unfolded}));
  ASSIGN_OR_RETURN(const Run run, Simulate(step.graph, step.Names()));
  return run.makespan.seconds();
}

}  // namespace

std::vector<PlanEdit> PlanEdits(const ScenarioInput& input) {
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

std::vector<v1::PlanChange> SimulateEdits(const ScenarioInput& input,
                                          const std::vector<PlanEdit>& edits,
                                          const v1::SimulateReport& base,
                                          const SimulateOptions& options) {
  std::vector<v1::PlanChange> changes;
  for (const PlanEdit& edit : edits) {
    ScenarioInput changed = input;
    bool ok = true;
    for (const std::string& set : edit) ok = ok && SetField(set, &changed.proto).ok();
    Diagnostics diagnostics;
    if (ok) changed.scenario = LoadScenario(changed.proto, &diagnostics);
    if (!ok || !diagnostics.ok()) continue;
    const StatusOr<v1::SimulateReport> report = SimulateOne(changed, options);
    if (!report.ok()) continue;
    if (report->step_time_s() == base.step_time_s() &&
        report->memory().peak_bytes() == base.memory().peak_bytes()) {
      continue;
    }
    v1::PlanChange change;
    for (const std::string& set : edit) change.add_set(set);
    change.set_fits(report->memory().fits());
    change.set_peak_bytes(report->memory().peak_bytes());
    change.set_peak_difference_bytes(report->memory().peak_bytes() - base.memory().peak_bytes());
    change.set_step_time_s(report->step_time_s());
    change.set_step_time_difference_s(report->step_time_s() - base.step_time_s());
    change.set_text(Sentence(edit, change, base.step_time_s()));
    changes.push_back(std::move(change));
  }
  std::stable_sort(changes.begin(), changes.end(),
                   [](const v1::PlanChange& a, const v1::PlanChange& b) {
                     return a.step_time_s() < b.step_time_s();
                   });
  return changes;
}

StatusOr<std::vector<v1::HardwareResponse>> SimulateRates(const ScenarioInput& input,
                                                          double step_time_s,
                                                          const SimulateOptions& options) {
  std::vector<v1::HardwareResponse> responses;
  for (const HardwareRate& rate : kRates) {
    if (!Acts(rate, input.scenario)) continue;
    v1::HardwareResponse response;
    response.set_rate(rate.name);
    for (const double factor : {2.0, 0.5}) {
      Scenario changed = input.scenario;
      rate.improve(factor, &changed);
      ASSIGN_OR_RETURN(const double seconds, StepSeconds(changed, options));
      if (factor > 1) {
        response.set_better_step_time_s(seconds);
      } else {
        response.set_worse_step_time_s(seconds);
      }
    }
    response.set_saved_fraction(1 - response.better_step_time_s() / step_time_s);
    responses.push_back(std::move(response));
  }
  std::stable_sort(responses.begin(), responses.end(),
                   [](const v1::HardwareResponse& a, const v1::HardwareResponse& b) {
                     return a.worse_step_time_s() - a.better_step_time_s() >
                            b.worse_step_time_s() - b.better_step_time_s();
                   });
  return responses;
}

}  // namespace meshstep
