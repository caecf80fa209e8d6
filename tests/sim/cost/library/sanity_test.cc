// What must hold of collectives whatever the library, cluster, group and size: time never falls as
// bytes or ranks (by whole nodes) grow, an algorithm's change included; nothing is quicker than
// physics allows; ideal is never slower than calibrated; better links are never slower.
//
// Where measured rows fall instead:
//  - from one node to two, below 8 MiB: the curves inside a node are a compiler's and include its
//    run-time (8 H100: 37 us; 16 in two nodes by nccl-tests: 25 us), so that growth starts at two.

#include <cmath>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "sim/cost/lower_bound.h"
#include "sim/simulate/listing.h"
#include "tests/sim/cost/library/library_fixtures.h"

namespace meshstep {
namespace {

constexpr Collective kKinds[] = {Collective::kAllGather, Collective::kReduceScatter,
                                 Collective::kAllReduce, Collective::kAllToAll};
constexpr double kMost = 64.0 * (1 << 30);

struct Preset {
  std::string preset;
  int per_node;
  int most_nodes;  // sampled up to
};

// Every cluster of nodes that ships.
std::vector<Preset> Presets() {
  const StatusOr<v1::ListReport> all = List("clusters", Catalog());
  EXPECT_TRUE(all.ok());
  std::vector<Preset> presets;
  for (const v1::ListEntry& entry : all->entries()) {
    v1::Cluster proto;
    proto.set_preset(entry.name());
    Diagnostics diagnostics;
    ResolveClusterPresets(&proto, "cluster", Catalog(), &diagnostics);
    if (!proto.has_nodes()) continue;
    const bool large = entry.name() == "dgx-h100";
    presets.push_back({entry.name(), proto.nodes().chips_per_node(), large ? 8192 : 64});
  }
  EXPECT_GT(presets.size(), 10u);
  return presets;
}

// Powers of two times a factor drawn anew, so that sizes between the knots of curves are met.
std::vector<double> Sizes(std::mt19937* random, double step) {
  std::vector<double> sizes;
  std::uniform_real_distribution<double> part(1, step);
  for (double bytes = 1; bytes <= kMost; bytes *= step) sizes.push_back(bytes * part(*random));
  return sizes;
}

TEST(Sanity, TimeGrowsWithBytesAndStaysAboveTheBound) {
  std::mt19937 random(5);
  for (const auto& [preset, per_node, most] : Presets()) {
    for (const int inside : std::set<int>{1, std::max(1, per_node / 2), per_node}) {
      for (int nodes = 1; nodes <= std::min(most, 16); nodes *= 4) {
        if (nodes * inside < 2) continue;
        const OneGroup group(ClusterOfPreset(preset, nodes * per_node), inside);
        for (const Collective kind : kKinds) {
          double last = 0;
          for (const double bytes : Sizes(&random, 8)) {
            const double time = group.Time(kind, bytes);
            const std::string what = std::string(preset) + " " + std::to_string(inside) + " of " +
                                     std::to_string(nodes) + " " + std::string(NameOf(kind)) + " " +
                                     std::to_string(bytes);
            EXPECT_GE(time, last * 0.99) << what;
            if (nodes * per_node <= 64) {
              const Seconds bound =
                  LowerBoundOf(group.fabric(), group.group(), kind, Bytes(bytes)).value();
              EXPECT_GE(time, bound.value() * (1 - 1e-9)) << what;
            }
            last = time;
          }
        }
      }
    }
  }
}

TEST(Sanity, TimeGrowsWithNodes) {
  std::mt19937 random(6);
  for (const auto& [preset, per_node, most] : Presets()) {
    for (const int inside : std::set<int>{1, per_node}) {
      const std::vector<double> sizes = Sizes(&random, 16);
      std::vector<double> last(sizes.size() * std::size(kKinds), 0.0);
      for (int nodes = 2; nodes <= most; nodes *= nodes < 64 ? 2 : nodes < 512 ? 8 : 16) {
        const OneGroup group(ClusterOfPreset(preset, nodes * per_node), inside);
        std::size_t i = 0;
        for (const Collective kind : kKinds) {
          for (const double bytes : sizes) {
            const double time = group.Time(kind, bytes);
            EXPECT_GE(time, last[i] * 0.99) << preset << " " << inside << " of " << nodes << " "
                                            << NameOf(kind) << " " << bytes;
            last[i++] = time;
          }
        }
      }
    }
  }
}

// Switches that add up never cost time, by any algorithm, and the bound knows of them.
TEST(Sanity, ANetworkThatAddsUpIsNeverSlower) {
  for (const char* preset : {"dgx-a100", "dgx-h100", "dgx-b200", "gb200-nvl72"}) {
    for (const int nodes : {2, 4, 16}) {
      const int per_node = std::string(preset) == "gb200-nvl72" ? 72 : 8;
      Cluster cluster = ClusterOfPreset(preset, nodes * per_node);
      for (const int inside : {1, per_node}) {
        cluster.nodes.network_reduction = false;
        const OneGroup plain(cluster, inside);
        cluster.nodes.network_reduction = true;
        const OneGroup adding(cluster, inside), ideal(cluster, inside, Fidelity::kIdeal);
        double last = 0;
        for (double bytes = 1; bytes <= kMost; bytes *= 8) {
          const double time = adding.Time(Collective::kAllReduce, bytes);
          const std::string what = std::string(preset) + " " + std::to_string(inside) + " of " +
                                   std::to_string(nodes) + " " + std::to_string(bytes);
          EXPECT_LE(time, plain.Time(Collective::kAllReduce, bytes) * (1 + 1e-9)) << what;
          EXPECT_LE(ideal.Time(Collective::kAllReduce, bytes), time * (1 + 1e-9)) << what;
          EXPECT_GE(time, last * 0.99) << what;
          if (nodes * per_node <= 128) {
            const Seconds bound =
                LowerBoundOf(adding.fabric(), adding.group(), Collective::kAllReduce, Bytes(bytes))
                    .value();
            EXPECT_GE(time, bound.value() * (1 - 1e-9)) << what;
          }
          last = time;
        }
      }
    }
  }
}

TEST(Sanity, IdealIsNeverSlower) {
  for (const auto& [preset, per_node, most] : Presets()) {
    for (int nodes = 1; nodes <= std::min(most, 512); nodes *= 8) {
      const Cluster cluster = ClusterOfPreset(preset, nodes * per_node);
      for (const int inside : std::set<int>{1, per_node}) {
        if (nodes * inside < 2) continue;
        const OneGroup real(cluster, inside), ideal(cluster, inside, Fidelity::kIdeal);
        for (const Collective kind : kKinds) {
          for (double bytes = 8; bytes <= kMost; bytes *= 64) {
            EXPECT_LE(ideal.Time(kind, bytes), real.Time(kind, bytes) * (1 + 1e-9))
                << preset << " " << inside << " of " << nodes << " " << NameOf(kind) << " "
                << bytes;
          }
        }
      }
    }
  }
}

TEST(Sanity, BetterLinksAreNeverSlower) {
  for (const auto& [preset, per_node, most] : Presets()) {
    const Cluster cluster = ClusterOfPreset(preset, 8 * per_node);
    Cluster quicker = cluster, wider = cluster;
    quicker.nodes.nic_latency = cluster.nodes.nic_latency / 2;
    wider.nodes.nic = cluster.nodes.nic * 2;
    const OneGroup base(cluster, per_node), quick(quicker, per_node), wide(wider, per_node);
    for (const Collective kind : kKinds) {
      for (double bytes = 1; bytes <= kMost; bytes *= 64) {
        const double time = base.Time(kind, bytes) * (1 + 1e-9);
        EXPECT_LE(quick.Time(kind, bytes), time) << preset << " " << NameOf(kind) << " " << bytes;
        EXPECT_LE(wide.Time(kind, bytes), time) << preset << " " << NameOf(kind) << " " << bytes;
      }
    }
  }
}

}  // namespace
}  // namespace meshstep
