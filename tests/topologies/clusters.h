// Small clusters for the tests of topologies/, built without data files.

#ifndef MESHSTEP_TESTS_TOPOLOGIES_CLUSTERS_H_
#define MESHSTEP_TESTS_TOPOLOGIES_CLUSTERS_H_

#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "topologies/cluster.h"

namespace meshstep {

inline constexpr double kLink = 100e9, kNic = 50e9, kDie = 600e9;

// Links of kLink and 1 us per hop.
inline Cluster Torus(std::vector<int> slice, std::vector<bool> wraps, int dies = 1) {
  Cluster cluster;
  cluster.chip.devices_per_chip = dies;
  cluster.chip.datasheet.link = cluster.chip.book.link = BytesPerSecond(kLink);
  cluster.chip.interconnect.kind = Interconnect::Kind::kTorus;
  cluster.chip.interconnect.dimensions = static_cast<int>(slice.size());
  cluster.chip.interconnect.die_to_die = BytesPerSecond(kDie);
  for (const int extent : slice) cluster.chips *= extent;
  cluster.slice = std::move(slice);
  cluster.wraps = std::move(wraps);
  return cluster;
}

inline Cluster Ring(std::vector<int> slice) {
  std::vector<bool> wraps(slice.size(), true);
  return Torus(std::move(slice), std::move(wraps));
}

inline Cluster Twisted(std::vector<int> slice) {
  Cluster cluster = Ring(std::move(slice));
  cluster.twisted = true;
  return cluster;
}

// `nodes` of `per_node` chips with `nics` NICs of kNic and 3 us each.
inline Cluster Switched(int nodes, int per_node, int nics, std::vector<Tier> tiers) {
  Cluster cluster;
  cluster.chip.datasheet.link = cluster.chip.book.link = BytesPerSecond(kLink);
  cluster.chip.interconnect.kind = Interconnect::Kind::kSwitch;
  cluster.chips = nodes * per_node;
  cluster.nodes = {per_node, nics, BytesPerSecond(kNic), 1, Seconds(3e-6), std::move(tiers)};
  return cluster;
}

// `slices` slices of kNic per chip and 10 us between them, with hosts of shape `host`.
inline Cluster Slices(int slices, std::vector<int> host, Cluster slice) {
  slice.slices = slices;
  slice.chips *= slices;
  slice.chip.interconnect.host = std::move(host);
  slice.dcn = BytesPerSecond(kNic);
  slice.dcn_latency = Seconds(10e-6);
  return slice;
}

// `devices` and switches joined by two-way links of kLink and 1 us.
inline Cluster Linked(int devices, int switches, const std::vector<std::pair<int, int>>& links) {
  Cluster cluster;
  cluster.chips = devices;
  cluster.nodes.chips_per_node = devices;
  cluster.switches = switches;
  for (const auto& [a, b] : links) {
    cluster.graph.push_back({a, b, BytesPerSecond(kLink), Seconds(1e-6)});
    cluster.graph.push_back({b, a, BytesPerSecond(kLink), Seconds(1e-6)});
  }
  return cluster;
}

struct NamedCluster {
  std::string name;
  Cluster cluster;
};

inline void PrintTo(const NamedCluster& named, std::ostream* out) { *out << named.name; }

// One of every shape that the fabrics know.
inline std::vector<NamedCluster> SmallClusters() {
  const Tier leaf2{"leaf", 2, 1, Seconds(0), false};
  const Tier rails2{"leaf", 2, 1, Seconds(0), true};
  const Tier tapered{"spine", 4, 7, Seconds(1e-6), false};
  const Tier spine{"spine", 0, 1, Seconds(1e-6), false};
  const Tier core{"core", 0, 1, Seconds(2e-6), false};
  const Tier planes{"spine", 0, 1, Seconds(1e-6), true};
  Cluster mesh = Switched(3, 4, 4, {});
  mesh.chip.interconnect.kind = Interconnect::Kind::kFullMesh;
  Cluster dies = Switched(2, 4, 2, {});
  dies.chip.devices_per_chip = 2;
  dies.chip.interconnect.die_to_die = BytesPerSecond(kDie);
  return {
      {"one chip", Ring({1})},
      {"pair", Ring({2})},
      {"ring 5", Ring({5})},
      {"line 4", Torus({4}, {false})},
      {"ring 4x6", Ring({4, 6})},
      {"ring by line 4x3", Torus({4, 3}, {true, false})},
      {"2x1x4", Torus({2, 1, 4}, {true, true, true})},
      {"2x2x2 lines", Torus({2, 2, 2}, {false, false, false})},
      {"3x4x5", Ring({3, 4, 5})},
      {"six dimensions", Torus({2, 3, 2, 2, 3, 2}, {true, true, false, true, false, true})},
      {"two dies", Torus({4, 2, 3}, {true, false, false}, 2)},
      {"twisted 4x4x8", Twisted({4, 4, 8})},
      {"twisted 4x8x8", Twisted({4, 8, 8})},
      {"twisted 8x4x4", Twisted({8, 4, 4})},
      {"twisted 3x6", Twisted({3, 6})},
      {"one node", Switched(1, 8, 8, {})},
      {"one tier", Switched(3, 4, 4, {})},
      {"shared NICs", Switched(3, 8, 4, {leaf2, spine})},
      {"two NICs per chip", Switched(4, 2, 4, {rails2, spine})},
      {"rails", Switched(4, 4, 4, {rails2, spine})},
      {"rails under one leaf", Switched(2, 4, 4, {rails2, spine})},
      {"rails, shared NICs", Switched(4, 4, 2, {rails2, spine})},
      {"planes", Switched(4, 4, 4, {rails2, planes})},
      {"planes, shared NICs", Switched(4, 4, 2, {rails2, planes})},
      {"three tiers", Switched(8, 2, 2, {rails2, tapered, core})},
      {"full mesh", mesh},
      {"dies in nodes", dies},
      {"two slices", Slices(2, {2, 2}, Ring({4, 6}))},
      {"slices with odd hosts", Slices(3, {4, 2}, Torus({6, 3}, {true, false}))},
      {"slices of dies", Slices(2, {2, 1}, Torus({4, 2}, {true, false}, 2))},
      {"graph ring", Linked(5, 0, {{0, 1}, {1, 2}, {2, 3}, {3, 4}, {4, 0}})},
      {"graph with parallel links", Linked(3, 0, {{0, 1}, {0, 1}, {1, 2}})},
      {"graph of leaves and spines",
       Linked(4, 4, {{0, 4}, {1, 4}, {2, 5}, {3, 5}, {4, 6}, {4, 7}, {5, 6}, {5, 7}})},
      {"graph cube", Linked(8, 0,
                            {{0, 1},
                             {2, 3},
                             {4, 5},
                             {6, 7},
                             {0, 2},
                             {1, 3},
                             {4, 6},
                             {5, 7},
                             {0, 4},
                             {1, 5},
                             {2, 6},
                             {3, 7}})},
      {"chips alone", Switched(6, 1, 1, {leaf2, spine})},
  };
}

}  // namespace meshstep

#endif  // MESHSTEP_TESTS_TOPOLOGIES_CLUSTERS_H_
