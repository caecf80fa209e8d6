// Measured curves of collectives: how they are interpolated, which algorithm they choose, and that
// the chips' entries name algorithms that run.

#include <cmath>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "meshstep/v1/cluster.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/data_path.h"
#include "sim/cost/collective.h"
#include "sim/cost/collective_model.h"
#include "sim/cost/collective_registry.h"
#include "sim/cost/lower_bound.h"
#include "tests/sim/cost/cost_fixtures.h"
#include "topologies/build_fabric.h"
#include "topologies/load_cluster.h"
#include "topologies/load_collectives.h"

namespace meshstep {
namespace {

CollectiveCalibration Entry(const std::string& collective, const std::string& algorithm) {
  CollectiveCalibration entry;
  entry.collective = collective;
  entry.algorithm = algorithm;
  entry.sizes = {Bytes(1e6), Bytes(100e6)};
  entry.groups = {{2, Seconds(4e-6), {BytesPerSecond(20e9), BytesPerSecond(80e9)}},
                  {8, Seconds(16e-6), {BytesPerSecond(40e9), BytesPerSecond(160e9)}}};
  return entry;
}

TEST(CollectiveCalibration, InterpolatesBetweenSizesInLogarithms) {
  const CollectiveCalibration entry = Entry("all-gather", "ring");
  EXPECT_DOUBLE_EQ(entry.PortRateAt(2, Bytes(1)).value(), 20e9);
  EXPECT_DOUBLE_EQ(entry.PortRateAt(2, Bytes(1e6)).value(), 20e9);
  EXPECT_DOUBLE_EQ(entry.PortRateAt(2, Bytes(10e6)).value(), 40e9);  // half-way in both logarithms
  EXPECT_DOUBLE_EQ(entry.PortRateAt(2, Bytes(100e6)).value(), 80e9);
  EXPECT_DOUBLE_EQ(entry.PortRateAt(2, Bytes(1e12)).value(), 80e9);
}

TEST(CollectiveCalibration, InterpolatesBetweenGroupsInLogarithms) {
  const CollectiveCalibration entry = Entry("all-gather", "ring");
  // 4 is half-way between 2 and 8.
  EXPECT_DOUBLE_EQ(entry.Latency(2).value(), 4e-6);
  EXPECT_DOUBLE_EQ(entry.Latency(4).value(), 8e-6);
  EXPECT_DOUBLE_EQ(entry.Latency(8).value(), 16e-6);
  EXPECT_DOUBLE_EQ(entry.Latency(64).value(), 16e-6);
  EXPECT_NEAR(entry.PortRateAt(4, Bytes(1e6)).value(), 20e9 * std::sqrt(2), 1);
  EXPECT_NEAR(entry.PortRateAt(4, Bytes(10e6)).value(), 40e9 * std::sqrt(2), 1);
  EXPECT_DOUBLE_EQ(entry.PortRateAt(8, Bytes(10e6)).value(), 80e9);
  EXPECT_DOUBLE_EQ(entry.PortRateAt(64, Bytes(10e6)).value(), 80e9);
}

// Entries as of a chip file, with what the loader says of them.
std::string ProblemsOf(const v1::CollectiveCalibration& entry) {
  v1::Chip chip;
  *chip.add_collectives() = entry;
  Diagnostics diagnostics;
  LoadCollectives(chip, "chip", &diagnostics);
  return std::string(diagnostics.status().message());
}

TEST(CollectiveCalibration, RefusesTablesWhereMoreBytesTakeLessTime) {
  v1::CollectiveCalibration entry;
  entry.add_bytes(1e6);
  entry.add_bytes(4e6);
  v1::CollectiveGroup* group = entry.add_groups();
  group->set_ranks(8);
  group->add_gbytes_per_s(10);
  group->add_gbytes_per_s(40);  // the same 100 us
  EXPECT_EQ(ProblemsOf(entry), "");
  group->set_gbytes_per_s(1, 41);
  EXPECT_NE(ProblemsOf(entry).find("gbytes_per_s[1]: is 41, expected at most 40"),
            std::string::npos)
      << ProblemsOf(entry);
}

TEST(CollectiveCalibration, RefusesTablesThatAreNotRectangular) {
  v1::CollectiveCalibration entry;
  EXPECT_NE(ProblemsOf(entry).find("collectives[0].bytes: is missing"), std::string::npos);
  EXPECT_NE(ProblemsOf(entry).find("collectives[0].groups: is missing"), std::string::npos);
  entry.add_bytes(4e6);
  entry.add_bytes(1e6);
  for (int i = 0; i < 2; ++i) {
    v1::CollectiveGroup* group = entry.add_groups();
    group->set_ranks(8);
    group->add_gbytes_per_s(10);
  }
  const std::string problems = ProblemsOf(entry);
  EXPECT_NE(problems.find("bytes[1]: is 1e+06, expected more than the 4e+06"), std::string::npos)
      << problems;
  EXPECT_NE(problems.find("groups[0].gbytes_per_s: has 1 rates, expected one for each of 2 sizes"),
            std::string::npos)
      << problems;
  EXPECT_NE(problems.find("groups[1].ranks: is 8, expected more than the 8"), std::string::npos)
      << problems;
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
  // 16 us, then 7/8 of 10 MB at 80 GB/s.
  EXPECT_NEAR(TimeOf(cluster, Fidelity::kCalibrated, &algorithm).value(),
              16e-6 + 7.0 / 8 * 10e6 / 80e9, 2e-12);
  EXPECT_EQ(algorithm, "ring");
  // Direct: one message of 1 us, 7/8 of 10 MB at the data-sheet rate.
  EXPECT_NEAR(TimeOf(cluster, Fidelity::kIdeal, &algorithm).value(), 1e-6 + 7.0 / 8 * 10e6 / kLink,
              2e-12);
  EXPECT_EQ(algorithm, "direct");
}

// A dispatcher's own measurement, else that of the library.
TEST(CollectiveCalibration, HoldsForItsDispatcher) {
  Cluster cluster = Switched(1, 8, 8, {});
  CollectiveCalibration library = Entry("all-to-all", "direct");
  CollectiveCalibration hybrid = library, back = library;
  hybrid.dispatcher = "hybridep";
  hybrid.sizes = {Bytes(1e3), Bytes(16e3)};  // of one token
  hybrid.groups = {{8, Seconds(5e-6), {BytesPerSecond(10e9), BytesPerSecond(40e9)}}};
  back.dispatcher = "hybridep-combine";
  back.groups = {{8, Seconds(1e-6), {BytesPerSecond(5e9), BytesPerSecond(5e9)}}};
  const auto seconds = [&](Mover mover) {
    const auto fabric = BuildFabric(cluster, RateSet::kDatasheet, Fidelity::kCalibrated);
    const AxisRequest request{"all", cluster.devices(), ""};
    const auto mesh = Mesh::Place(*fabric, {&request, 1});
    EXPECT_TRUE(mesh.ok());
    const LinkClasses classes(*mesh, {});
    const CollectiveModel model(*mesh, &classes, Fidelity::kCalibrated);
    const AxisId all = 0;
    const Copies copies{.mover = mover, .item_bytes = 4e3};
    const auto cost = model.Cost(Collective::kAllToAll, Bytes(100e6), {&all, 1}, 0, "auto", copies);
    EXPECT_TRUE(cost.ok());
    return cost->idle_time.value();
  };
  const double moved = 7.0 / 8 * 100e6;
  for (const bool first : {false, true}) {
    cluster.chip.collectives = {library};
    EXPECT_NEAR(seconds(Mover::kHybridEp), 16e-6 + moved / 160e9, 2e-12);
    cluster.chip.collectives.insert(
        first ? cluster.chip.collectives.begin() : cluster.chip.collectives.end(), hybrid);
    cluster.chip.collectives.push_back(back);
    EXPECT_NEAR(seconds(Mover::kHybridEpCombine), 1e-6 + moved / 5e9, 2e-12);
    EXPECT_NEAR(seconds(Mover::kHybridEp), 5e-6 + moved / 20e9, 2e-12);
    EXPECT_NEAR(seconds(Mover::kLibrary), 16e-6 + moved / 160e9, 2e-12);
    EXPECT_NEAR(seconds(Mover::kDeepEp), 16e-6 + moved / 160e9, 2e-12);
  }
}

TEST(CollectiveCalibration, DispatchersMoveRoutedTokensOnly) {
  v1::CollectiveCalibration entry;
  entry.add_bytes(1e6);
  v1::CollectiveGroup* group = entry.add_groups();
  group->set_ranks(8);
  group->add_gbytes_per_s(10);
  entry.set_collective("all-gather");
  entry.set_dispatcher("nccl");
  const auto says = [&](const std::string& words) {
    return ProblemsOf(entry).find(words) != std::string::npos;
  };
  EXPECT_TRUE(says("dispatcher: is \"nccl\", expected deepep, hybridep, hybridep-combine"))
      << ProblemsOf(entry);
  entry.set_dispatcher("deepep");
  EXPECT_TRUE(says("expected it of all-to-all only")) << ProblemsOf(entry);
  entry.set_collective("all-to-all");
  EXPECT_EQ(ProblemsOf(entry), "");
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
    ResolveClusterPresets(&proto, "cluster", Catalog(), &diagnostics);
    ASSERT_TRUE(diagnostics.ok()) << diagnostics.status();
    for (const v1::NetworkCalibration& entry : proto.chip().across_nodes()) {
      EXPECT_TRUE(ParseCollective(entry.collective()).ok()) << chip << ": " << entry.collective();
      EXPECT_NE(FindAlgorithm(entry.algorithm()), nullptr) << chip << ": " << entry.algorithm();
      EXPECT_FALSE(entry.source().empty()) << chip;
      ++entries;
    }
  }
  EXPECT_GE(entries, 10);  // of dispatchers; those of libraries are in topologies/libraries
}

TEST(CollectiveCalibration, EntriesOfAllChipsNameAlgorithmsThatRun) {
  int entries = 0;
  for (const std::string& chip : ListPresets("topologies/chips")) {
    v1::Cluster proto;
    proto.mutable_chip()->set_preset(chip);
    Diagnostics diagnostics;
    ResolveClusterPresets(&proto, "cluster", Catalog(), &diagnostics);
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

// p chips of the preset inside one domain.
Cluster DomainOf(const std::string& chip, int p) {
  v1::Cluster proto;
  proto.mutable_chip()->set_preset(chip);
  proto.set_chips(p);
  proto.mutable_nodes()->set_chips_per_node(p);
  proto.mutable_nodes()->set_nic_gbytes_per_s(50);
  Diagnostics diagnostics;
  ResolveClusterPresets(&proto, "cluster", Catalog(), &diagnostics);
  Cluster cluster = LoadCluster(proto, "cluster", &diagnostics);
  EXPECT_TRUE(diagnostics.ok()) << diagnostics.status();
  return cluster;
}

// In 20 steps per decade, more bytes never take less time, and no size takes less than physics.
void CheckCurve(const Cluster& cluster, Collective collective) {
  const auto fabric = BuildFabric(cluster, RateSet::kDatasheet, Fidelity::kCalibrated);
  const AxisRequest request{"all", cluster.devices(), ""};
  const auto mesh = Mesh::Place(*fabric, {&request, 1});
  ASSERT_TRUE(mesh.ok());
  const LinkClasses classes(*mesh, {});
  const CollectiveModel model(*mesh, &classes, Fidelity::kCalibrated);
  const Placed ideal = PlaceWhole(cluster);
  // The bound is linear in bytes but for its latency.
  const double rate =
      1e15 /
      LowerBoundOf(*ideal.fabric, ideal.GroupOf({0}), collective, Bytes(1e15)).value().value();
  const AxisId all = 0;
  Seconds before;
  for (double bytes = 1e3; bytes < 1e11; bytes *= std::pow(10, 1.0 / 20)) {
    const auto cost = model.Cost(collective, Bytes(bytes), {&all, 1}, 0);
    ASSERT_TRUE(cost.ok());
    ASSERT_GE(cost->idle_time, before) << NameOf(collective) << " of " << bytes;
    ASSERT_GE(cost->idle_time.value(), bytes / rate * (1 - 1e-9)) << NameOf(collective);
    before = cost->idle_time;
  }
}

TEST(CollectiveCalibration, CurvesOfAllChipsAreMonotoneAndAboveTheLowerBound) {
  int curves = 0;
  for (const std::string& chip : ListPresets("topologies/chips")) {
    v1::Cluster proto;
    proto.mutable_chip()->set_preset(chip);
    Diagnostics diagnostics;
    ResolveClusterPresets(&proto, "cluster", Catalog(), &diagnostics);
    ASSERT_TRUE(diagnostics.ok()) << diagnostics.status();
    if (proto.chip().collectives().empty()) continue;
    for (const int p : {2, 3, 4, 6, 8, 18, 20, 72}) {
      if (p > proto.chip().interconnect().domain_chips()) continue;
      SCOPED_TRACE(chip + " x " + std::to_string(p));
      const Cluster cluster = DomainOf(chip, p);
      for (const Collective collective : {Collective::kAllGather, Collective::kReduceScatter,
                                          Collective::kAllReduce, Collective::kAllToAll}) {
        CheckCurve(cluster, collective);
        ++curves;
      }
    }
  }
  EXPECT_GT(curves, 150);
}

}  // namespace
}  // namespace meshstep
