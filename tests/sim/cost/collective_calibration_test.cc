// Measured curves of collectives: how they are interpolated, which algorithm they choose, and that
// the chips' entries name algorithms that run.

#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "meshstep/v1/cluster.pb.h"
#include "sim/base/data_path.h"
#include "sim/cost/collective.h"
#include "tests/sim/cost/cost_fixtures.h"
#include "topologies/load_cluster.h"

namespace meshstep {
namespace {

CollectiveCalibration Entry(const std::string& collective, const std::string& algorithm) {
  CollectiveCalibration entry;
  entry.collective = collective;
  entry.algorithm = algorithm;
  entry.base = Seconds(10e-6);
  entry.rank = Seconds(1e-6);
  entry.rank_squared = Seconds(0.1e-6);
  entry.port = {{Bytes(1e6), BytesPerSecond(20e9)}, {Bytes(100e6), BytesPerSecond(80e9)}};
  return entry;
}

TEST(CollectiveCalibration, InterpolatesBetweenSizesInLogarithms) {
  const CollectiveCalibration entry = Entry("all-gather", "ring");
  EXPECT_DOUBLE_EQ(entry.PortRateAt(Bytes(1)).value(), 20e9);
  EXPECT_DOUBLE_EQ(entry.PortRateAt(Bytes(10e6)).value(), 40e9);  // half-way in both logarithms
  EXPECT_DOUBLE_EQ(entry.PortRateAt(Bytes(1e12)).value(), 80e9);
  EXPECT_DOUBLE_EQ(entry.Latency(5).value(), 10e-6 + 4 * 1e-6 + 16 * 0.1e-6);
}

TEST(CollectiveCalibration, HoldsForItsRanks) {
  CollectiveCalibration entry = Entry("all-gather", "ring");
  entry.min_ranks = 4;
  entry.max_ranks = 16;
  EXPECT_FALSE(entry.Holds(2));
  EXPECT_TRUE(entry.Holds(6));
  entry.ranks = CollectiveCalibration::Ranks::kPowersOfTwo;
  EXPECT_FALSE(entry.Holds(6));
  EXPECT_TRUE(entry.Holds(16));
  entry.ranks = CollectiveCalibration::Ranks::kOthers;
  EXPECT_TRUE(entry.Holds(6));
  EXPECT_FALSE(entry.Holds(32));
}

Seconds TimeOf(const Cluster& cluster, Fidelity fidelity, std::string* algorithm) {
  const auto fabric = BuildFabric(cluster, RateSet::kDatasheet, fidelity);
  const AxisRequest request{"all", cluster.devices(), ""};
  const auto mesh = Mesh::Place(*fabric, {&request, 1});
  EXPECT_TRUE(mesh.ok());
  const LinkClasses classes(*mesh, {});
  const CollectiveModel model(*mesh, &classes, fidelity);
  const AxisId all = 0;
  const auto cost = model.Cost(Collective::kAllGather, Bytes(10e6), {&all, 1}, 0);
  EXPECT_TRUE(cost.ok());
  *algorithm = std::string(cost->algorithm->name());
  return cost->idle_time;
}

TEST(CollectiveCalibration, ReplacesLatencyAndRateWhenCalibratedOnly) {
  Cluster cluster = Switched(1, 8, 8, {});
  cluster.chip.interconnect.usable_fraction = 0.8;  // a rate that the measurement stands for
  cluster.chip.collectives = {Entry("all-gather", "ring"), Entry("all-gather", "no such one")};
  std::string algorithm;
  // 10 + 7 + 49 · 0.1 us, then 7/8 of 10 MB at 40 GB/s.
  EXPECT_NEAR(TimeOf(cluster, Fidelity::kCalibrated, &algorithm).value(),
              21.9e-6 + 7.0 / 8 * 10e6 / 40e9, 2e-12);
  EXPECT_EQ(algorithm, "ring");
  // Direct: one message of 1 us, 7/8 of 10 MB at the data-sheet rate.
  EXPECT_NEAR(TimeOf(cluster, Fidelity::kIdeal, &algorithm).value(), 1e-6 + 7.0 / 8 * 10e6 / kLink,
              2e-12);
  EXPECT_EQ(algorithm, "direct");
}

TEST(NetworkCalibration, LatencyGrowsWithNodesForRingsAndWithDoublingsForTrees) {
  NetworkCalibration entry;
  entry.collective = "all-reduce";
  entry.algorithm = "ring";
  entry.base = Seconds(10e-6);
  entry.rank = Seconds(1e-6);
  entry.node = Seconds(5e-6);
  entry.doubling = Seconds(3e-6);
  // 28 ranks within nodes, 3 more nodes, 2 doublings; 2 . 3 hops of 7 us.
  EXPECT_DOUBLE_EQ(entry.Latency(32, 4, Seconds(7e-6)).value(), (10 + 28 + 15 + 6 + 42) * 1e-6);
  entry.algorithm = "nvls-tree";  // 2 . 2 hops
  EXPECT_DOUBLE_EQ(entry.Latency(32, 4, Seconds(7e-6)).value(), (10 + 28 + 15 + 6 + 28) * 1e-6);
  entry.collective = "all-gather";  // one way
  EXPECT_DOUBLE_EQ(entry.Latency(32, 4, Seconds(7e-6)).value(), (10 + 28 + 15 + 6 + 14) * 1e-6);
}

TEST(NetworkCalibration, TheQuickerProtocolHolds) {
  Cluster cluster = Switched(2, 8, 8, {});
  NetworkCalibration quick, wide;
  quick.collective = wide.collective = "all-gather";
  quick.algorithm = wide.algorithm = "ring";
  quick.base = Seconds(1e-6);
  quick.node_fraction = quick.network_fraction = 0.01;
  wide.base = Seconds(100e-6);
  cluster.chip.across_nodes = {quick};
  std::string algorithm;
  const Seconds narrow = TimeOf(cluster, Fidelity::kCalibrated, &algorithm);
  EXPECT_EQ(algorithm, "rail-ring");
  cluster.chip.across_nodes = {wide};
  const Seconds full = TimeOf(cluster, Fidelity::kCalibrated, &algorithm);
  cluster.chip.across_nodes = {quick, wide};
  const Seconds both = TimeOf(cluster, Fidelity::kCalibrated, &algorithm);
  EXPECT_LT(full, narrow);
  EXPECT_DOUBLE_EQ(both.value(), full.value());
}

TEST(NetworkCalibration, EntriesOfAllChipsNameAlgorithms) {
  int entries = 0;
  for (const std::string& chip : ListPresets("topologies/chips")) {
    v1::Cluster proto;
    proto.mutable_chip()->set_preset(chip);
    Diagnostics diagnostics;
    ResolveClusterPresets(&proto, "cluster", &diagnostics);
    ASSERT_TRUE(diagnostics.ok()) << diagnostics.status();
    for (const v1::NetworkCalibration& entry : proto.chip().across_nodes()) {
      EXPECT_TRUE(ParseCollective(entry.collective()).ok()) << chip << ": " << entry.collective();
      EXPECT_NE(FindAlgorithm(entry.algorithm()), nullptr) << chip << ": " << entry.algorithm();
      EXPECT_FALSE(entry.source().empty()) << chip;
      ++entries;
    }
  }
  EXPECT_GT(entries, 60);
}

TEST(CollectiveCalibration, EntriesOfAllChipsNameAlgorithmsThatRun) {
  int entries = 0;
  for (const std::string& chip : ListPresets("topologies/chips")) {
    v1::Cluster proto;
    proto.mutable_chip()->set_preset(chip);
    Diagnostics diagnostics;
    ResolveClusterPresets(&proto, "cluster", &diagnostics);
    ASSERT_TRUE(diagnostics.ok()) << diagnostics.status();
    for (const v1::CollectiveCalibration& entry : proto.chip().collectives()) {
      const auto collective = ParseCollective(entry.collective());
      ASSERT_TRUE(collective.ok()) << chip << ": " << entry.collective();
      const CollectiveAlgorithm* algorithm = FindAlgorithm(entry.algorithm());
      ASSERT_NE(algorithm, nullptr) << chip << ": " << entry.algorithm();
      Cluster node = Switched(1, 8, 8, {});
      node.chip.interconnect.in_network_reduction =
          proto.chip().interconnect().in_network_reduction();
      EXPECT_TRUE(algorithm->Supports(*collective, PlaceWhole(node).GroupOf({0})))
          << chip << ": " << entry.collective() << " by " << entry.algorithm();
      EXPECT_FALSE(entry.source().empty()) << chip;
      ++entries;
    }
  }
  EXPECT_GT(entries, 20);
}

}  // namespace
}  // namespace meshstep
