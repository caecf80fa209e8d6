// Timed tasks that go slower while transfers run beside them.
//
// A processor works at rate 1 less what the transfers take that run on any of its streams, but at
// least kLeastRate. Work is counted in millionths of a picosecond, so that sums are exact and the
// order in which transfers come and go does not matter. Rates change once per instant.

#ifndef MESHSTEP_SIM_ENGINE_PROCESSORS_H_
#define MESHSTEP_SIM_ENGINE_PROCESSORS_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "sim/engine/task_graph.h"

namespace meshstep {

class Processors {
 public:
  static constexpr std::int64_t kWhole = 1000000;
  static constexpr std::int64_t kLeastRate = kWhole / 10;

  explicit Processors(const TaskGraph& graph);

  bool Slows(StreamId stream) const { return processor_[At(stream)] != kNoProcessor; }
  // A timed task starts on a stream that Slows(). Its end comes from Settle.
  void Start(StreamId stream, TaskId task, Time duration, Time now);
  // True if the task ends at `now`; false for an end that a change of rate has made obsolete.
  bool Ends(StreamId stream, TaskId task, Time now);
  // A transfer starts (taken > 0) or ends (taken < 0) on the stream.
  void Take(StreamId stream, std::int64_t taken);

  // What is left of the work of every stream (see recurrence.h), tasks counted from `mark`.
  void AppendState(TaskId mark, Time now, std::vector<std::int64_t>* numbers) const;

  // After everything else at `now`: calls end(time, task) for every task whose end has changed.
  template <class End>
  void Settle(Time now, End end) {
    for (const ProcessorId p : changed_) {
      is_changed_[At(p)] = false;
      const std::int64_t rate = std::max(kWhole - taken_[At(p)], kLeastRate);
      for (const StreamId s : streams_[At(p)]) {
        Work& work = work_[At(s)];
        if (work.task < 0 || work.rate == rate) continue;
        SetRate(&work, rate, now);
        end(work.end, work.task);
      }
    }
    changed_.clear();
  }

 private:
  struct Work {
    TaskId task = -1;
    __extension__ unsigned __int128 left = 0;
    std::int64_t rate = 0;  // 0: not set yet
    Time since, end;
  };
  static std::size_t At(std::int32_t i) { return static_cast<std::size_t>(i); }
  void Change(ProcessorId p);
  static void SetRate(Work* work, std::int64_t rate, Time now);

  std::vector<ProcessorId> processor_;          // per stream
  std::vector<Work> work_;                      // per stream
  std::vector<std::vector<StreamId>> streams_;  // per processor: those with timed tasks
  std::vector<std::int64_t> taken_;             // per processor
  std::vector<ProcessorId> changed_;
  std::vector<bool> is_changed_;  // per processor
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ENGINE_PROCESSORS_H_
