#include "sim/simulate/stages.h"

#include <cstdint>
#include <map>
#include <vector>

#include "sim/base/index.h"
#include "sim/simulate/breakdown.h"

namespace meshstep {
namespace {

// Time of each unit's compute stream.
std::vector<Time> BusyTimes(const StepGraph& step, const Run& run) {
  std::vector<std::int32_t> unit_of(Index(step.graph.streams()), -1);
  for (std::size_t u = 0; u < step.units.size(); ++u) {
    unit_of[Index(step.compute_stream[u])] = static_cast<std::int32_t>(u);
  }
  std::vector<Time> busy(step.units.size(), Time(0));
  for (TaskId t = 0; t < step.graph.tasks(); ++t) {
    for (const StreamId s : step.graph.members(t)) {
      if (unit_of[Index(s)] < 0) continue;
      busy[Index(unit_of[Index(s)])] += run.end[Index(t)] - run.start[Index(t)];
    }
  }
  return busy;
}

// The busiest unit of each stage.
std::map<int, std::int32_t> BusiestUnits(const StepGraph& step, const Run& run) {
  const std::vector<Time> busy = BusyTimes(step, run);
  std::map<int, std::int32_t> busiest;
  for (std::size_t u = 0; u < step.units.size(); ++u) {
    const auto unit = static_cast<std::int32_t>(u);
    const auto [it, added] = busiest.try_emplace(step.units[u].stage, unit);
    if (!added && busy[u] > busy[Index(it->second)]) it->second = unit;
  }
  return busiest;
}

}  // namespace

void AddStageBreakdowns(const StepGraph& step, const Run& run, v1::SimulateReport* report) {
  if (report->stages_size() < 2) return;
  const std::map<int, std::int32_t> busiest = BusiestUnits(step, run);
  std::vector<std::int32_t> units;
  for (const v1::StageReport& stage : report->stages()) units.push_back(busiest.at(stage.stage()));
  const std::vector<StepBreakdown> parts = BreakDownUnits(step, run, units);
  int critical = 0;
  Time longest(-1);
  for (int i = 0; i < report->stages_size(); ++i) {
    const StepBreakdown& part = parts[Index(i)];
    v1::Breakdown* out = report->mutable_stages(i)->mutable_breakdown();
    out->set_compute_s(part.compute.seconds());
    out->set_communication_exposed_s(part.exposed.seconds());
    out->set_bubble_s(part.bubble.seconds());
    out->set_optimizer_s(part.optimizer.seconds());
    out->set_other_s(part.other.seconds());
    const Time own = part.compute + part.exposed + part.optimizer;
    if (own <= longest) continue;
    longest = own;
    critical = i;
  }
  report->mutable_stages(critical)->set_critical(true);
}

}  // namespace meshstep
