#include "sim/advice/why.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sim/advice/balanced_stages.h"
#include "sim/base/format.h"
#include "sim/base/index.h"

namespace meshstep {
namespace {

constexpr double kWorthALine = 0.01;  // of the step
// Steps with more tasks take seconds each.
constexpr TaskId kMostTasks = 1'500'000;

// A cause, whether the step can have it, and how to be rid of it.
struct Remedy {
  const char* cause;
  bool (*acts)(const Scenario& scenario);
  void (*remove)(Scenario* scenario);
  std::string (*text)(const SimulatedStep& with, const SimulatedStep& without);
};

// The kernel that gained most: "recompute mlp_in takes 4.57 ms instead of 2.91 ms".
std::string MostSlowed(const SimulatedStep& with, const SimulatedStep& without) {
  std::string text;
  double most = 0;
  for (const v1::ComputeRow& row : with.report.breakdown_detail().compute()) {
    for (const v1::ComputeRow& other : without.report.breakdown_detail().compute()) {
      const bool same = row.op() == other.op() && row.pass() == other.pass() && row.count() > 0 &&
                        row.count() == other.count();
      if (!same || row.busy_s() - other.busy_s() <= most) continue;
      most = row.busy_s() - other.busy_s();
      const auto each = [&](double busy) {
        return FormatSeconds(busy / static_cast<double>(row.count()));
      };
      text = absl::StrCat("; ", row.op(), " (", row.pass(), ") takes ", each(row.busy_s()),
                          " instead of ", each(other.busy_s()));
    }
  }
  return text;
}

std::string UnitsText(const SimulatedStep& with, const SimulatedStep& without) {
  std::int32_t most = 0;  // millionths
  for (TaskId t = 0; t < with.step.graph.tasks(); ++t) {
    if (with.step.tasks[Index(t)].transfer < 0) continue;
    most = std::max(most, with.step.graph.taken(with.step.graph.pattern(t)));
  }
  const int units = with.scenario.cluster.chip.compute_units;
  return absl::StrCat("collectives hold up to ", std::lround(1e-6 * most * units), " of ", units,
                      " compute units beside kernels", MostSlowed(with, without));
}

std::string StragglersText(const SimulatedStep& with, const SimulatedStep& without) {
  return absl::StrCat("matmuls go at the pace of the slowest of ",
                      FormatCount(with.scenario.cluster.chips), " chips",
                      MostSlowed(with, without));
}

std::string HostText(const SimulatedStep& with, const SimulatedStep&) {
  return absl::StrCat("the device waits ",
                      FormatSeconds(with.report.breakdown_detail().launches_s()),
                      " for the host to issue kernels");
}

std::string PaddingText(const SimulatedStep& with, const SimulatedStep& without) {
  return absl::StrCat("tiles and waves of matmuls are not full", MostSlowed(with, without));
}

std::string ImbalanceText(const SimulatedStep& with, const SimulatedStep&) {
  return absl::StrCat("the busiest expert rank gets ",
                      FormatNumber(with.scenario.plan.expert_imbalance), "x the mean of tokens");
}

// Matmuls fill every unit, whatever their shape.
void FillTiles(Scenario* scenario) {
  for (MatmulCalibration& matmul : scenario->cluster.chip.calibration.matmul) {
    matmul.choose_tile = false;
    matmul.tile_m = matmul.tile_n = 1;
  }
}

const Remedy kRemedies[] = {
    {"collectives_take_units",
     [](const Scenario& s) {
       return s.plan.collectives_take_units && s.cluster.chip.calibration.collective_units > 0;
     },
     [](Scenario* s) { s->plan.collectives_take_units = false; }, UnitsText},
    {"stragglers",
     [](const Scenario& s) {
       return s.plan.stragglers && s.cluster.chip.calibration.speed_spread > 0;
     },
     [](Scenario* s) { s->plan.stragglers = false; }, StragglersText},
    {"host", [](const Scenario& s) { return s.plan.kernels.launches != Kernels::Launches::kNone; },
     [](Scenario* s) { s->plan.kernels.launches = Kernels::Launches::kNone; }, HostText},
    {"padding", [](const Scenario&) { return true; }, FillTiles, PaddingText},
    {"expert_imbalance", [](const Scenario& s) { return s.plan.expert_imbalance > 1; },
     [](Scenario* s) { s->plan.expert_imbalance = 1; }, ImbalanceText},
};

void AddCause(const char* cause, double seconds, const std::string& text, double step_s,
              std::vector<v1::Cause>* causes) {
  if (!(seconds > kWorthALine * step_s)) return;
  v1::Cause& out = causes->emplace_back();
  out.set_cause(cause);
  out.set_seconds(seconds);
  out.set_text(text);
}

// The transfers whose durations sharing lengthens most, by what they move and over which axes.
std::string SharedText(const StepGraph& step, const Run& shared, const Run& alone) {
  std::vector<double> longer(step.transfers.size(), 0);
  for (TaskId t = 0; t < step.graph.tasks(); ++t) {
    const std::int32_t transfer = step.tasks[Index(t)].transfer;
    if (transfer < 0) continue;
    longer[Index(transfer)] += (shared.end[Index(t)] - shared.start[Index(t)]).seconds() -
                               (alone.end[Index(t)] - alone.start[Index(t)]).seconds();
  }
  const auto most = std::max_element(longer.begin(), longer.end());
  std::string text = "transfers that are in flight at one time share links";
  if (most == longer.end() || *most <= 0) return text;
  const StepTransfer& transfer = step.transfers[static_cast<std::size_t>(most - longer.begin())];
  std::string axes;
  for (const std::string& axis : transfer.axes)
    absl::StrAppend(&axes, axes.empty() ? "" : "+", axis);
  return absl::StrCat(text, ", most of all ", std::string(NameOf(transfer.spec.collective)), " of ",
                      std::string(NameOf(transfer.spec.role)), " over ", axes);
}

void AddContention(const SimulatedStep& base, std::vector<v1::Cause>* causes) {
  const StatusOr<Run> alone =
      RunGraph(base.step.graph, base.step.Names(), FlowNetwork::Sharing::kAlone);
  if (!alone.ok()) return;
  AddCause("network_contention", (base.run.makespan - alone->makespan).seconds(),
           SharedText(base.step, base.run, *alone), base.report.step_time_s(), causes);
}

// Stages that compute for different times, against stages that all take the mean.
void AddStageImbalance(const SimulatedStep& base, std::vector<v1::Cause>* causes) {
  if (base.scenario.plan.stages < 2) return;
  const BalancedStages balanced = Balance(base.step);
  const StatusOr<Run> run = RunGraph(balanced.graph, base.step.Names());
  if (!run.ok()) return;
  AddCause("stage_imbalance", (base.run.makespan - run->makespan).seconds(),
           absl::StrCat("stages are not equal: stage ", balanced.stage, " computes for ",
                        FormatSeconds(balanced.longest.seconds()), ", the mean of stages is ",
                        FormatSeconds(balanced.mean.seconds())),
           base.report.step_time_s(), causes);
}

}  // namespace

std::vector<v1::Cause> Why(const SimulatedStep& base, const SimulateOptions& options) {
  std::vector<v1::Cause> causes;
  if (base.step.graph.tasks() > kMostTasks) return causes;
  AddContention(base, &causes);
  AddStageImbalance(base, &causes);
  if (options.fidelity == Fidelity::kCalibrated) {
    for (const Remedy& remedy : kRemedies) {
      if (!remedy.acts(base.scenario)) continue;
      Scenario without = base.scenario;
      remedy.remove(&without);
      const StatusOr<SimulatedStep> step = SimulateStep(without, options);
      if (!step.ok()) continue;
      const double seconds = base.report.step_time_s() - step->report.step_time_s();
      if (!(seconds > kWorthALine * base.report.step_time_s())) continue;
      AddCause(remedy.cause, seconds, remedy.text(base, *step), base.report.step_time_s(), &causes);
    }
  }
  std::ranges::stable_sort(
      causes, [](const v1::Cause& a, const v1::Cause& b) { return a.seconds() > b.seconds(); });
  return causes;
}

}  // namespace meshstep
