#include "sim/advice/sensitivity.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/advice/variants.h"
#include "strategies/plan/plan.h"
#include "strategies/step/placement.h"

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
       for (GraphLink& link : scenario->cluster.graph) link.bandwidth = link.bandwidth * factor;
     }},
    {"NIC bandwidth",
     [](double factor, Scenario* scenario) {
       scenario->cluster.chip.datasheet.scale_out =
           scenario->cluster.chip.datasheet.scale_out * factor;
       scenario->cluster.nodes.nic = scenario->cluster.nodes.nic * factor;
       scenario->cluster.dcn = scenario->cluster.dcn * factor;
     }},
    {"host link",
     [](double factor, Scenario* scenario) {
       scenario->cluster.chip.datasheet.host = scenario->cluster.chip.datasheet.host * factor;
     }},
    {"latency",
     [](double factor, Scenario* scenario) {
       scenario->cluster.chip.interconnect.latency =
           scenario->cluster.chip.interconnect.latency / factor;
       scenario->cluster.nodes.nic_latency = scenario->cluster.nodes.nic_latency / factor;
       for (Tier& tier : scenario->cluster.nodes.tiers) tier.latency = tier.latency / factor;
       for (GraphLink& link : scenario->cluster.graph) link.latency = link.latency / factor;
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

// Without launches no time of the host's is in the step, without offload no copy of its own.
bool Acts(const HardwareRate& rate, const Scenario& scenario) {
  const std::string_view name = rate.name;
  if (name == "host dispatch") return scenario.plan.kernels.launches != Kernels::Launches::kNone;
  if (name == "host link") return scenario.plan.offload.any();
  const Cluster& cluster = scenario.cluster;
  const bool nodes = !cluster.is_torus() && !cluster.is_graph();
  if (name == "NIC bandwidth") {
    return cluster.slices > 1 || (nodes && cluster.chips > cluster.nodes.chips_per_node);
  }
  return true;
}

// Unfolded steps with more tasks take seconds each.
constexpr std::int64_t kMostUnfolded = 1'000'000;

// Max-min sharing has no order: what comes earlier may take links from what the step waits for. If
// the step is not slower where every transfer has its links to itself, that is why. Steps that are
// small enough are also run with every device and link. "": it is slower for another reason.
std::string WhySlower(const Scenario& scenario, const SimulatedStep& faster,
                      const SimulateOptions& options) {
  const auto alone = [](const SimulatedStep& step) {
    const StatusOr<Run> run =
        RunGraph(step.step.graph, step.step.Names(), FlowNetwork::Sharing::kAlone);
    return run.ok() ? run->makespan : Time::Max();
  };
  const StatusOr<SimulatedStep> base = SimulateStep(scenario, options);
  if (!base.ok() || alone(faster) > alone(*base)) return "";
  const v1::Simulation& size = base->report.simulation();
  const std::int64_t unfolded_tasks =
      size.tasks() / std::max<std::int64_t>(1, size.device_classes()) * scenario.cluster.devices();
  if (unfolded_tasks <= kMostUnfolded) {
    SimulateOptions unfolded = options;
    unfolded.unfolded = true;
    const StatusOr<SimulatedStep> now = SimulateStep(scenario, unfolded);
    const StatusOr<SimulatedStep> then = SimulateStep(faster.scenario, unfolded);
    if (!now.ok() || !then.ok() || then->run.makespan <= now->run.makespan) return "";
  }
  return "transfers then meet on links that they share; with links of their own it is no slower";
}

// Each rate of the cluster twice and half as good.
StatusOr<std::vector<v1::HardwareResponse>> SimulateRates(const Scenario& scenario,
                                                          double step_time_s,
                                                          const SimulateOptions& options) {
  std::vector<v1::HardwareResponse> responses;
  for (const HardwareRate& rate : kRates) {
    if (!Acts(rate, scenario)) continue;
    v1::HardwareResponse response;
    response.set_rate(rate.name);
    for (const double factor : {2.0, 0.5}) {
      Scenario changed = scenario;
      rate.improve(factor, &changed);
      ASSIGN_OR_RETURN(const SimulatedStep step, SimulateStep(changed, options));
      const double seconds = step.report.step_time_s();
      if (factor > 1) {
        if (seconds > step_time_s) response.set_why(WhySlower(scenario, step, options));
        if (seconds > step_time_s && response.why().empty()) continue;
        response.set_better_step_time_s(seconds);
        response.set_saved_fraction(1 - seconds / step_time_s);
      } else {
        response.set_worse_step_time_s(seconds);
      }
    }
    responses.push_back(std::move(response));
  }
  const auto spread = [&](const v1::HardwareResponse& r) {
    return r.worse_step_time_s() -
           (r.has_better_step_time_s() ? r.better_step_time_s() : step_time_s);
  };
  std::stable_sort(responses.begin(), responses.end(),
                   [&](const v1::HardwareResponse& a, const v1::HardwareResponse& b) {
                     return spread(a) > spread(b);
                   });
  return responses;
}

}  // namespace

StatusOr<v1::SensitivityReport> Sensitivity(const ScenarioFile& input,
                                            const v1::SimulateReport& base,
                                            const SimulateOptions& options) {
  v1::SensitivityReport report;
  report.set_scenario(base.scenario());
  report.set_step_time_s(base.step_time_s());
  ASSIGN_OR_RETURN(std::vector<v1::HardwareResponse> hardware,
                   SimulateRates(input.scenario, base.step_time_s(), options));
  for (v1::HardwareResponse& r : hardware) *report.add_hardware() = std::move(r);
  PlacementPool placements;
  SimulateOptions of_plans = options;
  of_plans.placements = &placements;
  for (v1::PlanChange& c : SimulateEdits(input, PlanEdits(input), base, of_plans)) {
    *report.add_plan() = std::move(c);
  }
  return report;
}

}  // namespace meshstep
