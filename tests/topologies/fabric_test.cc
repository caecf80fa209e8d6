// Fabrics against their explicit graph: routes against shortest paths, keys against brute force and
// colour refinement, and the pod figures of hardware.md.

#include "topologies/fabric.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <tuple>

#include "tests/topologies/clusters.h"
#include "topologies/graph.h"

namespace meshstep {
namespace {

std::unique_ptr<Fabric> Build(const Cluster& cluster) {
  return BuildFabric(cluster, RateSet::kDatasheet, Fidelity::kIdeal);
}

std::vector<Hop> RouteOf(const Fabric& fabric, DeviceId src, DeviceId dst) {
  std::vector<Hop> hops;
  fabric.Route(src, dst, &hops);
  return hops;
}

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
  EXPECT_TRUE(graph.Connected());
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
    const std::vector<int> distance = graph.Distances(src);
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
      if (fixed[l]) c = c * 1000 + fabric.Coordinate(device, static_cast<int>(l));
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

TEST(Torus, SplitsHalfWayAroundAnEvenRing) {
  const auto fabric = Build(Ring({4, 4}));
  std::vector<std::string> names;
  for (const Hop& hop : RouteOf(*fabric, 0, 2 + 4 * 1)) {
    names.push_back(fabric->LinkName(hop.link));
    EXPECT_EQ(hop.fraction, names.back()[0] == 'x' ? 0.5 : 1);
  }
  std::sort(names.begin(), names.end());
  EXPECT_EQ(names,
            (std::vector<std::string>{"x+ (0,0)", "x+ (1,0)", "x- (0,0)", "x- (3,0)", "y+ (2,0)"}));
}

TEST(Torus, SizeTwoIsOnePairOfLinksWrappingOrNot) {
  EXPECT_EQ(Build(Ring({2}))->links(), 2);
  EXPECT_EQ(Build(Torus({2}, {false}))->links(), 2);
  EXPECT_EQ(Build(Ring({1}))->links(), 0);
  EXPECT_EQ(Build(Ring({3}))->links(), 6);
  EXPECT_EQ(Build(Torus({3}, {false}))->links(), 4);
}

// Hop diameter: sum of floor(X/2) on rings, X-1 on lines (hardware.md section 4): 24 for a full v4
// pod, 16 for v5e.
TEST(Torus, Diameter) {
  const auto v4 = Build(Ring({16, 16, 16}));
  EXPECT_DOUBLE_EQ(v4->Latency(0, 8 + 16 * (8 + 16 * 8)).value(), 24e-6);
  const auto v5e = Build(Ring({16, 16}));
  EXPECT_DOUBLE_EQ(v5e->Latency(0, 8 + 16 * 8).value(), 16e-6);
  const auto line = Build(Torus({4, 4}, {false, false}));
  EXPECT_DOUBLE_EQ(line->Latency(0, 15).value(), 6e-6);
}

double HalfCutLinks(const Fabric& fabric, int level, int extent) {
  std::vector<DeviceId> low, high;
  for (DeviceId d = 0; d < fabric.devices(); ++d) {
    (fabric.Coordinate(d, level) < extent / 2 ? low : high).push_back(d);
  }
  const Cut cut = Graph(fabric).MinCut(low, high);
  EXPECT_NEAR(cut.capacity.value(), static_cast<double>(cut.links.size()) * kLink, 1);
  return static_cast<double>(cut.links.size());
}

// Bisection: 2 N / X one-way links through an axis X that wraps, N / X if not (hardware.md section
// 4); v4 pod: 512 links, v5e pod: 32.
TEST(Torus, Bisection) {
  EXPECT_EQ(HalfCutLinks(*Build(Ring({16, 16, 16})), 2, 16), 512);
  EXPECT_EQ(HalfCutLinks(*Build(Ring({16, 16})), 1, 16), 32);
  EXPECT_EQ(HalfCutLinks(*Build(Torus({8, 16}, {false, false})), 1, 16), 8);
}

// All links of a v4 pod together carry 4096 * 6 * 45 GB/s = 1.1 PB/s; of a v5e pod, 256 * 4 * 50
// GB/s = 51.2 TB/s (hardware.md "Pod figures").
TEST(Torus, PodFigures) {
  EXPECT_EQ(Build(Ring({16, 16, 16}))->links(), 4096 * 6);
  EXPECT_NEAR(Build(Ring({16, 16, 16}))->links() * 45e9, 1.1e15, 0.01e15);
  EXPECT_DOUBLE_EQ(Build(Ring({16, 16}))->links() * 50e9, 51.2e12);
}

// Uniform all-to-all: what the busiest link carries per unit sent by each device to each other.
double WorstAllToAllLoad(const Cluster& cluster) {
  const auto fabric = Build(cluster);
  std::vector<double> load(static_cast<std::size_t>(fabric->links()), 0);
  std::vector<Hop> hops;
  for (DeviceId src = 0; src < fabric->devices(); ++src) {
    for (DeviceId dst = 0; dst < fabric->devices(); ++dst) fabric->Route(src, dst, &hops);
  }
  for (const Hop& hop : hops) load[static_cast<std::size_t>(hop.link)] += hop.fraction;
  return *std::max_element(load.begin(), load.end());
}

// TPU v4 paper, section 2.8: twisting 4x4x8 speeds the all-to-all up 1.63x and 4x8x8 1.31x as
// measured. The link loads alone allow at least as much, and at most the +70 % of bisection that
// Google's documentation gives.
TEST(Torus, TwistSpeedsUpAllToAll) {
  const double gain448 = WorstAllToAllLoad(Ring({4, 4, 8})) / WorstAllToAllLoad(Twisted({4, 4, 8}));
  const double gain488 = WorstAllToAllLoad(Ring({4, 8, 8})) / WorstAllToAllLoad(Twisted({4, 8, 8}));
  EXPECT_GE(gain448, 1.63);
  EXPECT_LE(gain448, 1.75);
  EXPECT_GE(gain488, 1.25);
  EXPECT_LE(gain488, 1.40);
}

// Chips of a 2x2 host share 4 * kNic each way: v5p has 4 chips per host.
TEST(Torus, SlicesAreJoinedByTheHostsNics) {
  const auto fabric = Build(Slices(2, {2, 2}, Ring({4, 4})));
  ASSERT_EQ(fabric->levels().size(), 3u);
  EXPECT_EQ(fabric->levels()[2].kind, Level::Kind::kNetwork);
  EXPECT_EQ(fabric->levels()[2].bandwidth.value(), kNic);
  const std::vector<Hop> hops = RouteOf(*fabric, 0, 16);
  ASSERT_EQ(hops.size(), 2u);
  EXPECT_EQ(fabric->LinkName(hops[0].link), "dcn up (0,0) slice 0");
  EXPECT_EQ(fabric->LinkName(hops[1].link), "dcn down (0,0) slice 1");
  EXPECT_EQ(fabric->capacity(hops[0].link).value(), 4 * kNic);
  EXPECT_EQ(RouteOf(*fabric, 5, 16)[0].link, hops[0].link);  // (1,1) is on the same host
  EXPECT_NE(RouteOf(*fabric, 2, 16)[0].link, hops[0].link);  // (2,0) is not
  EXPECT_EQ(fabric->Latency(0, 16).value(), 10e-6);
  EXPECT_EQ(fabric->links(), 2 * (16 * 4 + 4 * 2));
}

// Inside each slice, routes are those of a slice alone.
void ExpectRoutesOfOneSlice(const Cluster& cluster) {
  Cluster alone = cluster;
  alone.chips /= alone.slices;
  alone.slices = 1;
  const auto fabric = Build(cluster), slice = Build(alone);
  for (DeviceId src = 0; src < fabric->devices(); ++src) {
    const DeviceId first = src / slice->devices() * slice->devices();
    const std::string suffix = " slice " + std::to_string(first / slice->devices());
    for (DeviceId dst = 0; dst < slice->devices(); ++dst) {
      const std::vector<Hop> expected = RouteOf(*slice, src - first, dst);
      const std::vector<Hop> hops = RouteOf(*fabric, src, first + dst);
      ASSERT_EQ(hops.size(), expected.size());
      for (std::size_t i = 0; i < hops.size(); ++i) {
        EXPECT_EQ(hops[i].fraction, expected[i].fraction);
        EXPECT_EQ(fabric->LinkName(hops[i].link), slice->LinkName(expected[i].link) + suffix);
      }
      EXPECT_EQ(fabric->Latency(src, first + dst), slice->Latency(src - first, dst));
    }
  }
}

TEST(Torus, SlicesRouteAsOneAlone) {
  int tested = 0;
  for (const NamedCluster& named : SmallClusters()) {
    if (named.cluster.slices == 1) continue;
    ++tested;
    ExpectRoutesOfOneSlice(named.cluster);
  }
  EXPECT_GE(tested, 3);
}

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
