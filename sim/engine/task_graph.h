// What the engine runs: tasks on in-order streams, with dependencies.
//
// A task is either timed (it occupies one stream for a duration) or a transfer (it occupies the
// streams of all its members and runs the phases of a pattern on the network). Tasks of one stream
// run in the order in which they were added. A task starts when the tasks before it on its streams
// and its dependencies have ended: a transfer is therefore a rendezvous of its members.
//
// A stream may belong to a processor. Transfers that run there take a share of it for themselves,
// so that its timed tasks go on at what is left (sim/engine/processors.h).
//
//   TaskGraph graph;
//   LinkIndex link = graph.AddLink(BytesPerSecond(450e9));
//   PatternId p = graph.AddPattern({Phase{Time(1000), {{link, 1e6}}, 1e6}});
//   StreamId compute = graph.AddStream(), comm = graph.AddStream();
//   TaskId a = graph.AddTimed(compute, Time(5000), {});
//   graph.AddTransfer({{comm}}, p, {{a}});
//   Run run = *RunGraph(graph);

#ifndef MESHSTEP_SIM_ENGINE_TASK_GRAPH_H_
#define MESHSTEP_SIM_ENGINE_TASK_GRAPH_H_

#include <cstdint>
#include <initializer_list>
#include <span>
#include <vector>

#include "sim/base/units.h"
#include "sim/engine/flow_network.h"

namespace meshstep {

using TaskId = std::int32_t;
using StreamId = std::int32_t;
using PatternId = std::int32_t;
using ProcessorId = std::int32_t;
inline constexpr ProcessorId kNoProcessor = -1;
inline constexpr PatternId kTimed = -1;

// A phase waits `latency`, then drains its demands at one common rate. No demands: latency only.
struct Phase {
  Time latency;
  std::vector<FlowDemand> demands;  // each link once; those of 0 bytes are left out
  double weight = 0;                // see flow_network.h
};

class TaskGraph {
 public:
  StreamId AddStream(ProcessorId processor = kNoProcessor) {
    processor_.push_back(processor);
    return static_cast<StreamId>(processor_.size()) - 1;
  }
  std::int32_t AddLink(BytesPerSecond capacity);
  // taken: of every member's processor, in millionths, while the transfer runs.
  PatternId AddPattern(std::vector<Phase> phases, std::int32_t taken = 0);

  // Dependencies are on tasks already added.
  TaskId AddTimed(StreamId stream, Time duration, std::span<const TaskId> dependencies);
  TaskId AddTransfer(std::span<const StreamId> members, PatternId pattern,
                     std::span<const TaskId> dependencies);
  // A dependency on a task that may be added later, e.g. to send before the receiver is built.
  void AddDependency(TaskId task, TaskId on) { late_dependencies_.push_back({task, on}); }
  void Reserve(std::size_t tasks);

  TaskId tasks() const { return static_cast<TaskId>(pattern_.size()); }
  StreamId streams() const { return static_cast<StreamId>(processor_.size()); }
  ProcessorId processor(StreamId s) const { return processor_[static_cast<std::size_t>(s)]; }
  std::int32_t taken(PatternId p) const { return taken_[static_cast<std::size_t>(p)]; }
  std::span<const BytesPerSecond> links() const { return links_; }
  PatternId pattern(TaskId task) const { return pattern_[static_cast<std::size_t>(task)]; }
  Time duration(TaskId task) const { return duration_[static_cast<std::size_t>(task)]; }
  const std::vector<Phase>& phases(PatternId pattern) const {
    return patterns_[static_cast<std::size_t>(pattern)];
  }
  std::span<const TaskId> dependencies(TaskId task) const {
    const auto t = static_cast<std::size_t>(task);
    return {dependency_.data() + dependency_begin_[t],
            dependency_.data() + dependency_begin_[t + 1]};
  }
  std::span<const StreamId> members(TaskId task) const {
    const auto t = static_cast<std::size_t>(task);
    return {member_.data() + member_begin_[t], member_.data() + member_begin_[t + 1]};
  }
  struct Edge {
    TaskId task, on;
  };
  std::span<const Edge> late_dependencies() const { return late_dependencies_; }

 private:
  TaskId AddTask(PatternId pattern, Time duration, std::span<const StreamId> members,
                 std::span<const TaskId> dependencies);

  std::vector<ProcessorId> processor_;  // per stream
  std::vector<BytesPerSecond> links_;
  std::vector<std::vector<Phase>> patterns_;
  std::vector<std::int32_t> taken_;  // per pattern
  std::vector<PatternId> pattern_;   // per task; kTimed for timed tasks
  std::vector<Time> duration_;       // per task; timed only
  std::vector<std::uint32_t> dependency_begin_{0}, member_begin_{0};
  std::vector<TaskId> dependency_;
  std::vector<StreamId> member_;
  std::vector<Edge> late_dependencies_;
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ENGINE_TASK_GRAPH_H_
