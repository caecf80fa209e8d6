#include "sim/engine/engine.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sim/base/index.h"
#include "sim/engine/binding_links.h"
#include "sim/engine/processors.h"
#include "sim/engine/recurrence.h"

namespace meshstep {
namespace {

constexpr std::size_t kMaxStuckStreams = 8;

// Min-heap of (time, task). Few entries: at most one per stream.
class EventQueue {
 public:
  // A time past all that is simulated stays below Max(), which says that there is none.
  void Push(Time time, TaskId task) {
    heap_.emplace_back(std::min(time, Time::Longest() + Time(1)), task);
    std::push_heap(heap_.begin(), heap_.end(), std::greater<>());
  }
  bool empty() const { return heap_.empty(); }
  std::vector<std::pair<Time, TaskId>> Sorted() const {
    std::vector<std::pair<Time, TaskId>> sorted = heap_;
    std::ranges::sort(sorted);
    return sorted;
  }
  Time next() const { return heap_.empty() ? Time::Max() : heap_.front().first; }
  TaskId Pop() {
    std::pop_heap(heap_.begin(), heap_.end(), std::greater<>());
    const TaskId task = heap_.back().second;
    heap_.pop_back();
    return task;
  }

 private:
  std::vector<std::pair<Time, TaskId>> heap_;
};

class Engine {
 public:
  Engine(const TaskGraph& graph, FlowNetwork::Sharing sharing);
  StatusOr<Run> Execute(const GraphNames& names, StateLog* log);

 private:
  void AddEdges();
  void Start(TaskId task, Time now);
  void StartPhase(TaskId task, Time now);
  void BeginDrain(TaskId task, Time now);
  void EndPhase(TaskId task, Time now);
  void End(TaskId task, Time now);
  void RunEvents(Time now);
  void RunDrained(Time now);
  bool EndsNow(TaskId task, Time now);
  void TakeFromMembers(TaskId task, std::int64_t share);
  bool IsSlowed(TaskId task) const;
  void Record(Time now, StateLog* log) const;
  Status Deadlock(const GraphNames& names) const;

  const TaskGraph& graph_;
  const BindingLinks links_;
  FlowNetwork network_;
  Processors processors_;
  EventQueue events_;
  Run run_;
  std::vector<std::int32_t> pending_;           // unfinished predecessors
  std::vector<std::uint32_t> successor_begin_;  // CSR of dependencies and stream order
  std::vector<TaskId> successor_;
  std::vector<std::int32_t> phase_;  // per task: next phase to drain
  std::vector<TaskId> flow_task_;    // per flow id
  std::vector<FlowNetwork::FlowId> drained_;
  TaskId unfinished_ = 0;
};

Engine::Engine(const TaskGraph& graph, FlowNetwork::Sharing sharing)
    : graph_(graph), links_(graph), network_(graph.links(), sharing), processors_(graph) {
  const std::size_t n = Index(graph.tasks());
  run_.start.assign(n, Time(-1));
  run_.end.assign(n, Time(-1));
  pending_.assign(n, 0);
  phase_.assign(n, 0);
  unfinished_ = graph.tasks();
  AddEdges();
}

// Calls edge(before, after) for every dependency and every pair of neighbours on a stream.
template <class Edge>
void ForEachEdge(const TaskGraph& graph, Edge edge) {
  std::vector<TaskId> last(Index(graph.streams()), -1);
  for (TaskId t = 0; t < graph.tasks(); ++t) {
    for (const TaskId d : graph.dependencies(t)) edge(d, t);
    for (const StreamId s : graph.members(t)) {
      if (last[Index(s)] >= 0 && last[Index(s)] != t) edge(last[Index(s)], t);
      last[Index(s)] = t;
    }
  }
  for (const TaskGraph::Edge& e : graph.late_dependencies()) edge(e.on, e.task);
}

void Engine::AddEdges() {
  successor_begin_.assign(Index(graph_.tasks()) + 2, 0);
  ForEachEdge(graph_, [this](TaskId before, TaskId after) {
    ++successor_begin_[Index(before) + 2];
    ++pending_[Index(after)];
  });
  for (std::size_t i = 2; i < successor_begin_.size(); ++i) {
    successor_begin_[i] += successor_begin_[i - 1];
  }
  successor_.resize(successor_begin_.back());
  ForEachEdge(graph_, [this](TaskId before, TaskId after) {
    successor_[successor_begin_[Index(before) + 1]++] = after;
  });
}

void Engine::Start(TaskId task, Time now) {
  run_.start[Index(task)] = now;
  if (graph_.pattern(task) != kTimed) {
    TakeFromMembers(task, graph_.taken(graph_.pattern(task)));
    StartPhase(task, now);
    return;
  }
  const Time duration = graph_.duration(task);
  if (IsSlowed(task)) {
    processors_.Start(graph_.members(task).front(), task, duration, now);
  } else {
    events_.Push(now + duration, task);
  }
}

void Engine::TakeFromMembers(TaskId task, std::int64_t share) {
  if (share == 0) return;
  for (const StreamId s : graph_.members(task)) processors_.Take(s, share);
}

void Engine::StartPhase(TaskId task, Time now) {
  const std::vector<Phase>& phases = graph_.phases(graph_.pattern(task));
  if (phases.empty()) {
    events_.Push(now, task);
  } else {
    events_.Push(now + phases[Index(phase_[Index(task)])].latency, task);
  }
}

// The latency of the task's phase is over.
void Engine::BeginDrain(TaskId task, Time now) {
  const std::vector<Phase>& phases = graph_.phases(graph_.pattern(task));
  const std::size_t i = Index(phase_[Index(task)]);
  if (i < phases.size() && !phases[i].demands.empty()) {
    const FlowNetwork::FlowId flow =
        network_.Add(links_.demands(graph_.pattern(task), i), phases[i].weight, now);
    if (flow_task_.size() <= Index(flow)) flow_task_.resize(Index(flow) + 1);
    flow_task_[Index(flow)] = task;
  } else {
    EndPhase(task, now);
  }
}

void Engine::EndPhase(TaskId task, Time now) {
  if (Index(++phase_[Index(task)]) < graph_.phases(graph_.pattern(task)).size()) {
    StartPhase(task, now);
  } else {
    TakeFromMembers(task, -graph_.taken(graph_.pattern(task)));
    End(task, now);
  }
}

void Engine::End(TaskId task, Time now) {
  run_.end[Index(task)] = now;
  run_.makespan = std::max(run_.makespan, now);
  --unfinished_;
  // After AddEdges, begin[t + 1] is the end of t's successors and begin[t] their start.
  for (std::uint32_t i = successor_begin_[Index(task)]; i < successor_begin_[Index(task) + 1];
       ++i) {
    const TaskId next = successor_[i];
    if (--pending_[Index(next)] == 0) Start(next, now);
  }
}

bool Engine::IsSlowed(TaskId task) const {
  return processors_.Slows(graph_.members(task).front()) && graph_.duration(task) > Time(0);
}

// False for an end that a change of rate has made obsolete.
bool Engine::EndsNow(TaskId task, Time now) {
  return !IsSlowed(task) || processors_.Ends(graph_.members(task).front(), task, now);
}

// Ends of timed tasks and latencies at `now`, and of those that they start without duration.
void Engine::RunEvents(Time now) {
  while (events_.next() == now) {
    const TaskId task = events_.Pop();
    const bool timed = graph_.pattern(task) == kTimed;
    if (timed && !EndsNow(task, now)) continue;
    ++run_.events;
    if (timed) {
      End(task, now);
    } else {
      BeginDrain(task, now);
    }
  }
}

// Ends of flows at `now`.
void Engine::RunDrained(Time now) {
  drained_.clear();
  network_.Drained(now, &drained_);
  // Which id a flow got depends on what came and went before; which task it is of does not.
  if (drained_.size() > 1) {
    std::ranges::sort(drained_, {}, [this](FlowNetwork::FlowId f) { return flow_task_[Index(f)]; });
  }
  for (const FlowNetwork::FlowId flow : drained_) network_.Remove(flow);
  for (const FlowNetwork::FlowId flow : drained_) {
    ++run_.events;
    ++run_.flows;
    EndPhase(flow_task_[Index(flow)], now);
  }
}

// What runs: what ends at a known time, kernels that are slowed, flows.
void Engine::Record(Time now, StateLog* log) const {
  const TaskId mark = log->mark();
  StateLog::Numbers* const numbers = log->Add(now, run_.start, run_.end);
  for (const auto& [time, task] : events_.Sorted()) {
    if (graph_.pattern(task) == kTimed &&
        (IsSlowed(task) || log->IsSource(graph_.members(task).front()))) {
      continue;
    }
    numbers->insert(numbers->end(), {task - mark, phase_[Index(task)], (time - now).ps()});
  }
  processors_.AppendState(mark, now, numbers);
  network_.AppendState(now, numbers, [&](FlowNetwork::FlowId flow) {
    const TaskId task = flow_task_[Index(flow)];
    return std::pair(task - mark, phase_[Index(task)]);
  });
}

StatusOr<Run> Engine::Execute(const GraphNames& names, StateLog* log) {
  for (TaskId t = 0; t < graph_.tasks(); ++t) {
    if (pending_[Index(t)] == 0 && run_.start[Index(t)] < Time(0)) Start(t, Time(0));
  }
  const auto end = [this](Time time, TaskId task) { events_.Push(time, task); };
  processors_.Settle(Time(0), end);
  while (true) {
    const Time now = std::min(events_.next(), network_.NextCompletion());
    if (now == Time::Max()) break;
    if (now > Time::Longest()) {
      return InvalidInput(absl::StrCat("the simulated time passes ", Time::Longest().seconds(),
                                       " s, the longest that can be simulated; are the rates of ",
                                       "chip and network in the units of their fields?"));
    }
    RunEvents(now);
    if (network_.NextCompletion() <= now) RunDrained(now);
    if (events_.next() > now) {
      network_.Update(now);
      processors_.Settle(now, end);
      while (log != nullptr && log->mark() >= 0 && run_.end[Index(log->mark())] >= Time(0)) {
        Record(now, log);
      }
    }
  }
  run_.network_solves = network_.solves();
  if (unfinished_ > 0) return Deadlock(names);
  return std::move(run_);
}

// For each stream with unfinished tasks: the first of them, and an unfinished one it waits for.
Status Engine::Deadlock(const GraphNames& names) const {
  const auto task_name = [&](TaskId t) {
    return names.task ? names.task(t) : absl::StrCat("task ", t);
  };
  const auto place = [&](TaskId t) -> std::string {
    if (graph_.members(t).empty()) return "";
    const StreamId s = graph_.members(t).front();
    return " on " + (names.stream ? names.stream(s) : absl::StrCat("stream ", s));
  };
  std::vector<TaskId> waits_for(Index(graph_.tasks()), -1);
  ForEachEdge(graph_, [&](TaskId before, TaskId after) {
    if (run_.end[Index(before)] < Time(0)) waits_for[Index(after)] = before;
  });
  std::vector<bool> seen(Index(graph_.streams()), false);
  std::string lines =
      absl::StrCat("deadlock: ", unfinished_, " of ", graph_.tasks(), " tasks can never start");
  std::size_t shown = 0;
  for (TaskId t = 0; t < graph_.tasks() && shown < kMaxStuckStreams; ++t) {
    if (run_.end[Index(t)] >= Time(0)) continue;
    const auto is_seen = [&](StreamId s) { return seen[Index(s)]; };
    if (std::ranges::all_of(graph_.members(t), is_seen) && !graph_.members(t).empty()) continue;
    for (const StreamId s : graph_.members(t)) seen[Index(s)] = true;
    ++shown;
    const TaskId cause = waits_for[Index(t)];
    CHECK_GE(cause, 0) << "task " << t << " waits for nothing but did not run ";
    absl::StrAppend(&lines, "\n\"", task_name(t), "\"", place(t), " waits for \"", task_name(cause),
                    "\"", place(cause));
  }
  return InvalidInput(lines);
}

}  // namespace

StatusOr<Run> RunGraph(const TaskGraph& graph, const GraphNames& names,
                       FlowNetwork::Sharing sharing, StateLog* log) {
  return Engine(graph, sharing).Execute(names, log);
}

}  // namespace meshstep
