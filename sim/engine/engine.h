// The discrete-event engine: runs a TaskGraph and says when each task began and ended.
//
// Events are ordered by (time, phase, id): at one instant first the ends of timed tasks and of
// latencies by task id, then the ends of flows by task id; what they release starts at the same
// instant; the network is solved once when nothing more happens at it. Time is int64 picoseconds.
// No allocation happens in the loop once the scratch arrays have grown.

#ifndef MESHSTEP_SIM_ENGINE_ENGINE_H_
#define MESHSTEP_SIM_ENGINE_ENGINE_H_

#include <functional>
#include <string>
#include <vector>

#include "sim/base/status.h"
#include "sim/engine/flow_network.h"
#include "sim/engine/task_graph.h"

namespace meshstep {

class StateLog;  // sim/engine/recurrence.h

struct Run {
  std::vector<Time> start, end;  // per task
  Time makespan;
  std::int64_t events = 0;  // ends of tasks, latencies and flows
  std::int64_t flows = 0;   // flows that were drained
  std::int64_t network_solves = 0;
};

// What to call a task or a stream in an error.
struct GraphNames {
  std::function<std::string(TaskId)> task;
  std::function<std::string(StreamId)> stream;
};

// Error: a deadlock. The message names, for each stream that is stuck, its next task and what that
// task waits for. log: filled with the state at each of its marks, if given.
StatusOr<Run> RunGraph(const TaskGraph& graph, const GraphNames& names = {},
                       FlowNetwork::Sharing sharing = FlowNetwork::Sharing::kFair,
                       StateLog* log = nullptr);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ENGINE_ENGINE_H_
