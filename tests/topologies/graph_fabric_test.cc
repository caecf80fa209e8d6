// Custom graphs: equal-cost multipath and link classes.

#include "topologies/graph_fabric.h"

#include <gtest/gtest.h>

#include <random>
#include <utility>
#include <vector>

#include "tests/topologies/clusters.h"
#include "tests/topologies/fabrics.h"

namespace meshstep {
namespace {

TEST(Graphs, SplitEvenlyAtEveryNode) {
  // 0 to 4 by the diamond 0-{1,2,3}-4, then one link to 5.
  const auto fabric = Build(Linked(6, 0, {{0, 1}, {0, 2}, {0, 3}, {1, 4}, {2, 4}, {3, 4}, {4, 5}}));
  const std::vector<Hop> hops = RouteOf(*fabric, 0, 5);
  ASSERT_EQ(hops.size(), 7u);
  for (std::size_t i = 0; i < 6; ++i) EXPECT_DOUBLE_EQ(hops[i].fraction, 1.0 / 3);
  EXPECT_DOUBLE_EQ(hops[6].fraction, 1);
  EXPECT_DOUBLE_EQ(fabric->Latency(0, 5).value(), 3e-6);
  EXPECT_EQ(fabric->levels()[0].bandwidth.value(), kLink);  // device 5 has one link
  EXPECT_DOUBLE_EQ(fabric->levels()[0].latency.value(), 3e-6);
}

TEST(Graphs, AGraphOfATorusRoutesAsTheTorus) {
  const auto torus = Build(Ring({3, 5}));
  Cluster cluster = Linked(15, 0, {});
  for (const FabricEdge& edge : torus->Explicit().edges) {
    cluster.graph.push_back({edge.from, edge.to, BytesPerSecond(kLink), Seconds(1e-6)});
  }
  const auto graph = Build(cluster);
  for (DeviceId src = 0; src < 15; ++src) {
    for (DeviceId dst = 0; dst < 15; ++dst) {
      double length = 0;
      for (const Hop& hop : RouteOf(*graph, src, dst)) length += hop.fraction;
      EXPECT_NEAR(length, static_cast<double>(RouteOf(*torus, src, dst).size()), 1e-12);
      EXPECT_DOUBLE_EQ(graph->Latency(src, dst).value(), torus->Latency(src, dst).value());
    }
  }
}

// Two spines under the same leaves carry the same, whoever talks; their links to a leaf are one
// class, and so are parallel links.
TEST(Graphs, LinksThatCannotDifferAreOneClass) {
  const auto spines =
      Build(Linked(4, 4, {{0, 4}, {1, 4}, {2, 5}, {3, 5}, {4, 6}, {4, 7}, {5, 6}, {5, 7}}));
  EXPECT_EQ(spines->SymmetryKeys({false}), 8 + 4);  // device links alone, leaf-spine links in pairs
  const auto parallel = Build(Linked(3, 0, {{0, 1}, {0, 1}, {1, 2}}));
  EXPECT_EQ(parallel->SymmetryKeys({false}), 4);
}

// A long chain of switches takes many rounds to refine; past a bound every link is a key of its
// own.
TEST(Graphs, LongChainsAreBuiltQuickly) {
  std::vector<std::pair<int, int>> links{{0, 2}};
  for (int n = 2; n < 5000; ++n) links.emplace_back(n, n + 1);
  links.emplace_back(5000, 1);
  const auto fabric = Build(Linked(2, 4999, links));
  EXPECT_EQ(fabric->SymmetryKeys({false}), fabric->links());
  EXPECT_EQ(RouteOf(*fabric, 0, 1).size(), 5000u);
}

// Links of one key carry equal shares of every single message, in random graphs as well.
TEST(Graphs, KeysCarryEqualSharesOfEveryMessage) {
  std::mt19937 random(11);
  for (int trial = 0; trial < 60; ++trial) {
    const int devices = 2 + static_cast<int>(random() % 5),
              switches = static_cast<int>(random() % 7);
    std::vector<std::pair<int, int>> links;
    for (int n = 1; n < devices + switches; ++n) {
      links.emplace_back(static_cast<int>(random() % static_cast<unsigned>(n)), n);
    }
    for (auto extra = random() % 12; extra > 0; --extra) {
      const int a = static_cast<int>(random() % static_cast<unsigned>(devices + switches));
      const int b = static_cast<int>(random() % static_cast<unsigned>(devices + switches));
      if (a != b) links.emplace_back(a, b);
    }
    const auto fabric = Build(Linked(devices, switches, links));
    for (DeviceId src = 0; src < devices; ++src) {
      for (DeviceId dst = 0; dst < devices; ++dst) {
        std::vector<double> load(static_cast<std::size_t>(fabric->links()), 0);
        for (const Hop& hop : RouteOf(*fabric, src, dst)) {
          load[static_cast<std::size_t>(hop.link)] += hop.fraction;
        }
        for (LinkId link = 0; link < fabric->links(); ++link) {
          const LinkId other = fabric->KeyExample(fabric->SymmetryKey(link, {false}), {false});
          EXPECT_NEAR(load[static_cast<std::size_t>(link)], load[static_cast<std::size_t>(other)],
                      1e-12);
        }
      }
    }
  }
}

}  // namespace
}  // namespace meshstep
