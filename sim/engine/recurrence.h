// When a run repeats itself.
//
// The problem. A graph has thousands of copies of the same tasks in its middle, and the run soon
// goes through the same states again and again. Find two instants of which the later state is the
// earlier one shifted; a graph with more copies between them then takes their distance longer for
// each, to the picosecond, since the engine is deterministic and knows nothing but its state.
//
// Symbols.
//   beat     i, the instant at which task mark(i) ends
//   state    of a beat: for every stream its first unfinished task and whether that has started;
//            of every task that runs what is left of it; who shares each link. Tasks are counted
//            from mark(i), times from the instant, so equal states are equal numbers
//   source   a stream whose tasks wait for nothing but each other (a host that runs ahead). It may
//            get ever further ahead, so it is no part of the state
//   shift    K = mark(j) - mark(i): task t at beat i is task t + K at beat j
//   steady, common   tasks from `steady` on are followed alike in the longer graph; those below
//            `common` are the same in both
//
// What is checked of beats i < j.
//   - their states are equal;
//   - tasks from the first unfinished one of i (at least `steady`) up to `common` repeat with shift
//     K: pattern, duration, streams and dependencies;
//   - at beat j nothing has started that the longer graph has not: tasks from `common` on wait for
//     tasks that have not started;
//   - no task after beat i was started by a source, so none is when the sources are further ahead
//     still; their share of work per period is left to the caller (accept).
//
// Cost: O(streams + what runs) per beat, O(tasks + beats · candidates) afterwards.

#ifndef MESHSTEP_SIM_ENGINE_RECURRENCE_H_
#define MESHSTEP_SIM_ENGINE_RECURRENCE_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "sim/engine/task_graph.h"

namespace meshstep {

struct Beats {
  std::vector<TaskId> marks;  // ids grow
  TaskId steady = 0, common = 0;
};

struct Recurrence {
  int from, to;  // beats
  Time start, end;
};

// The states of a run, one a beat.
class StateLog {
 public:
  // Of a beat, in numbers that do not change with a shift of tasks and time.
  using Numbers = std::vector<std::int64_t>;

  StateLog(const TaskGraph& graph, std::vector<TaskId> marks);

  // The mark that is waited for; -1: no more.
  TaskId mark() const { return next_ < marks_.size() ? marks_[next_] : -1; }
  bool IsSource(StreamId s) const { return sources_[static_cast<std::size_t>(s)]; }
  // The mark has ended at `now`. The caller adds what runs.
  Numbers* Add(Time now, const std::vector<Time>& start, const std::vector<Time>& end);

  // accept: what else must hold of two beats. Late dependencies: none is found.
  std::optional<Recurrence> Find(
      const Beats& beats, const std::vector<Time>& start, const std::vector<Time>& end,
      const std::function<bool(const Recurrence& recurrence)>& accept) const;

 private:
  struct Place {
    TaskId next;  // first unfinished task of a stream; tasks(): none
    bool started;
  };
  struct Beat {
    Time time;
    std::vector<Place> places;  // per stream
    Numbers running;
    TaskId last_started = -1;
  };
  template <class Visit>
  void ForEachPredecessor(TaskId task, Visit visit) const;
  void FindSources();
  Time LastBound(const std::vector<Time>& start, const std::vector<Time>& end) const;
  TaskId FirstAhead(const Beats& beats) const;
  bool SameState(const Beat& a, const Beat& b, TaskId shift, TaskId common) const;
  bool Repeats(TaskId begin, TaskId end, TaskId shift) const;

  const TaskGraph& graph_;
  const std::vector<TaskId> marks_;
  std::size_t next_ = 0;
  std::vector<bool> sources_;               // per stream
  std::vector<std::vector<TaskId>> tasks_;  // per stream
  std::vector<std::size_t> at_;             // per stream: its first unfinished task
  std::vector<TaskId> before_;              // per member of a task: the task before on its stream
  std::vector<std::uint32_t> before_begin_;
  std::vector<Beat> beats_;
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ENGINE_RECURRENCE_H_
