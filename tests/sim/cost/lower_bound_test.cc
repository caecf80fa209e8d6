#include "sim/cost/lower_bound.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "sim/cost/collective_model.h"
#include "sim/cost/collective_registry.h"
#include "tests/sim/cost/cost_fixtures.h"

namespace meshstep {
namespace {

constexpr Collective kAll[] = {Collective::kAllGather, Collective::kReduceScatter,
                               Collective::kAllReduce, Collective::kAllToAll,
                               Collective::kBroadcast, Collective::kReduce,
                               Collective::kPermute};

TEST(LowerBound, NoAlgorithmBeatsIt) {
  std::mt19937 random(11);
  int cases = 0;
  for (const NamedCluster& named : SmallClusters()) {
    if (named.cluster.devices() > 64) continue;
    for (int trial = 0; trial < 3; ++trial) {
      const Placed placed =
          Place(named.cluster, RandomFactors(named.cluster.devices(), 2, &random));
      if (placed.mesh == nullptr) continue;
      const std::vector<AxisId> axes = {static_cast<AxisId>(random() % 2)};
      const Group group = placed.GroupOf(axes);
      if (group.size() == 1) continue;
      const CollectiveModel model(*placed.mesh, nullptr, Fidelity::kIdeal);
      for (const Collective collective : kAll) {
        for (const Bytes bytes : {Bytes(100), Bytes(1e9)}) {
          const Seconds bound = LowerBoundOf(*placed.fabric, group, collective, bytes).value();
          for (const CollectiveAlgorithm* algorithm : CollectiveAlgorithms()) {
            if (!algorithm->Supports(collective, group)) continue;
            const auto cost = model.Cost(collective, bytes, axes, 0, algorithm->name());
            ASSERT_TRUE(cost.ok());
            EXPECT_GE(cost->idle_time.value(), bound.value() * (1 - 1e-9))
                << named.name << " " << algorithm->name() << " " << NameOf(collective) << " "
                << bytes.value();
            ++cases;
          }
        }
      }
    }
  }
  EXPECT_GT(cases, 500);
}

double GapOfMultiAxisRing(const Cluster& cluster) {
  const Placed placed = PlaceWhole(cluster);
  const CollectiveModel model(*placed.mesh, nullptr, Fidelity::kIdeal);
  const std::vector<AxisId> axes = {0};
  const Bytes bytes(10e9);
  const auto cost = model.Cost(Collective::kAllGather, bytes, axes, 0, "multi-axis-ring");
  EXPECT_TRUE(cost.ok());
  const Seconds bound =
      LowerBoundOf(*placed.fabric, placed.GroupOf(axes), Collective::kAllGather, bytes).value();
  return cost->idle_time / bound - 1;
}

TEST(LowerBound, MultiAxisRingIsWithinOnePercentOnEqualAxes) {
  for (const Cluster& cluster : {Ring({4, 4}), Ring({16, 16}), Ring({4, 4, 4}), Ring({8, 8, 8}),
                                 Torus({4, 4}, {false, false})}) {
    EXPECT_LT(GapOfMultiAxisRing(cluster), 0.01);
  }
}

TEST(LowerBound, MultiAxisRingIsWithinFivePercentOnUnequalAxes) {
  for (const Cluster& cluster :
       {Ring({8, 16}), Torus({8, 16}, {false, true}), Ring({4, 4, 8}), Ring({4, 8, 16})}) {
    EXPECT_LT(GapOfMultiAxisRing(cluster), 0.05);
  }
}

// Hardware facts: a 16x16 pod's bisection is 32 links one way; 128 · 64 MB / 2 cross it.
TEST(LowerBound, AllToAllOnATorusIsBoundByItsBisection) {
  const Placed placed = PlaceWhole(Ring({16, 16}));
  const LowerBound bound =
      LowerBoundOf(*placed.fabric, placed.GroupOf({0}), Collective::kAllToAll, Bytes(64e6));
  EXPECT_DOUBLE_EQ(bound.cut.value(), 128.0 * 128 / 256 * 64e6 / (32 * kLink));
  EXPECT_DOUBLE_EQ(bound.injection.value(), 255.0 / 256 * 64e6 / (4 * kLink));
  EXPECT_DOUBLE_EQ(bound.latency.value(), 16e-6);
}

// 2 nodes of 8 with a NIC of kNic per chip: all that leaves a node goes through 8 NICs.
TEST(LowerBound, NodesAreBoundByTheirNics) {
  const Placed placed = PlaceWhole(Switched(2, 8, 8, {}));
  const LowerBound bound =
      LowerBoundOf(*placed.fabric, placed.GroupOf({0}), Collective::kAllGather, Bytes(1e9));
  EXPECT_DOUBLE_EQ(bound.cut.value(), 0.5 * 1e9 / (8 * kNic));
}

// Only where a switch adds up may an all-reduce be done in S / W.
TEST(LowerBound, InNetworkReductionHalvesTheBoundOfAnAllReduce) {
  Cluster cluster = Switched(1, 8, 8, {});
  const Placed plain = PlaceWhole(cluster);
  cluster.chip.interconnect.in_network_reduction = true;
  const Placed adds = PlaceWhole(cluster);
  const Bytes bytes(1e9);
  EXPECT_DOUBLE_EQ(LowerBoundOf(*plain.fabric, plain.GroupOf({0}), Collective::kAllReduce, bytes)
                       .injection.value(),
                   2 * 7.0 / 8 * 1e9 / kLink);
  EXPECT_DOUBLE_EQ(LowerBoundOf(*adds.fabric, adds.GroupOf({0}), Collective::kAllReduce, bytes)
                       .injection.value(),
                   1e9 / kLink);
}

}  // namespace
}  // namespace meshstep
