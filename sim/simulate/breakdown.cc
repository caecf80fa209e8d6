#include "sim/simulate/breakdown.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <utility>

#include "sim/base/check.h"
#include "sim/base/index.h"

namespace meshstep {
namespace {

constexpr TaskId kNone = -1;

// Predecessors of a task: dependencies and the tasks before it on its streams.
class Predecessors {
 public:
  explicit Predecessors(const TaskGraph& graph) : graph_(graph), begin_(Index(graph.tasks()) + 1) {
    std::vector<TaskId> last(Index(graph.streams()), kNone);
    for (TaskId t = 0; t < graph.tasks(); ++t) {
      for (const StreamId s : graph.members(t)) {
        before_.push_back(std::exchange(last[Index(s)], t));
      }
      begin_[Index(t) + 1] = static_cast<std::uint32_t>(before_.size());
    }
    const auto late = graph.late_dependencies();
    late_.assign(late.begin(), late.end());
    std::sort(late_.begin(), late_.end(), [](const TaskGraph::Edge& a, const TaskGraph::Edge& b) {
      return std::pair(a.task, a.on) < std::pair(b.task, b.on);
    });
  }

  template <class Visit>
  void ForEach(TaskId task, Visit visit) const {
    for (std::size_t i = begin_[Index(task)]; i < begin_[Index(task) + 1]; ++i) {
      if (before_[i] != kNone) visit(before_[i]);
    }
    for (const TaskId d : graph_.dependencies(task)) visit(d);
    auto edge = std::lower_bound(late_.begin(), late_.end(), task,
                                 [](const TaskGraph::Edge& e, TaskId t) { return e.task < t; });
    for (; edge != late_.end() && edge->task == task; ++edge) visit(edge->on);
  }

 private:
  const TaskGraph& graph_;
  std::vector<std::uint32_t> begin_;  // per task, into before_
  std::vector<TaskId> before_;        // per member stream
  std::vector<TaskGraph::Edge> late_;
};

class Analysis {
 public:
  Analysis(const StepGraph& step, const Run& run)
      : step_(step), run_(run), predecessors_(step.graph) {
    FindLast();
  }
  // Of the unit that ends last.
  StepBreakdown Take();
  // Of another one: the classes of its time alone.
  StepBreakdown TakeClasses(std::int32_t unit);

 private:
  void FindLast();
  void FindKernels();
  void AddKernels();
  void AddTransfers();
  void AddGaps();
  void Attribute(Time begin, Time end, TaskId waiting);
  void Classify(TaskId task, Time length);
  TaskId Binding(TaskId task, std::int32_t lane) const;
  bool Touches(TaskId task, std::int32_t unit) const;

  const StepGraph& step_;
  const Run& run_;
  const Predecessors predecessors_;
  StepBreakdown result_;
  std::vector<TaskId> lasts_;                 // per unit: its task that ends last
  std::vector<std::vector<TaskId>> kernels_;  // per unit, in order
};

bool Analysis::Touches(TaskId task, std::int32_t unit) const {
  for (const StreamId s : step_.graph.members(task)) {
    if (step_.streams[Index(s)].unit == unit) return true;
  }
  return false;
}

void Analysis::FindLast() {
  CHECK(!step_.units.empty());
  std::vector<Time> end(step_.units.size(), Time(-1));
  lasts_.assign(step_.units.size(), kNone);
  for (TaskId t = 0; t < step_.graph.tasks(); ++t) {
    for (const StreamId s : step_.graph.members(t)) {
      const std::size_t unit = Index(step_.streams[Index(s)].unit);
      if (run_.end[Index(t)] <= end[unit]) continue;
      end[unit] = run_.end[Index(t)];
      lasts_[unit] = t;
    }
  }
  const auto latest = std::max_element(end.begin(), end.end());  // the first among equals
  result_.unit = static_cast<std::int32_t>(latest - end.begin());
}

void Analysis::FindKernels() {
  kernels_.assign(step_.units.size(), {});
  std::vector<std::int32_t> unit_of(Index(step_.graph.streams()), -1);
  for (std::size_t u = 0; u < step_.units.size(); ++u) {
    unit_of[Index(step_.compute_stream[u])] = static_cast<std::int32_t>(u);
  }
  for (TaskId t = 0; t < step_.graph.tasks(); ++t) {
    for (const StreamId s : step_.graph.members(t)) {
      if (unit_of[Index(s)] >= 0) kernels_[Index(unit_of[Index(s)])].push_back(t);
    }
  }
}

void Analysis::AddKernels() {
  const auto length = [&](TaskId t) { return run_.end[Index(t)] - run_.start[Index(t)]; };
  result_.busy.assign(step_.units.size(), Time(0));
  for (std::size_t u = 0; u < step_.units.size(); ++u) {
    for (const TaskId t : kernels_[u]) result_.busy[u] += length(t);
  }
  std::map<std::pair<const std::string*, Pass>, KernelTime> by_name;
  for (const TaskId t : kernels_[Index(result_.unit)]) {
    const TaskInfo& info = step_.tasks[Index(t)];
    KernelTime& kernel = by_name[{info.name, info.pass}];
    ++kernel.count;
    kernel.busy += length(t);
    kernel.flops += info.flops;
  }
  // By pointer while counting, by name for people: the order must not depend on addresses.
  std::map<std::pair<std::string, Pass>, KernelTime> merged;
  for (const auto& [key, kernel] : by_name) {
    const std::string name = key.first == nullptr ? "" : *key.first;
    KernelTime& sum = merged[{name, key.second}];
    sum.name = name;
    sum.pass = key.second;
    sum.count += kernel.count;
    sum.busy += kernel.busy;
    sum.flops += kernel.flops;
  }
  for (auto& [key, kernel] : merged) result_.kernels.push_back(std::move(kernel));
  std::stable_sort(result_.kernels.begin(), result_.kernels.end(),
                   [](const KernelTime& a, const KernelTime& b) { return a.busy > b.busy; });
}

void Analysis::AddTransfers() {
  result_.transfers.assign(step_.transfers.size(), {});
  std::vector<std::pair<Time, Time>> intervals;
  for (TaskId t = 0; t < step_.graph.tasks(); ++t) {
    const std::int32_t transfer = step_.tasks[Index(t)].transfer;
    if (transfer < 0 || !Touches(t, result_.unit)) continue;
    TransferTime& time = result_.transfers[Index(transfer)];
    ++time.count;
    // Between stages the first member sends and the second receives.
    const std::int32_t first = step_.streams[Index(step_.graph.members(t).front())].unit;
    const bool receives =
        step_.transfers[Index(transfer)].spec.role == Role::kPipeline && first != result_.unit;
    if (!receives) ++time.sent;
    time.busy += run_.end[Index(t)] - run_.start[Index(t)];
    intervals.emplace_back(run_.start[Index(t)], run_.end[Index(t)]);
  }
  std::sort(intervals.begin(), intervals.end());
  Time covered(0);
  for (const auto& [start, end] : intervals) {
    if (end > covered) {
      result_.in_flight += end - std::max(start, covered);
      covered = end;
    }
  }
}

// The predecessor that ended last. Among equals one of the unit itself, then one of the unit that
// the chain came from, then the lowest id: devices that behave alike then give the same chain
// whether they are simulated once or each for itself.
TaskId Analysis::Binding(TaskId task, std::int32_t lane) const {
  TaskId best = kNone;
  int best_rank = 0;
  predecessors_.ForEach(task, [&](TaskId p) {
    const Time end = run_.end[Index(p)];
    if (best != kNone && end < run_.end[Index(best)]) return;
    const int rank = Touches(p, result_.unit) ? 2 : Touches(p, lane) ? 1 : 0;
    if (best == kNone || end > run_.end[Index(best)] || rank > best_rank ||
        (rank == best_rank && p < best)) {
      best = p;
      best_rank = rank;
    }
  });
  return best;
}

// `length` of waiting while `task` of the chain runs.
void Analysis::Classify(TaskId task, Time length) {
  const std::int32_t transfer = step_.tasks[Index(task)].transfer;
  if (transfer >= 0 && Touches(task, result_.unit)) {
    result_.exposed += length;
    if (!result_.transfers.empty()) result_.transfers[Index(transfer)].exposed += length;
    return;
  }
  const int stage = step_.units[Index(result_.unit)].stage;
  for (const StreamId s : step_.graph.members(task)) {
    if (step_.units[Index(step_.streams[Index(s)].unit)].stage != stage) {
      result_.bubble += length;
      return;
    }
  }
  result_.other += length;
  if (step_.tasks[Index(task)].kind == TaskKind::kHost) result_.launches += length;
}

// The compute stream is idle in [begin, end); `running` is the chain's last task before `end`.
void Analysis::Attribute(Time begin, Time end, TaskId running) {
  std::int32_t lane = result_.unit;
  while (end > begin && running != kNone) {
    const Time ended = std::max(begin, std::min(end, run_.end[Index(running)]));
    result_.other += end - ended;
    const Time started = std::max(begin, std::min(ended, run_.start[Index(running)]));
    if (ended > started) Classify(running, ended - started);
    end = started;
    if (!Touches(running, lane)) {
      lane = step_.streams[Index(step_.graph.members(running).front())].unit;
    }
    running = Binding(running, lane);
  }
  result_.other += end - begin;
}

void Analysis::AddGaps() {
  Time idle_since(0);
  for (const TaskId t : kernels_[Index(result_.unit)]) {
    const Time start = run_.start[Index(t)], end = run_.end[Index(t)];
    if (start > idle_since) Attribute(idle_since, start, Binding(t, result_.unit));
    const TaskInfo& info = step_.tasks[Index(t)];
    if (info.kind == TaskKind::kOptimizer) {
      result_.optimizer += end - start;
    } else {
      result_.compute += end - start;
      (info.pass == Pass::kForward     ? result_.forward
       : info.pass == Pass::kRecompute ? result_.recompute
                                       : result_.backward) += end - start;
    }
    idle_since = end;
  }
  if (run_.makespan > idle_since) {
    Attribute(idle_since, run_.makespan, lasts_[Index(result_.unit)]);
  }
  const Time sum =
      result_.compute + result_.exposed + result_.bubble + result_.optimizer + result_.other;
  CHECK_EQ(sum.ps(), run_.makespan.ps());
}

StepBreakdown Analysis::Take() {
  FindKernels();
  AddKernels();
  AddTransfers();
  AddGaps();
  return std::move(result_);
}

StepBreakdown Analysis::TakeClasses(std::int32_t unit) {
  if (kernels_.empty()) FindKernels();
  result_ = {};
  result_.unit = unit;
  AddGaps();
  return std::move(result_);
}

}  // namespace

StepBreakdown BreakDown(const StepGraph& step, const Run& run) {
  return Analysis(step, run).Take();
}

std::vector<StepBreakdown> BreakDownUnits(const StepGraph& step, const Run& run,
                                          std::span<const std::int32_t> units) {
  Analysis analysis(step, run);
  std::vector<StepBreakdown> parts;
  parts.reserve(units.size());
  for (const std::int32_t unit : units) parts.push_back(analysis.TakeClasses(unit));
  return parts;
}

}  // namespace meshstep
