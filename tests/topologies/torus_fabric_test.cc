// Tori: single routes, pod figures of hardware.md, twists and slices.

#include "topologies/torus_fabric.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/topologies/clusters.h"
#include "tests/topologies/fabrics.h"
#include "topologies/graph.h"

namespace meshstep {
namespace {

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

}  // namespace
}  // namespace meshstep
