#include "sim/advice/balanced_stages.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "sim/base/index.h"

namespace meshstep {
namespace {

bool IsKernel(const TaskInfo& info) {
  return info.transfer < 0 && info.kind != TaskKind::kHost && info.pass != Pass::kUpdate;
}

std::int32_t UnitOf(const StepGraph& step, TaskId t) {
  return step.streams[Index(step.graph.members(t).front())].unit;
}

// `graph` with kernels of each unit `scale` times as long.
TaskGraph Scaled(const StepGraph& step, const std::vector<double>& scale) {
  const TaskGraph& from = step.graph;
  TaskGraph to;
  for (StreamId s = 0; s < from.streams(); ++s) to.AddStream(from.processor(s));
  for (const BytesPerSecond link : from.links()) to.AddLink(link);
  PatternId patterns = 0;
  for (TaskId t = 0; t < from.tasks(); ++t) patterns = std::max(patterns, from.pattern(t) + 1);
  for (PatternId p = 0; p < patterns; ++p) to.AddPattern(from.phases(p), from.taken(p));
  to.Reserve(static_cast<std::size_t>(from.tasks()));
  for (TaskId t = 0; t < from.tasks(); ++t) {
    if (from.pattern(t) != kTimed) {
      to.AddTransfer(from.members(t), from.pattern(t), from.dependencies(t));
      continue;
    }
    const double by = IsKernel(step.tasks[Index(t)]) ? scale[Index(UnitOf(step, t))] : 1;
    const auto ps = static_cast<double>(from.duration(t).ps());
    to.AddTimed(from.members(t).front(), Time(std::llround(by * ps)), from.dependencies(t));
  }
  for (const TaskGraph::Edge& edge : from.late_dependencies()) to.AddDependency(edge.task, edge.on);
  return to;
}

}  // namespace

BalancedStages Balance(const StepGraph& step) {
  std::vector<double> seconds(step.units.size(), 0);
  for (TaskId t = 0; t < step.graph.tasks(); ++t) {
    if (!IsKernel(step.tasks[Index(t)])) continue;
    seconds[Index(UnitOf(step, t))] += step.graph.duration(t).seconds();
  }
  double sum = 0, devices = 0;
  std::size_t longest = 0;
  for (std::size_t u = 0; u < seconds.size(); ++u) {
    sum += seconds[u] * static_cast<double>(step.units[u].devices);
    devices += static_cast<double>(step.units[u].devices);
    if (seconds[u] > seconds[longest]) longest = u;
  }
  const double mean = devices > 0 ? sum / devices : 0;
  std::vector<double> scale;
  for (const double s : seconds) scale.push_back(s > 0 ? mean / s : 1);
  return {Scaled(step, scale), step.units[longest].stage, Time::RoundUp(Seconds(seconds[longest])),
          Time::RoundUp(Seconds(mean))};
}

}  // namespace meshstep
