// Clusters of nodes: NICs, tapers, rails and planes.

#include "topologies/node_fabric.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/topologies/clusters.h"
#include "tests/topologies/fabrics.h"
#include "topologies/build_fabric.h"
#include "topologies/graph.h"

namespace meshstep {
namespace {

TEST(Nodes, OneNodeHasNoNics) {
  const auto fabric = Build(Switched(1, 8, 8, {}));
  EXPECT_EQ(fabric->levels().size(), 1u);
  EXPECT_EQ(fabric->links(), 2 * 8);
}

// Two chips on one NIC halve each one's share; all of a node's sends cross its NICs.
TEST(Nodes, SharedNicHalvesTheShare) {
  const auto own = Build(Switched(2, 8, 8, {}));
  const auto shared = Build(Switched(2, 8, 4, {}));
  EXPECT_EQ(own->levels()[1].bandwidth.value(), kNic);
  EXPECT_EQ(shared->levels()[1].bandwidth.value(), kNic / 2);
  const LinkId a = RouteOf(*shared, 0, 8).front().link;
  EXPECT_EQ(RouteOf(*shared, 1, 9).front().link, a);
  EXPECT_NE(RouteOf(*shared, 2, 10).front().link, a);
  EXPECT_EQ(shared->links() - own->links(), -2 * 2 * 4);
}

TEST(Nodes, SeveralNicsOfAChipSplitAMessage) {
  const auto fabric = Build(Switched(2, 4, 8, {}));
  EXPECT_EQ(fabric->levels()[1].bandwidth.value(), 2 * kNic);
  const std::vector<Hop> hops = RouteOf(*fabric, 0, 4);
  ASSERT_EQ(hops.size(), 4u);  // two NICs up, two down
  for (const Hop& hop : hops) EXPECT_EQ(hop.fraction, 0.5);
}

// Meta's 24K cluster (hardware.md section 4): pods of 3072 chips, NICs of 50 GB/s, 7:1 above them:
// C(pod) = 3072 * 50 GB/s / 7 = 21.9 TB/s, 7.1 GB/s per chip across pods. Racks are
// undersubscribed.
TEST(Nodes, TaperedUplinks) {
  const Tier rack{"rack", 2, 0.5, Seconds(0), false};
  const Tier pod{"pod", 384, 7, Seconds(0), false};
  const Tier core{"core", 0, 1, Seconds(0), false};
  const auto fabric = Build(Switched(3072, 8, 8, {rack, pod, core}));
  ASSERT_EQ(fabric->levels().size(), 4u);
  const std::vector<Hop> hops = RouteOf(*fabric, 0, 3072);
  ASSERT_EQ(hops.size(), 6u);  // NIC, rack, pod up; and down again
  EXPECT_NEAR(fabric->capacity(hops[1].link).value(), 2 * 8 * kNic / 0.5, 1);
  EXPECT_NEAR(fabric->capacity(hops[2].link).value(), 3072 * kNic / 7, 1);
  EXPECT_NEAR(fabric->capacity(hops[2].link).value(), 21.9e12, 0.05e12);
  EXPECT_NEAR(fabric->levels()[3].bandwidth.value(), 7.1e9, 0.05e9);
}

TEST(Nodes, RailsJoinOneTierHigher) {
  const Tier leaf{"leaf", 4, 1, Seconds(0), true};
  const Tier spine{"spine", 0, 1, Seconds(1e-6), false};
  const auto fabric = Build(Switched(8, 8, 8, {leaf, spine}));
  EXPECT_EQ(RouteOf(*fabric, 0, 8).size(), 2u);      // same rail, same leaf
  EXPECT_EQ(RouteOf(*fabric, 0, 9).size(), 4u);      // other rail: through the spine
  EXPECT_EQ(RouteOf(*fabric, 0, 8 * 4).size(), 4u);  // other leaf
  EXPECT_DOUBLE_EQ(fabric->Latency(0, 8).value(), 3e-6);
  EXPECT_DOUBLE_EQ(fabric->Latency(0, 9).value(), 4e-6);
  // Each rail's leaf has its own uplink: the NICs of that rail.
  EXPECT_EQ(fabric->capacity(RouteOf(*fabric, 0, 9)[1].link).value(), 4 * kNic);
}

// One plane per NIC (arXiv 2505.09343): rails never meet, so traffic crosses the node first.
TEST(Nodes, PlanesAreReachedThroughTheNode) {
  const Tier leaf{"leaf", 4, 1, Seconds(0), true};
  const Tier spine{"spine", 0, 1, Seconds(1e-6), true};
  const auto fabric = Build(Switched(8, 8, 8, {leaf, spine}));
  std::vector<std::string> names;
  for (const Hop& hop : RouteOf(*fabric, 0, 9)) names.push_back(fabric->LinkName(hop.link));
  EXPECT_EQ(names, (std::vector<std::string>{"node up 0 chip 0", "node down 0 chip 1",
                                             "nic up 0 nic 1", "nic down 1 nic 1"}));
  EXPECT_DOUBLE_EQ(fabric->Latency(0, 9).value(), 1e-6 + 3e-6);
}

TEST(Nodes, CalibratedRatesUseTheUsableFractions) {
  Cluster cluster = Switched(2, 4, 4, {});
  cluster.chip.interconnect.usable_fraction = 0.8;
  cluster.nodes.nic_usable_fraction = 0.9;
  const auto fabric = BuildFabric(cluster, RateSet::kDatasheet, Fidelity::kCalibrated);
  EXPECT_DOUBLE_EQ(fabric->levels()[0].bandwidth.value(), 0.8 * kLink);
  EXPECT_DOUBLE_EQ(fabric->levels()[1].bandwidth.value(), 0.9 * kNic);
}

// One pair of a full mesh has one link; all pairs of a device together, extent - 1.
TEST(Nodes, FullMesh) {
  Cluster cluster = Switched(1, 8, 8, {});
  cluster.chip.interconnect.kind = Interconnect::Kind::kFullMesh;
  const auto fabric = Build(cluster);
  EXPECT_EQ(fabric->links(), 8 * 7);
  EXPECT_EQ(RouteOf(*fabric, 3, 1).size(), 1u);
  EXPECT_EQ(fabric->levels()[0].bandwidth.value(), 7 * kLink);
  const std::vector<DeviceId> one{0}, other{1};
  EXPECT_NEAR(Graph(*fabric).MinCut(one, other).capacity.value(), 7 * kLink, 1);
}

}  // namespace
}  // namespace meshstep
