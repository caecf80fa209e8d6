#include "sim/engine/task_graph.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "sim/base/index.h"

namespace meshstep {
std::int32_t TaskGraph::AddLink(BytesPerSecond capacity) {
  links_.push_back(capacity);
  return static_cast<std::int32_t>(links_.size()) - 1;
}

PatternId TaskGraph::AddPattern(std::vector<Phase> phases, std::int32_t taken) {
  CHECK(taken >= 0 && taken <= 1000000) << taken;
  for (Phase& phase : phases) {
    CHECK_GE(phase.latency.ps(), 0);
    // What moves no bytes waits for no link.
    std::erase_if(phase.demands, [](const FlowDemand& d) { return d.bytes == 0; });
    if (phase.demands.empty()) continue;
    CHECK(phase.weight > 0 && std::isfinite(phase.weight)) << phase.weight;
    std::ranges::sort(phase.demands, {}, &FlowDemand::link);
    for (std::size_t i = 0; i < phase.demands.size(); ++i) {
      const FlowDemand& d = phase.demands[i];
      CHECK(d.link >= 0 && Index(d.link) < links_.size()) << "link " << d.link << " ";
      CHECK(d.bytes > 0 && std::isfinite(d.bytes)) << d.bytes;
      CHECK(i == 0 || phase.demands[i - 1].link != d.link) << "link " << d.link << " twice ";
    }
  }
  patterns_.push_back(std::move(phases));
  taken_.push_back(taken);
  return static_cast<PatternId>(patterns_.size()) - 1;
}

TaskId TaskGraph::AddTimed(StreamId stream, Time duration, std::span<const TaskId> dependencies) {
  CHECK_GE(duration.ps(), 0);
  return AddTask(kTimed, duration, {&stream, 1}, dependencies);
}

TaskId TaskGraph::AddTransfer(std::span<const StreamId> members, PatternId pattern,
                              std::span<const TaskId> dependencies) {
  CHECK(pattern >= 0 && Index(pattern) < patterns_.size()) << "pattern " << pattern << " ";
  return AddTask(pattern, Time(), members, dependencies);
}

TaskId TaskGraph::AddTask(PatternId pattern, Time duration, std::span<const StreamId> members,
                          std::span<const TaskId> dependencies) {
  const TaskId id = tasks();
  pattern_.push_back(pattern);
  duration_.push_back(duration);
  for (const StreamId s : members) {
    CHECK(s >= 0 && s < streams()) << "stream " << s << " ";
    member_.push_back(s);
  }
  for (const TaskId d : dependencies) {
    CHECK(d >= 0 && d < id) << "dependency " << d << " ";
    dependency_.push_back(d);
  }
  member_begin_.push_back(static_cast<std::uint32_t>(member_.size()));
  dependency_begin_.push_back(static_cast<std::uint32_t>(dependency_.size()));
  return id;
}

void TaskGraph::Reserve(std::size_t tasks) {
  pattern_.reserve(tasks);
  duration_.reserve(tasks);
  member_begin_.reserve(tasks + 1);
  dependency_begin_.reserve(tasks + 1);
  member_.reserve(tasks);
  dependency_.reserve(2 * tasks);
}

}  // namespace meshstep
