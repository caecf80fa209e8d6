#include "sim/simulate/link_usage.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <utility>

#include "sim/base/index.h"
#include "sim/engine/binding_links.h"
#include "sim/engine/flow_network.h"

namespace meshstep {
namespace {

class Replay {
 public:
  Replay(const TaskGraph& graph, const Run& run)
      : graph_(graph),
        links_(graph),
        network_(graph.links()),
        phase_(Index(graph.tasks()), 0),
        load_(graph.links().size(), 0),
        is_busy_(graph.links().size(), false),
        usage_(graph.links().size()) {
    for (TaskId t = 0; t < graph.tasks(); ++t) {
      if (graph.pattern(t) != kTimed) StartPhase(t, run.start[Index(t)]);
    }
  }

  std::vector<std::vector<LinkPoint>> Take() {
    while (true) {
      const Time now =
          std::min(events_.empty() ? Time::Max() : events_.top().first, network_.NextCompletion());
      if (now == Time::Max()) break;
      while (!events_.empty() && events_.top().first == now) {
        const TaskId task = events_.top().second;
        events_.pop();
        BeginDrain(task, now);
      }
      if (network_.NextCompletion() <= now) EndDrained(now);
      if (!events_.empty() && events_.top().first == now) continue;
      network_.Update(now);
      Record(now);
    }
    return std::move(usage_);
  }

 private:
  using Event = std::pair<Time, TaskId>;
  struct Active {
    TaskId task = -1;  // -1: no flow of this id
    std::span<const FlowDemand> demands;
  };

  void StartPhase(TaskId task, Time now) {
    const std::vector<Phase>& phases = graph_.phases(graph_.pattern(task));
    if (Index(phase_[Index(task)]) == phases.size()) return;
    events_.emplace(now + phases[Index(phase_[Index(task)])].latency, task);
  }

  void BeginDrain(TaskId task, Time now) {
    const std::size_t i = Index(phase_[Index(task)]++);
    const Phase& phase = graph_.phases(graph_.pattern(task))[i];
    if (phase.demands.empty()) {
      StartPhase(task, now);
      return;
    }
    const FlowNetwork::FlowId flow =
        network_.Add(links_.demands(graph_.pattern(task), i), phase.weight, now);
    if (flows_.size() <= Index(flow)) flows_.resize(Index(flow) + 1);
    flows_[Index(flow)] = {task, phase.demands};
  }

  void EndDrained(Time now) {
    drained_.clear();
    network_.Drained(now, &drained_);
    for (const FlowNetwork::FlowId flow : drained_) network_.Remove(flow);
    for (const FlowNetwork::FlowId flow : drained_) {
      StartPhase(std::exchange(flows_[Index(flow)].task, -1), now);
    }
  }

  // Only links that were busy or are can differ from before.
  void Record(Time now) {
    changed_ = std::exchange(busy_, {});
    for (const std::int32_t l : changed_) load_[Index(l)] = 0;
    for (std::size_t f = 0; f < flows_.size(); ++f) {
      if (flows_[f].task < 0) continue;
      const double rate = network_.rate(static_cast<FlowNetwork::FlowId>(f));
      for (const FlowDemand& d : flows_[f].demands) {
        if (!is_busy_[Index(d.link)]) busy_.push_back(d.link);
        is_busy_[Index(d.link)] = true;
        load_[Index(d.link)] += rate * d.bytes;
      }
    }
    for (const std::int32_t l : changed_) {
      if (!is_busy_[Index(l)]) AddPoint(Index(l), now);
    }
    for (const std::int32_t l : busy_) {
      AddPoint(Index(l), now);
      is_busy_[Index(l)] = false;
    }
  }

  void AddPoint(std::size_t l, Time now) {
    const double fraction = std::min(1.0, load_[l] / graph_.links()[l].value());
    std::vector<LinkPoint>& points = usage_[l];
    const double before = points.empty() ? 0 : points.back().fraction;
    if (fraction == before) return;
    if (points.empty() && now > Time(0)) points.push_back({Time(0), 0});
    points.push_back({now, fraction});
  }

  const TaskGraph& graph_;
  const BindingLinks links_;
  FlowNetwork network_;
  std::vector<std::int32_t> phase_;  // per task: next phase to drain
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::vector<Active> flows_;  // by flow id
  std::vector<FlowNetwork::FlowId> drained_;
  std::vector<double> load_;                  // per link; 0 if it is not in busy_
  std::vector<std::int32_t> busy_, changed_;  // links
  std::vector<bool> is_busy_;
  std::vector<std::vector<LinkPoint>> usage_;
};

}  // namespace

std::vector<std::vector<LinkPoint>> LinkUsage(const TaskGraph& graph, const Run& run) {
  return Replay(graph, run).Take();
}

double MeanUsage(const std::vector<LinkPoint>& points, Time makespan) {
  double sum = 0;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const Time end = i + 1 < points.size() ? points[i + 1].time : makespan;
    sum += points[i].fraction * static_cast<double>((end - points[i].time).ps());
  }
  return makespan > Time(0) ? sum / static_cast<double>(makespan.ps()) : 0;
}

}  // namespace meshstep
