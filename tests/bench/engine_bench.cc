// Speed of the engine and of the network solver. Bars: 5 million tasks per second and core on a
// pipeline; an AllToAll of explicit flows on an 8x8 torus under 5 ms, on 8x8x8 under 500 ms, on
// 16x16 with links of unequal capacities under 500 ms.

#include <array>
#include <vector>

#include "benchmark/benchmark.h"
#include "sim/engine/engine.h"

namespace meshstep {
namespace {

constexpr int kStages = 4;

// A pipeline in 1F1B order: per micro-batch, stage and direction some layers of three kernels and
// one tensor-parallel collective, then a send to the neighbour. About a quarter of the tasks are
// transfers, as in a lowered transformer.
TaskGraph PipelineGraph(int micro_batches, int layers) {
  TaskGraph graph;
  std::array<StreamId, kStages> compute, comm;
  std::array<PatternId, kStages> collective, send;
  for (std::size_t s = 0; s < kStages; ++s) {
    compute[s] = graph.AddStream();
    comm[s] = graph.AddStream();
    const std::int32_t nvlink = graph.AddLink(BytesPerSecond(450e9));
    const std::int32_t nic = graph.AddLink(BytesPerSecond(50e9));
    collective[s] = graph.AddPattern({{Time(7000000), {{nvlink, 58e6}}, 58e6}});
    send[s] = graph.AddPattern({{Time(5000000), {{nic, 8e6}, {nvlink, 1e6}}, 8e6}});
  }
  std::vector<TaskId> forward_in(kStages * static_cast<std::size_t>(micro_batches), -1);
  graph.Reserve(static_cast<std::size_t>(2 * kStages * micro_batches * (4 * layers + 1)));
  for (int m = 0; m < micro_batches; ++m) {
    for (const bool backward : {false, true}) {
      TaskId before = -1;
      for (std::size_t i = 0; i < kStages; ++i) {
        const std::size_t s = backward ? kStages - 1 - i : i;
        for (int layer = 0; layer < layers; ++layer) {
          const TaskId ready[] = {before};
          TaskId t = graph.AddTimed(compute[s], Time(300000000 + layer),
                                    std::span(ready, before < 0 ? 0 : 1));
          t = graph.AddTimed(compute[s], Time(20000000 + m), {});
          t = graph.AddTimed(compute[s], Time(250000000), {});
          before = graph.AddTransfer({&comm[s], 1}, collective[s], {&t, 1});
        }
        if (i + 1 == kStages) continue;
        const StreamId ends[] = {comm[s], comm[backward ? s - 1 : s + 1]};
        before = graph.AddTransfer(ends, send[s], {&before, 1});
      }
    }
  }
  return graph;
}

void BM_Pipeline(benchmark::State& state) {
  const TaskGraph graph = PipelineGraph(static_cast<int>(state.range(0)), 20);
  for (auto _ : state) {
    const StatusOr<Run> run = RunGraph(graph);
    CHECK(run.ok());
    benchmark::DoNotOptimize(run->makespan);
  }
  state.counters["tasks"] = graph.tasks();
  state.counters["tasks/s"] = benchmark::Counter(
      static_cast<double>(state.iterations()) * graph.tasks(), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_Pipeline)->Arg(32)->Arg(388)->Unit(benchmark::kMillisecond);

void BM_BuildPipeline(benchmark::State& state) {
  TaskId tasks = 0;
  for (auto _ : state) tasks = PipelineGraph(388, 20).tasks();
  state.counters["tasks/s"] = benchmark::Counter(static_cast<double>(state.iterations()) * tasks,
                                                 benchmark::Counter::kIsRate);
}
BENCHMARK(BM_BuildPipeline)->Unit(benchmark::kMillisecond);

// Dimension-ordered minimal routes on a torus of equal sides. A distance of half a side is split
// evenly over both directions, so that in an AllToAll every link carries the same.
class TorusRoutes {
 public:
  TorusRoutes(int side, int dimensions) : side_(side), dimensions_(dimensions) {
    for (int d = 0; d < dimensions; ++d) nodes_ *= side;
  }
  int nodes() const { return nodes_; }
  int links() const { return 2 * dimensions_ * nodes_; }

  void Append(int from, int to, double bytes, std::vector<FlowDemand>* demands) const {
    int stride = 1;
    for (int d = 0; d < dimensions_; ++d, stride *= side_) {
      const int x = from / stride % side_, y = to / stride % side_;
      const int up = (y - x + side_) % side_, down = side_ - up;
      const bool split = up == down;
      if (up != 0 && up <= down) Walk(from, d, stride, up, +1, split ? bytes / 2 : bytes, demands);
      if (up != 0 && down <= up)
        Walk(from, d, stride, down, -1, split ? bytes / 2 : bytes, demands);
      from += (y - x) * stride;
    }
  }

 private:
  void Walk(int node, int d, int stride, int hops, int step, double bytes,
            std::vector<FlowDemand>* demands) const {
    for (; hops > 0; --hops) {
      demands->push_back({(node * dimensions_ + d) * 2 + (step > 0 ? 0 : 1), bytes});
      const int x = node / stride % side_;
      node += ((x + step + side_) % side_ - x) * stride;
    }
  }

  int side_, dimensions_;
  int nodes_ = 1;
};

// Every pair of nodes is a flow of its own: routes, network, one solve, all ends. At the end the
// time is checked: bytes over the busiest link / its capacity.
void BM_AllToAllTorus(benchmark::State& state) {
  const TorusRoutes torus(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  const std::vector<BytesPerSecond> capacities(static_cast<std::size_t>(torus.links()),
                                               BytesPerSecond(45e9));
  constexpr double kBytes = 1e6;
  for (auto _ : state) {
    std::vector<FlowDemand> demands;
    std::vector<std::size_t> begin = {0};
    for (int from = 0; from < torus.nodes(); ++from) {
      for (int to = 0; to < torus.nodes(); ++to) {
        if (from == to) continue;
        torus.Append(from, to, kBytes, &demands);
        begin.push_back(demands.size());
      }
    }
    FlowNetwork network(capacities);
    for (std::size_t f = 0; f + 1 < begin.size(); ++f) {
      network.Add({&demands[begin[f]], begin[f + 1] - begin[f]}, kBytes, Time(0));
    }
    network.Update(Time(0));
    std::vector<FlowNetwork::FlowId> drained;
    Time end;
    while (network.active() > 0) {
      end = network.NextCompletion();
      drained.clear();
      network.Drained(end, &drained);
      for (const FlowNetwork::FlowId flow : drained) network.Remove(flow);
      network.Update(end);
    }
    // Mean distance in a ring of even side n is n/4, over two directions, from each of the nodes.
    const double per_link = kBytes * torus.nodes() * static_cast<double>(state.range(0)) / 4 / 2;
    CHECK_EQ(end.ps(), Time::RoundUp(Bytes(per_link) / capacities[0]).ps());
    state.counters["flows"] = static_cast<double>(begin.size()) - 1;
    state.counters["solves"] = static_cast<double>(network.solves());
  }
}
BENCHMARK(BM_AllToAllTorus)->Args({8, 2})->Args({8, 3})->Unit(benchmark::kMillisecond);

// The same with links of many capacities: flows end one after another, each a solve of its own.
void BM_UnequalAllToAll(benchmark::State& state) {
  const TorusRoutes torus(static_cast<int>(state.range(0)), 2);
  std::vector<BytesPerSecond> capacities;
  for (int l = 0; l < torus.links(); ++l) {
    capacities.emplace_back(20e9 + 80e9 * (l * 7919 % 1009) / 1009.0);
  }
  for (auto _ : state) {
    std::vector<FlowDemand> demands;
    std::vector<std::size_t> begin = {0};
    for (int from = 0; from < torus.nodes(); ++from) {
      for (int to = 0; to < torus.nodes(); ++to) {
        if (from == to) continue;
        torus.Append(from, to, 1e6, &demands);
        begin.push_back(demands.size());
      }
    }
    FlowNetwork network(capacities);
    for (std::size_t f = 0; f + 1 < begin.size(); ++f) {
      network.Add({&demands[begin[f]], begin[f + 1] - begin[f]}, 1e6, Time(0));
    }
    network.Update(Time(0));
    std::vector<FlowNetwork::FlowId> drained;
    while (network.active() > 0) {
      const Time now = network.NextCompletion();
      drained.clear();
      network.Drained(now, &drained);
      for (const FlowNetwork::FlowId flow : drained) network.Remove(flow);
      network.Update(now);
    }
    state.counters["solves"] = static_cast<double>(network.solves());
  }
}
BENCHMARK(BM_UnequalAllToAll)->Arg(16)->Unit(benchmark::kMillisecond);

// Many groups that share nothing with each other: the cost of one event must not grow with them.
void BM_DisjointFlows(benchmark::State& state) {
  const auto groups = static_cast<std::size_t>(state.range(0));
  const std::vector<BytesPerSecond> capacities(groups, BytesPerSecond(1e9));
  std::vector<FlowDemand> demands;
  for (std::size_t g = 0; g < groups; ++g) {
    demands.push_back({static_cast<std::int32_t>(g), 1e6 + static_cast<double>(g)});
  }
  FlowNetwork network(capacities);
  std::vector<FlowNetwork::FlowId> drained;
  std::vector<std::size_t> group_of(groups);
  for (std::size_t g = 0; g < groups; ++g) {
    group_of[static_cast<std::size_t>(network.Add({&demands[g], 1}, 1e6, Time(0)))] = g;
  }
  network.Update(Time(0));
  for (auto _ : state) {
    const Time now = network.NextCompletion();
    drained.clear();
    network.Drained(now, &drained);
    for (const FlowNetwork::FlowId flow : drained) {
      const std::size_t g = group_of[static_cast<std::size_t>(flow)];
      network.Remove(flow);
      const FlowNetwork::FlowId next = network.Add({&demands[g], 1}, 1e6, now);
      if (group_of.size() <= static_cast<std::size_t>(next)) {
        group_of.resize(static_cast<std::size_t>(next) + 1);
      }
      group_of[static_cast<std::size_t>(next)] = g;
    }
    network.Update(now);
  }
}
BENCHMARK(BM_DisjointFlows)->Arg(1)->Arg(64)->Arg(4096);

}  // namespace
}  // namespace meshstep
