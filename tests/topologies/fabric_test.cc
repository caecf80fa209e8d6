// Fabrics against their explicit graph: routes against shortest paths, keys against brute force and
// colour refinement.

#include "topologies/fabric.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <tuple>

#include "tests/topologies/clusters.h"
#include "tests/topologies/fabrics.h"
#include "topologies/graph.h"

namespace meshstep {
namespace {

// All subsets of levels as masks of `fixed`.
std::vector<std::vector<bool>> Masks(const Fabric& fabric) {
  const std::size_t levels = fabric.levels().size();
  std::vector<std::vector<bool>> masks;
  for (unsigned bits = 0; bits < 1u << levels; ++bits) {
    std::vector<bool> mask;
    for (std::size_t l = 0; l < levels; ++l) mask.push_back((bits >> l & 1u) != 0);
    masks.push_back(mask);
  }
  return masks;
}

// Links only, by id, and the nodes they join.
std::map<LinkId, std::pair<int, int>> EndsOf(const FabricGraph& graph) {
  std::map<LinkId, std::pair<int, int>> ends;
  for (const FabricEdge& edge : graph.edges) {
    if (edge.link == kNoLink) continue;
    EXPECT_TRUE(ends.emplace(edge.link, std::pair(edge.from, edge.to)).second) << edge.link;
  }
  return ends;
}

class EveryFabric : public testing::TestWithParam<NamedCluster> {};

INSTANTIATE_TEST_SUITE_P(Small, EveryFabric, testing::ValuesIn(SmallClusters()),
                         [](const testing::TestParamInfo<NamedCluster>& info) {
                           std::string name = info.param.name;
                           std::replace_if(
                               name.begin(), name.end(), [](char c) { return !std::isalnum(c); },
                               '_');
                           return name;
                         });

TEST_P(EveryFabric, LevelsMultiplyToDevices) {
  const auto fabric = Build(GetParam().cluster);
  std::int64_t product = 1;
  for (const Level& level : fabric->levels()) product *= level.extent;
  EXPECT_EQ(product, fabric->devices());
  EXPECT_EQ(fabric->devices(), GetParam().cluster.devices());
}

TEST_P(EveryFabric, GraphListsEveryLinkOnceAndConnectsAll) {
  const auto fabric = Build(GetParam().cluster);
  const Graph graph(*fabric);
  const auto ends = EndsOf(graph.graph());
  ASSERT_EQ(static_cast<LinkId>(ends.size()), fabric->links());
  if (fabric->links() > 0) {
    EXPECT_EQ(ends.begin()->first, 0);
    EXPECT_EQ(ends.rbegin()->first, fabric->links() - 1);
  }
  // Device 0 reaches all and all reach it.
  FabricGraph reversed = graph.graph();
  for (FabricEdge& edge : reversed.edges) std::swap(edge.from, edge.to);
  const std::vector<int> to = Distances(graph.graph(), 0), from = Distances(reversed, 0);
  for (std::size_t device = 0; device < static_cast<std::size_t>(fabric->devices()); ++device) {
    EXPECT_GE(to[device], 0) << device;
    EXPECT_GE(from[device], 0) << device;
  }
  std::set<std::string> names;
  for (LinkId link = 0; link < fabric->links(); ++link) {
    EXPECT_TRUE(names.insert(fabric->LinkName(link)).second) << fabric->LinkName(link);
    EXPECT_GT(fabric->capacity(link).value(), 0);
  }
}

// The hops of a route are a unit flow from src to dst over links whose ends meet, if attachments
// are contracted; and its length, the sum of the fractions, is the shortest.
TEST_P(EveryFabric, RoutesAreContiguousUnitFlowsOfShortestLength) {
  const auto fabric = Build(GetParam().cluster);
  const Graph graph(*fabric);
  const auto ends = EndsOf(graph.graph());
  for (DeviceId src = 0; src < fabric->devices(); src += 1 + fabric->devices() / 40) {
    const std::vector<int> distance = Distances(graph.graph(), src);
    for (DeviceId dst = 0; dst < fabric->devices(); ++dst) {
      // Chips of one slice talk over the torus even where the data-center network has fewer hops.
      const DeviceId slice = fabric->devices() / GetParam().cluster.slices;
      if (GetParam().cluster.slices > 1 && src / slice == dst / slice) continue;
      const std::vector<Hop> hops = RouteOf(*fabric, src, dst);
      double length = 0;
      std::map<int, double> reaches;  // by distance from src: what crosses into that distance
      for (const Hop& hop : hops) {
        EXPECT_GT(hop.fraction, 0);
        EXPECT_LE(hop.fraction, 1);
        length += hop.fraction;
        const auto [from, to] = ends.at(hop.link);
        ASSERT_EQ(distance[static_cast<std::size_t>(to)],
                  distance[static_cast<std::size_t>(from)] + 1)
            << fabric->LinkName(hop.link);
        reaches[distance[static_cast<std::size_t>(to)]] += hop.fraction;
      }
      const int shortest = distance[static_cast<std::size_t>(dst)];
      EXPECT_NEAR(length, shortest, 1e-9);
      EXPECT_EQ(static_cast<int>(reaches.size()), shortest);
      for (const auto& [hop, fraction] : reaches) EXPECT_NEAR(fraction, 1, 1e-9) << hop;
    }
  }
}

// What enters a node leaves it, along links and attachments. Attachments carry what is left over:
// contract nodes that attachments join, except that a device keeps its own.
TEST_P(EveryFabric, RoutesConserveFlow) {
  const auto fabric = Build(GetParam().cluster);
  const FabricGraph graph = fabric->Explicit();
  const auto ends = EndsOf(graph);
  std::vector<int> root(static_cast<std::size_t>(graph.nodes));
  for (std::size_t n = 0; n < root.size(); ++n) root[n] = static_cast<int>(n);
  const auto find = [&](int n) {
    while (root[static_cast<std::size_t>(n)] != n) n = root[static_cast<std::size_t>(n)];
    return n;
  };
  for (const FabricEdge& edge : graph.edges) {
    if (edge.link == kNoLink) root[static_cast<std::size_t>(find(edge.to))] = find(edge.from);
  }
  for (DeviceId src = 0; src < fabric->devices(); src += 1 + fabric->devices() / 20) {
    for (DeviceId dst = 0; dst < fabric->devices(); ++dst) {
      std::map<int, double> surplus;
      for (const Hop& hop : RouteOf(*fabric, src, dst)) {
        surplus[find(ends.at(hop.link).first)] -= hop.fraction;
        surplus[find(ends.at(hop.link).second)] += hop.fraction;
      }
      if (src != dst) {
        surplus[find(src)] += 1;
        surplus[find(dst)] -= 1;
      }
      for (const auto& [node, amount] : surplus) EXPECT_NEAR(amount, 0, 1e-9);
    }
  }
}

TEST_P(EveryFabric, KeysPartitionTheLinks) {
  const auto fabric = Build(GetParam().cluster);
  for (const std::vector<bool>& fixed : Masks(*fabric)) {
    const int keys = fabric->SymmetryKeys(fixed);
    std::vector<std::int64_t> count(static_cast<std::size_t>(keys), 0);
    for (LinkId link = 0; link < fabric->links(); ++link) {
      const int key = fabric->SymmetryKey(link, fixed);
      ASSERT_GE(key, 0);
      ASSERT_LT(key, keys);
      ++count[static_cast<std::size_t>(key)];
      EXPECT_EQ(fabric->capacity(link), fabric->capacity(fabric->KeyExample(key, fixed)));
    }
    for (int key = 0; key < keys; ++key) {
      EXPECT_EQ(fabric->KeyCount(key, fixed), count[static_cast<std::size_t>(key)]);
      EXPECT_EQ(fabric->SymmetryKey(fabric->KeyExample(key, fixed), fixed), key);
    }
  }
}

// Colour refinement (1-dimensional Weisfeiler-Leman): colours of nodes, refined by the colours that
// their edges lead to and come from until nothing changes. Links that a symmetry maps to each other
// keep equal colours.
std::map<LinkId, int> RefinedLinkColours(const Fabric& fabric, const std::vector<bool>& fixed) {
  const FabricGraph graph = fabric.Explicit();
  std::vector<int> colour(static_cast<std::size_t>(graph.nodes), -1);
  for (DeviceId device = 0; device < fabric.devices(); ++device) {
    int c = 0;
    for (std::size_t l = 0; l < fixed.size(); ++l) {
      if (fixed[l])
        c = c * fabric.levels()[l].extent + fabric.Coordinate(device, static_cast<int>(l));
    }
    colour[static_cast<std::size_t>(device)] = c;
  }
  const auto rate = [&](LinkId link) {
    return link == kNoLink ? 0 : fabric.capacity(link).value();
  };
  for (std::size_t classes = 0;;) {
    using Edge = std::tuple<int, double, int>;
    std::vector<std::pair<int, std::vector<Edge>>> signature(colour.size());
    for (std::size_t n = 0; n < colour.size(); ++n) signature[n].first = colour[n];
    for (const FabricEdge& e : graph.edges) {
      const auto from = static_cast<std::size_t>(e.from), to = static_cast<std::size_t>(e.to);
      signature[from].second.emplace_back(0, rate(e.link), colour[to]);
      signature[to].second.emplace_back(1, rate(e.link), colour[from]);
    }
    std::map<std::pair<int, std::vector<Edge>>, int> number;
    for (auto& s : signature) {
      std::sort(s.second.begin(), s.second.end());
      number.emplace(s, 0);
    }
    int next = 0;
    for (auto& [s, n] : number) n = next++;
    for (std::size_t n = 0; n < colour.size(); ++n) colour[n] = number[signature[n]];
    if (number.size() == classes) break;
    classes = number.size();
  }
  std::map<std::tuple<int, int, double>, int> number;
  std::map<LinkId, int> colours;
  for (const FabricEdge& e : graph.edges) {
    if (e.link == kNoLink) continue;
    const std::tuple<int, int, double> key(colour[static_cast<std::size_t>(e.from)],
                                           colour[static_cast<std::size_t>(e.to)], rate(e.link));
    colours[e.link] = number.emplace(key, static_cast<int>(number.size())).first->second;
  }
  return colours;
}

TEST_P(EveryFabric, ColourRefinementDoesNotTellLinksOfOneKeyApart) {
  const auto fabric = Build(GetParam().cluster);
  for (const std::vector<bool>& fixed : Masks(*fabric)) {
    std::map<int, int> colour_of_key;
    for (const auto& [link, colour] : RefinedLinkColours(*fabric, fixed)) {
      const int key = fabric->SymmetryKey(link, fixed);
      EXPECT_EQ(colour_of_key.emplace(key, colour).first->second, colour) << fabric->LinkName(link);
    }
  }
}

// Under the symmetry, an exchange of every pair loads all links of a key equally.
TEST_P(EveryFabric, AllToAllLoadsLinksOfOneKeyAlike) {
  const auto fabric = Build(GetParam().cluster);
  std::vector<double> load(static_cast<std::size_t>(fabric->links()), 0);
  std::vector<Hop> hops;
  for (DeviceId src = 0; src < fabric->devices(); ++src) {
    for (DeviceId dst = 0; dst < fabric->devices(); ++dst) fabric->Route(src, dst, &hops);
  }
  for (const Hop& hop : hops) load[static_cast<std::size_t>(hop.link)] += hop.fraction;
  const std::vector<bool> none(fabric->levels().size(), false);
  for (LinkId link = 0; link < fabric->links(); ++link) {
    const LinkId example = fabric->KeyExample(fabric->SymmetryKey(link, none), none);
    EXPECT_NEAR(load[static_cast<std::size_t>(link)], load[static_cast<std::size_t>(example)],
                1e-6);
  }
}

// What Level::shifts promises: both ends moved along a level, a message takes links of the same
// keys.
TEST_P(EveryFabric, ShiftedMessagesTakeLinksOfTheSameKeys) {
  const auto fabric = Build(GetParam().cluster);
  const std::vector<bool> none(fabric->levels().size(), false);
  const auto keys = [&](DeviceId src, DeviceId dst) {
    std::map<int, double> taken;
    for (const Hop& hop : RouteOf(*fabric, src, dst)) {
      taken[fabric->SymmetryKey(hop.link, none)] += hop.fraction;
    }
    return taken;
  };
  DeviceId stride = 1;
  for (std::size_t l = 0; l < none.size(); ++l) {
    const int extent = fabric->levels()[l].extent;
    const auto moved = [&](DeviceId device) {
      const int at = fabric->Coordinate(device, static_cast<int>(l));
      return device + stride * (at + 1 == extent ? 1 - extent : 1);
    };
    for (DeviceId src = 0; fabric->levels()[l].shifts && src < fabric->devices(); src += 5) {
      for (DeviceId dst = 0; dst < fabric->devices(); ++dst) {
        const auto here = keys(src, dst), there = keys(moved(src), moved(dst));
        ASSERT_EQ(here.size(), there.size()) << fabric->levels()[l].name << src << " " << dst;
        for (const auto& [key, fraction] : here) EXPECT_NEAR(there.at(key), fraction, 1e-12);
        EXPECT_DOUBLE_EQ(fabric->Latency(src, dst).value(),
                         fabric->Latency(moved(src), moved(dst)).value());
      }
    }
    stride *= extent;
  }
}

TEST_P(EveryFabric, LatencyIsSymmetricAndZeroAtHome) {
  const auto fabric = Build(GetParam().cluster);
  for (DeviceId a = 0; a < fabric->devices(); a += 3) {
    EXPECT_EQ(fabric->Latency(a, a), Seconds(0));
    for (DeviceId b = 0; b < fabric->devices(); b += 2) {
      EXPECT_EQ(fabric->Latency(a, b), fabric->Latency(b, a));
      EXPECT_EQ(fabric->Latency(a, b) > Seconds(0), a != b);
    }
  }
}

}  // namespace
}  // namespace meshstep
