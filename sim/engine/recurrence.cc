#include "sim/engine/recurrence.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "sim/base/index.h"

namespace meshstep {

StateLog::StateLog(const TaskGraph& graph, std::vector<TaskId> marks)
    : graph_(graph),
      marks_(std::move(marks)),
      tasks_(Index(graph.streams())),
      at_(tasks_.size(), 0),
      before_begin_{0} {
  for (TaskId t = 0; t < graph.tasks(); ++t) {
    for (const StreamId s : graph.members(t)) {
      std::vector<TaskId>& of_stream = tasks_[Index(s)];
      before_.push_back(of_stream.empty() ? -1 : of_stream.back());
      of_stream.push_back(t);
    }
    before_begin_.push_back(static_cast<std::uint32_t>(before_.size()));
  }
  FindSources();
}

void StateLog::FindSources() {
  for (StreamId s = 0; s < graph_.streams(); ++s) {
    sources_.push_back(graph_.processor(s) == kNoProcessor && !tasks_[Index(s)].empty() &&
                       std::ranges::all_of(tasks_[Index(s)], [this](TaskId t) {
                         return graph_.pattern(t) == kTimed && graph_.dependencies(t).empty();
                       }));
  }
}

// visit(task before, whether it is of a source): dependencies and neighbours on streams.
template <class Visit>
void StateLog::ForEachPredecessor(TaskId task, Visit visit) const {
  const auto of_source = [this](TaskId t) {
    return graph_.pattern(t) == kTimed && IsSource(graph_.members(t).front());
  };
  for (const TaskId d : graph_.dependencies(task)) visit(d, of_source(d));
  for (std::uint32_t i = before_begin_[Index(task)]; i < before_begin_[Index(task) + 1]; ++i) {
    if (before_[i] >= 0) visit(before_[i], of_source(before_[i]));
  }
}

StateLog::Numbers* StateLog::Add(Time now, const std::vector<Time>& start,
                                 const std::vector<Time>& end) {
  ++next_;
  Beat& beat = beats_.emplace_back();
  beat.time = now;
  for (StreamId s = 0; s < graph_.streams(); ++s) {
    const std::vector<TaskId>& tasks = tasks_[Index(s)];
    std::size_t& at = at_[Index(s)];
    if (IsSource(s)) {
      beat.places.push_back({-1, false});
      continue;
    }
    while (at < tasks.size() && end[Index(tasks[at])] >= Time(0)) ++at;
    const TaskId next = at < tasks.size() ? tasks[at] : graph_.tasks();
    const bool started = at < tasks.size() && start[Index(next)] >= Time(0);
    beat.places.push_back({next, started});
    const TaskId last = started ? next : at > 0 ? tasks[at - 1] : -1;
    beat.last_started = std::max(beat.last_started, last);
  }
  return &beat.running;
}

// The last start of a task that waited for a source, if only as long as for others.
Time StateLog::LastBound(const std::vector<Time>& start, const std::vector<Time>& end) const {
  Time bound(-1);
  for (TaskId t = 0; t < graph_.tasks(); ++t) {
    if (graph_.pattern(t) == kTimed && IsSource(graph_.members(t).front())) continue;
    Time source(-1), other(-1);
    ForEachPredecessor(t, [&](TaskId p, bool of_source) {
      Time& last = of_source ? source : other;
      last = std::max(last, end[Index(p)]);
    });
    if (source >= Time(0) && source >= other) bound = std::max(bound, start[Index(t)]);
  }
  return bound;
}

// Tasks from `common` on, of this graph and of any with more copies in its middle, wait for one
// that is not below the result (and below `common`). In the copies a task is at most `window`
// behind the nearest one that it waits for; the others lead back to one of `reach`.
TaskId StateLog::FirstAhead(const Beats& beats) const {
  TaskId window = 0, first = beats.common;
  std::vector<TaskId> reach(Index(graph_.tasks() - beats.common), -1);
  for (TaskId t = beats.steady; t < graph_.tasks(); ++t) {
    if (graph_.pattern(t) == kTimed && IsSource(graph_.members(t).front())) continue;
    TaskId nearest = -1, furthest = -1;
    ForEachPredecessor(t, [&](TaskId p, bool of_source) {
      if (of_source) return;
      nearest = std::max(nearest, p);
      furthest = std::max(furthest, p < beats.common ? p : reach[Index(p - beats.common)]);
    });
    if (t < beats.common) {
      window = std::max(window, t - nearest);
    } else {
      reach[Index(t - beats.common)] = furthest;
      first = std::min(first, furthest);
    }
  }
  return std::min(first, beats.common - window);
}

// A stream that did nothing between them waits for the same task, past all that repeats. One of no
// processor (a host) may have gathered work for it, so that must not be.
bool StateLog::SameState(const Beat& a, const Beat& b, TaskId shift, TaskId common) const {
  if (a.running != b.running) return false;
  for (std::size_t s = 0; s < a.places.size(); ++s) {
    const Place &x = a.places[s], &y = b.places[s];
    if (x.started != y.started) return false;
    const bool gathers =
        graph_.processor(static_cast<StreamId>(s)) == kNoProcessor && x.next < graph_.tasks();
    const bool idle =
        x.next == y.next && !x.started && (sources_[s] || (x.next >= common && !gathers));
    if (!idle && x.next + shift != y.next) return false;
  }
  return true;
}

bool StateLog::Repeats(TaskId begin, TaskId end, TaskId shift) const {
  const auto same = [&](TaskId t) {
    const auto a = graph_.members(t), b = graph_.members(t + shift);
    const auto x = graph_.dependencies(t), y = graph_.dependencies(t + shift);
    return graph_.pattern(t) == graph_.pattern(t + shift) &&
           graph_.duration(t) == graph_.duration(t + shift) && std::ranges::equal(a, b) &&
           std::ranges::equal(x, y, [shift](TaskId p, TaskId q) { return p + shift == q; });
  };
  for (TaskId t = begin; t + shift < end; ++t) {
    if (!same(t)) return false;
  }
  return begin + shift < end;
}

std::optional<Recurrence> StateLog::Find(
    const Beats& beats, const std::vector<Time>& start, const std::vector<Time>& end,
    const std::function<bool(const Recurrence& recurrence)>& accept) const {
  if (!graph_.late_dependencies().empty()) return std::nullopt;
  const Time bound = LastBound(start, end);
  const TaskId ahead = FirstAhead(beats);
  for (std::size_t to = 1; to < beats_.size(); ++to) {
    const Beat& b = beats_[to];
    if (b.last_started >= ahead) break;
    for (std::size_t from = to; from-- > 0;) {
      const Beat& a = beats_[from];
      const TaskId shift = marks_[to] - marks_[from];
      if (a.time <= bound) break;
      if (!SameState(a, b, shift, beats.common)) continue;
      TaskId begin = beats.common;
      for (std::size_t s = 0; s < a.places.size(); ++s) {
        if (!sources_[s]) begin = std::min(begin, a.places[s].next);
      }
      if (begin < beats.steady) break;
      const Recurrence found{static_cast<int>(from), static_cast<int>(to), a.time, b.time};
      if (Repeats(begin, beats.common, shift) && accept(found)) return found;
    }
  }
  return std::nullopt;
}

}  // namespace meshstep
