// Latencies by hand from the tuner's constants (topologies/libraries/nccl.textproto), and what runs
// where.

#include "sim/cost/library/tuner.h"

#include <cmath>
#include <filesystem>
#include <set>
#include <string>

#include "sim/base/catalog.h"
#include "sim/base/data_path.h"
#include "sim/base/proto_file.h"
#include "sim/cost/collective_registry.h"
#include "tests/sim/cost/library/library_fixtures.h"

namespace meshstep {
namespace {

constexpr double kKiB = 1024, kMiB = 1024 * kKiB, kGiB = 1024 * kMiB;

// The entry of this name and protocol.
const CollectiveModel::Offer* Find(const std::vector<CollectiveModel::Offer>& offers,
                                   const std::string& name, const std::string& protocol) {
  for (const CollectiveModel::Offer& offer : offers) {
    if (offer.cost.library_name == name && offer.cost.protocol == protocol) return &offer;
  }
  return nullptr;
}

TEST(Tuner, SmallAllReducesOfH100RunAsTreesWithLl) {
  // 6.8 + 2 (7 · 0.6 + log2(N) · 5.0) us; 64 nodes are two units of 32, one of six levels through
  // spines, which take 0.9 us more than the 2.8 us that NCCL takes for granted.
  const OneGroup eight(ClusterOfPreset("dgx-h100", 64), 8);
  const CollectiveCost of_64 = eight.Cost(Collective::kAllReduce, 8 * kKiB);
  EXPECT_EQ(of_64.algorithm->name(), "double-binary-tree");
  EXPECT_EQ(of_64.protocol, "LL");
  EXPECT_NEAR(of_64.idle_time.value(), 45.2e-6, 1.5e-6);

  const OneGroup sixty_four(ClusterOfPreset("dgx-h100", 512), 8);
  const auto offers = sixty_four.Offers(Collective::kAllReduce, 0);
  const CollectiveModel::Offer* tree = Find(offers, "Tree", "LL");
  ASSERT_NE(tree, nullptr);
  EXPECT_NEAR(tree->tuner.value(), 75.2e-6 + 2 * 0.9e-6, 1e-9);
  const CollectiveCost of_512 = sixty_four.Cost(Collective::kAllReduce, 8 * kKiB);
  EXPECT_EQ(of_512.protocol, "LL");
  EXPECT_NEAR(of_512.idle_time.value(), 75.2e-6, 4e-6);
}

TEST(Tuner, RingsTakeAStepOfEveryRankAndNode) {
  const OneGroup group(ClusterOfPreset("dgx-h100", 64), 8);
  const auto offers = group.Offers(Collective::kAllGather, 0);
  // n - N = 56 steps inside of at least the overhead of 1 us, N - 1 = 7 between nodes.
  const CollectiveModel::Offer* ring = Find(offers, "Ring", "LL");
  ASSERT_NE(ring, nullptr);
  EXPECT_NEAR(ring->tuner.value(), 6.6e-6 + 56 * 1e-6 + 7 * 2.7e-6, 1e-9);
  const CollectiveModel::Offer* simple = Find(offers, "Ring", "Simple");
  ASSERT_NE(simple, nullptr);
  EXPECT_NEAR(simple->tuner.value(), 8.4e-6 + 56 * 3.4e-6 + 7 * 14e-6, 1e-9);
}

// tuning.cc: the latency times 1.4 from 64 B a channel (16) and rank on, between nodes.
TEST(Tuner, TakesLargeAllReducesByRingForLaterBySimple) {
  const auto tuner = [](int chips, double bytes) {
    const OneGroup group(ClusterOfPreset("dgx-h100", chips), 8);
    const auto offers = group.Offers(Collective::kAllReduce, bytes);
    return Find(offers, "Ring", "Simple")->tuner.value();
  };
  const double ring = 8.4e-6 + 2 * (56 * 3.4e-6 + 7 * 14e-6);
  const double step = tuner(64, 64 * 16 * 64) - tuner(64, 64 * 16 * 64 - 1);
  EXPECT_NEAR(step, 0.4 * ring, 1e-9);
  EXPECT_NEAR(tuner(8, 64 * 16 * 8) - tuner(8, 64 * 16 * 8 - 1), 0, 1e-9);
}

TEST(Tuner, GathersHaveRingsAndForOneGpuOfANodePat) {
  for (const int inside : {1, 8}) {
    const OneGroup group(ClusterOfPreset("dgx-h100", 1024), inside);
    std::set<std::string> names;
    for (const auto& offer : group.Offers(Collective::kAllGather, 16 * kMiB)) {
      names.insert(std::string(offer.cost.algorithm->name()));
    }
    const std::set<std::string> whole = {"rail-ring"}, one = {"pat", "rail-ring"};
    EXPECT_EQ(names, inside == 1 ? one : whole);
  }
}

TEST(Tuner, AcrossSpinesNothingIsQuickerThanUnderALeaf) {
  const OneGroup leaf(ClusterOfPreset("dgx-h100", 256), 1);     // 32 nodes
  const OneGroup spines(ClusterOfPreset("dgx-h100", 1024), 1);  // 128
  for (double bytes = 1; bytes <= 64 * kGiB; bytes *= 4) {
    EXPECT_LE(leaf.Time(Collective::kAllGather, bytes), spines.Time(Collective::kAllGather, bytes))
        << bytes;
  }
}

// 2,048 ranks send to each of the others; more ranks never take less.
TEST(Tuner, AllToAllsGrowWithRanks) {
  double last = 0;
  for (const int chips : {16, 64, 512, 2048}) {
    const OneGroup group(ClusterOfPreset("dgx-h100", chips), 8);
    const double time = group.Time(Collective::kAllToAll, kMiB);
    EXPECT_GT(time, last) << chips;
    last = time;
  }
  // One message of 1 us to each of 2,047 peers, at least.
  EXPECT_GT(last, 2047 * 1e-6);
}

TEST(Tuner, ATransportWithoutAProtocolRunsOthers) {
  const OneGroup group(ClusterOfPreset("gcp-a3-mega", 16), 8);
  for (const auto& offer : group.Offers(Collective::kAllReduce, kMiB)) {
    EXPECT_NE(offer.cost.protocol, "LL128");
  }
}

TEST(Tuner, OneNicHoldsFewerComputeUnitsThanANode) {
  const OneGroup one(ClusterOfPreset("dgx-h100", 64), 1), whole(ClusterOfPreset("dgx-h100", 64), 8);
  const double units = one.Cost(Collective::kAllGather, kGiB).units;
  // One NIC of 48 GB/s beside ports of 370.
  EXPECT_NEAR(units, 48.0 / 370, 0.005);
  EXPECT_NEAR(whole.Cost(Collective::kAllGather, kGiB).units, 1, 1e-9);
}

// Where the network adds up: CollNet and NVLS take one network step, whatever the nodes.
TEST(Tuner, ANetworkThatAddsUpRunsCollNetAndNvlsAcrossNodes) {
  Cluster cluster = ClusterOfPreset("dgx-h100", 256);
  const OneGroup without(cluster, 8);
  for (const auto& offer : without.Offers(Collective::kAllReduce, kGiB)) {
    EXPECT_NE(offer.cost.algorithm->name(), "collnet");
    EXPECT_NE(offer.cost.algorithm->name(), "nvls-sharp");
  }
  cluster.nodes.network_reduction = true;
  const OneGroup group(cluster, 8);
  const auto small = group.Offers(Collective::kAllReduce, 0);
  // 2 (i + 7 · 0.4) + 31, 2 · 7 · 2.8 + 30 and 25 + 18 us (NCCL 2.30.7), under one leaf of 32 nodes.
  const CollectiveModel::Offer* direct = Find(small, "CollNetDirect", "Simple");
  ASSERT_NE(direct, nullptr);
  EXPECT_NEAR(direct->tuner.value(), 2 * (3.7e-6 + 7 * 0.4e-6) + 31e-6, 1e-9);
  const CollectiveModel::Offer* chain = Find(small, "CollNetChain", "Simple");
  ASSERT_NE(chain, nullptr);
  EXPECT_NEAR(chain->tuner.value(), 2 * 7 * 2.8e-6 + 30e-6, 1e-9);
  const CollectiveModel::Offer* nvls = Find(small, "NVLS", "Simple");
  ASSERT_NE(nvls, nullptr);
  EXPECT_NEAR(nvls->tuner.value(), 43e-6, 1e-9);
  // GTC 2025: 32 H100 with SHARP reach 480 GB/s of bus bandwidth, as 8 do, and 370 without; more
  // nodes take no longer.
  const Cluster four_nodes = [] {
    Cluster c = ClusterOfPreset("dgx-h100", 32);
    c.nodes.network_reduction = true;
    return c;
  }();
  const double bytes = 16 * kGiB;
  const double time = OneGroup(four_nodes, 8).Time(Collective::kAllReduce, bytes);
  EXPECT_NEAR(2 * 31.0 / 32 * bytes / time, 480e9, 0.02 * 480e9);
  EXPECT_LT(time, OneGroup(ClusterOfPreset("dgx-h100", 32), 8).Time(Collective::kAllReduce, bytes));
  EXPECT_NEAR(group.Time(Collective::kAllReduce, bytes), time, 0.01 * time);
}

// One GPU of each node has no NVLS: CollNet alone.
TEST(Tuner, OneGpuOfANodeHasCollNetWithoutNvls) {
  Cluster cluster = ClusterOfPreset("dgx-h100", 256);
  cluster.nodes.network_reduction = true;
  const OneGroup group(cluster, 1);
  const auto offers = group.Offers(Collective::kAllReduce, 0);
  EXPECT_EQ(Find(offers, "NVLS", "Simple"), nullptr);
  const CollectiveModel::Offer* direct = Find(offers, "CollNetDirect", "Simple");
  ASSERT_NE(direct, nullptr);
  EXPECT_NEAR(direct->tuner.value(), 31e-6, 1e-9);
}

// H200 is a Hopper though it came in the year of Blackwell: its caps are H100's.
TEST(Libraries, TellGenerationsByFormats) {
  const Cluster h100 = ClusterOfPreset("dgx-h100", 64), h200 = ClusterOfPreset("dgx-h200", 64),
                b200 = ClusterOfPreset("dgx-b200", 64);
  ASSERT_EQ(h100.library->algorithms.size(), h200.library->algorithms.size());
  int differ = 0;
  for (std::size_t i = 0; i < h100.library->algorithms.size(); ++i) {
    const auto cap = [i](const Cluster& cluster) { return cluster.library->algorithms[i].bus[2]; };
    EXPECT_EQ(cap(h100), cap(h200)) << h100.library->algorithms[i].name;
    differ += cap(h100) != cap(b200) ? 1 : 0;
  }
  EXPECT_GT(differ, 3);
}

// Every entry runs as an algorithm that is there, for a collective that is there.
TEST(Libraries, NameAlgorithmsThatAre) {
  int libraries = 0;
  for (const auto& file :
       std::filesystem::directory_iterator(DataRoot() + "/topologies/libraries")) {
    v1::Cluster proto;
    proto.set_preset("dgx-h100");
    proto.mutable_library()->set_preset(file.path().stem());
    Diagnostics diagnostics;
    ResolveClusterPresets(&proto, "cluster", Catalog(), &diagnostics);
    const Cluster cluster = LoadCluster(proto, "cluster", &diagnostics);
    ASSERT_TRUE(diagnostics.errors().empty()) << diagnostics.status().message();
    EXPECT_EQ(cluster.library->name, file.path().stem());
    for (const LibraryAlgorithm& entry : cluster.library->algorithms) {
      EXPECT_FALSE(entry.runs_as.empty()) << entry.name;
      for (const std::string& name : entry.runs_as) EXPECT_NE(FindAlgorithm(name), nullptr) << name;
      for (const std::string& name : entry.collectives) EXPECT_TRUE(ParseCollective(name).ok());
    }
    ++libraries;
  }
  EXPECT_EQ(libraries, 3);
}

}  // namespace
}  // namespace meshstep
