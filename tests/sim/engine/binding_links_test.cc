#include "sim/engine/binding_links.h"

#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "sim/engine/engine.h"

namespace meshstep {
namespace {

// A graph whose one stream runs each pattern once.
TaskGraph GraphOf(const std::vector<double>& capacities, std::vector<Phase> phases) {
  TaskGraph graph;
  for (const double c : capacities) graph.AddLink(BytesPerSecond(c));
  const StreamId stream = graph.AddStream();
  for (Phase& phase : phases) {
    graph.AddTransfer({&stream, 1}, graph.AddPattern({std::move(phase)}), {});
  }
  return graph;
}

// Gathers along the lines of a square of `side`: place i of a line carries i + 1 blocks, so that the
// last place of one line covers every other link; of the scatter, which runs the other way, place
// i carries side - 1 - i, and then every place of one line is left: (1, s-1), (2, s-2), ...
TEST(BindingLinksTest, OfEqualLinesOneIsLeft) {
  constexpr int kSide = 12;
  const std::vector<double> capacities(kSide * (kSide - 1), 1e9);
  Phase gather{Time(0), {}, 1e6}, scatter = gather;
  for (int line = 0; line < kSide; ++line) {
    for (int i = 0; i + 1 < kSide; ++i) {
      gather.demands.push_back({line * (kSide - 1) + i, 1e6 * (i + 1)});
      scatter.demands.push_back({line * (kSide - 1) + i, 1e6 * (kSide - 1 - i)});
    }
  }
  EXPECT_EQ(BindingLinks(GraphOf(capacities, {gather})).kept(), 1);
  const TaskGraph both = GraphOf(capacities, {gather, scatter});
  EXPECT_EQ(BindingLinks(both).kept(), 2 * (kSide - 1));
  EXPECT_EQ(BindingLinks(both).demands(both.pattern(1), 0).size(), kSide - 1);
}

TEST(BindingLinksTest, FewLinksAreLeftAsTheyAre) {
  const TaskGraph graph = GraphOf({1e9, 2e9}, {Phase{Time(0), {{0, 1e6}, {1, 1e6}}, 1e6}});
  EXPECT_EQ(BindingLinks(graph).demands(graph.pattern(0), 0).size(), 2);
}

// Rates of random flows with all of their links and with those that can bind.
TEST(BindingLinksTest, RatesAreTheSame) {
  std::mt19937_64 random(19);
  std::int64_t all = 0, left = 0;
  for (int trial = 0; trial < 200; ++trial) {
    const int links = 70 + static_cast<int>(random() % 100);
    std::vector<double> capacities;
    for (int l = 0; l < links; ++l)
      capacities.push_back(1e9 * static_cast<double>(1 + random() % 3));
    std::vector<Phase> phases;
    for (std::size_t f = 0, n = 2 + random() % 5; f < n; ++f) {
      Phase phase{Time(0), {}, 1e6 * static_cast<double>(1 + random() % 4)};
      for (int l = 0; l < links; ++l) {
        if (random() % 3 == 0) continue;
        phase.demands.push_back({l, 1e5 * static_cast<double>(1 + random() % 4)});
      }
      phases.push_back(std::move(phase));
    }
    const TaskGraph graph = GraphOf(capacities, phases);
    const BindingLinks binding(graph);
    FlowNetwork whole(graph.links()), pruned(graph.links());
    std::vector<FlowNetwork::FlowId> a, b;
    for (TaskId t = 0; t < graph.tasks(); ++t) {
      const Phase& phase = graph.phases(graph.pattern(t)).front();
      const std::span<const FlowDemand> kept = binding.demands(graph.pattern(t), 0);
      all += static_cast<std::int64_t>(phase.demands.size());
      left += static_cast<std::int64_t>(kept.size());
      a.push_back(whole.Add(phase.demands, phase.weight, Time(0)));
      b.push_back(pruned.Add(kept, phase.weight, Time(0)));
    }
    whole.Update(Time(0));
    pruned.Update(Time(0));
    for (std::size_t f = 0; f < a.size(); ++f) {
      EXPECT_NEAR(whole.rate(a[f]) / pruned.rate(b[f]), 1, 1e-10) << "trial " << trial;
    }
  }
  EXPECT_LT(left, all * 3 / 4);  // links were left out
}

}  // namespace
}  // namespace meshstep
