// The slow truth of the engine: at every instant it looks at every task again. No queue, no
// dependency counters, no incremental network.

#ifndef MESHSTEP_TESTS_SIM_ENGINE_SLOW_SIMULATOR_H_
#define MESHSTEP_TESTS_SIM_ENGINE_SLOW_SIMULATOR_H_

#include <algorithm>
#include <map>
#include <vector>

#include "sim/engine/task_graph.h"
#include "tests/sim/engine/fluid_truth.h"

namespace meshstep {

struct SlowRun {
  std::vector<Time> start, end;  // Time(-1): never
};

class SlowSimulator {
 public:
  explicit SlowSimulator(const TaskGraph& graph)
      : graph_(graph), states_(static_cast<std::size_t>(graph.tasks())) {}

  SlowRun Run() {
    for (Time now(0); now < Time::Max(); now = NextInstant()) {
      while (MoveOneTask(now)) {
      }
      ShareNetwork(now);
      ShareProcessors(now);
    }
    SlowRun run;
    for (const State& s : states_) {
      run.start.push_back(s.start);
      run.end.push_back(s.end);
    }
    return run;
  }

 private:
  struct State {
    Time start = Time(-1), end = Time(-1);
    Time next = Time::Max();  // when what the task now does ends
    std::size_t phase = 0;
    bool draining = false;
    double remaining = 1, rate = 0;
    Time since;
    std::int64_t work = 0, slowness = 0;  // of a timed task: millionths of ps left, and its rate
  };

  bool HasEnded(TaskId t) const { return states_[static_cast<std::size_t>(t)].end >= Time(0); }

  // All tasks before it on its streams and all its dependencies have ended.
  bool CanStart(TaskId task) const {
    for (TaskId t = 0; t < task; ++t) {
      for (const StreamId s : graph_.members(task)) {
        if (std::ranges::count(graph_.members(t), s) > 0 && !HasEnded(t)) return false;
      }
    }
    return std::ranges::all_of(graph_.dependencies(task), [&](TaskId d) { return HasEnded(d); }) &&
           std::ranges::all_of(graph_.late_dependencies(), [&](const TaskGraph::Edge& e) {
             return e.task != task || HasEnded(e.on);
           });
  }

  // Starts a task, or ends what one does at `now`; false if there is nothing to do any more.
  bool MoveOneTask(Time now) {
    for (TaskId t = 0; t < graph_.tasks(); ++t) {
      State& s = states_[static_cast<std::size_t>(t)];
      const bool timed = graph_.pattern(t) == kTimed;
      const std::size_t phases = timed ? 0 : graph_.phases(graph_.pattern(t)).size();
      if (s.start < Time(0) && CanStart(t)) {
        s.start = now;
        s.next = now + (timed ? graph_.duration(t) : Latency(t));
        return true;
      }
      if (s.next > now) continue;
      s.next = Time::Max();
      const bool drains =
          s.phase < phases && !graph_.phases(graph_.pattern(t))[s.phase].demands.empty();
      if (drains && !s.draining) {
        s.draining = true;
        s.remaining = 1;
        s.rate = 0;
        s.since = now;
        return true;
      }
      s.draining = false;
      if (++s.phase < phases) {
        s.next = now + Latency(t);
      } else {
        s.end = now;
      }
      return true;
    }
    return false;
  }

  Time Latency(TaskId t) const {
    const auto& phases = graph_.phases(graph_.pattern(t));
    const std::size_t phase = states_[static_cast<std::size_t>(t)].phase;
    return phase < phases.size() ? phases[phase].latency : Time(0);
  }

  void ShareNetwork(Time now) {
    std::vector<double> capacities;
    for (const BytesPerSecond c : graph_.links()) capacities.push_back(c.value());
    std::vector<TrueFlow> flows;
    std::vector<State*> owners;
    for (TaskId t = 0; t < graph_.tasks(); ++t) {
      State& s = states_[static_cast<std::size_t>(t)];
      if (!s.draining) continue;
      const Phase& phase = graph_.phases(graph_.pattern(t))[s.phase];
      flows.push_back({phase.demands, phase.weight});
      owners.push_back(&s);
    }
    const std::vector<double> rates = TrueRates(capacities, flows);
    for (std::size_t i = 0; i < flows.size(); ++i) {
      State& s = *owners[i];
      if (std::abs(rates[i] / s.rate - 1) < 1e-11) continue;  // the end stays what it was
      s.remaining -= s.rate * (now - s.since).seconds();
      s.rate = rates[i];
      s.since = now;
      s.next = now + Time::RoundUp(Seconds(std::max(s.remaining, 0.0) / s.rate));
    }
  }

  // What the transfers under way leave of a processor, in millionths.
  std::int64_t Left(ProcessorId p) const {
    std::int64_t left = 1000000;
    for (TaskId t = 0; t < graph_.tasks(); ++t) {
      const State& s = states_[static_cast<std::size_t>(t)];
      if (graph_.pattern(t) == kTimed || s.start < Time(0) || HasEnded(t)) continue;
      for (const StreamId m : graph_.members(t)) {
        if (graph_.processor(m) == p) left -= graph_.taken(graph_.pattern(t));
      }
    }
    return std::max<std::int64_t>(left, 100000);
  }

  // Every timed task under way at what is left of its processor.
  void ShareProcessors(Time now) {
    for (TaskId t = 0; t < graph_.tasks(); ++t) {
      State& s = states_[static_cast<std::size_t>(t)];
      if (graph_.pattern(t) != kTimed || s.start < Time(0) || HasEnded(t)) continue;
      const ProcessorId p = graph_.processor(graph_.members(t).front());
      if (p == kNoProcessor || graph_.duration(t) == Time(0)) continue;
      if (s.start == now && s.slowness == 0) s.work = graph_.duration(t).ps() * 1000000;
      const std::int64_t rate = Left(p);
      if (rate == s.slowness) continue;
      s.work -= (now - s.since).ps() * s.slowness;
      s.slowness = rate;
      s.since = now;
      s.next = now + Time((s.work + rate - 1) / rate);
    }
  }

  Time NextInstant() const {
    Time next = Time::Max();
    for (const State& s : states_) next = std::min(next, s.next);
    return next;
  }

  const TaskGraph& graph_;
  std::vector<State> states_;
};

}  // namespace meshstep

#endif  // MESHSTEP_TESTS_SIM_ENGINE_SLOW_SIMULATOR_H_
