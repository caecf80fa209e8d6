// Placement, groups and link classes.

#include "topologies/mesh.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <set>

#include "tests/topologies/clusters.h"
#include "tests/topologies/fabrics.h"
#include "topologies/tiers.h"

namespace meshstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Mesh PlaceOk(const Fabric& fabric, const std::vector<AxisRequest>& requests) {
  StatusOr<Mesh> mesh = Mesh::Place(fabric, requests);
  EXPECT_TRUE(mesh.ok()) << mesh.status();
  return *std::move(mesh);
}

std::string PlaceError(const Fabric& fabric, const std::vector<AxisRequest>& requests) {
  return std::string(Mesh::Place(fabric, requests).status().message());
}

std::vector<AxisPart> Parts(const Mesh& mesh, const char* axis) {
  return mesh.axes()[static_cast<std::size_t>(mesh.Find(axis))].parts;
}

TEST(Place, WholeDimensionsInOrder) {
  const auto fabric = Build(Ring({8, 8, 16}));
  const Mesh mesh = PlaceOk(*fabric, {{"tensor", 8, ""}, {"fsdp", 128, ""}});
  EXPECT_THAT(Parts(mesh, "tensor"), ElementsAre(AxisPart{0, 8, 1}));
  EXPECT_THAT(Parts(mesh, "fsdp"), ElementsAre(AxisPart{1, 8, 1}, AxisPart{2, 16, 1}));
}

TEST(Place, WholeDimensionBeatsAPartOfAnEarlierOne) {
  const auto fabric = Build(Ring({16, 4, 8}));
  const Mesh mesh = PlaceOk(*fabric, {{"tensor", 4, ""}, {"fsdp", 128, ""}});
  EXPECT_THAT(Parts(mesh, "tensor"), ElementsAre(AxisPart{1, 4, 1}));
  EXPECT_THAT(Parts(mesh, "fsdp"), ElementsAre(AxisPart{0, 16, 1}, AxisPart{2, 8, 1}));
}

// Of whole dimensions those with the most links: two rings of 4 (4 links) before one of 16 (2).
TEST(Place, MoreWholeDimensionsBeatOne) {
  const auto fabric = Build(Ring({16, 4, 4}));
  const Mesh mesh = PlaceOk(*fabric, {{"tensor", 16, ""}, {"fsdp", 16, ""}});
  EXPECT_THAT(Parts(mesh, "tensor"), ElementsAre(AxisPart{1, 4, 1}, AxisPart{2, 4, 1}));
  EXPECT_THAT(Parts(mesh, "fsdp"), ElementsAre(AxisPart{0, 16, 1}));
}

// Where no whole dimensions fit, parts of two have two links per chip, a part of one has one.
TEST(Place, PartsOfTwoDimensionsBeatALineOfOne) {
  const auto fabric = Build(Ring({16, 16}));
  const Mesh mesh = PlaceOk(*fabric, {{"tensor", 8, ""}, {"fsdp", 32, ""}});
  EXPECT_THAT(Parts(mesh, "tensor"), ElementsAre(AxisPart{0, 4, 1}, AxisPart{1, 2, 1}));
  EXPECT_THAT(Parts(mesh, "fsdp"), ElementsAre(AxisPart{0, 4, 4}, AxisPart{1, 8, 2}));
  // Of 8x4x32 a ring of 8 and 2 of the 4, so that 32 stays a ring for the axis after it.
  const auto long_one = Build(Ring({8, 4, 32}));
  const Mesh split = PlaceOk(*long_one, {{"tensor", 16, ""}, {"fsdp", 64, ""}});
  EXPECT_THAT(Parts(split, "tensor"), ElementsAre(AxisPart{0, 8, 1}, AxisPart{1, 2, 1}));
  EXPECT_THAT(Parts(split, "fsdp"), ElementsAre(AxisPart{1, 2, 2}, AxisPart{2, 32, 1}));
}

// Whole dimensions first, then what is left of others (JAX: 8 on 4x4x4 is 4x2x1, not 2x2x2).
TEST(Place, WholeDimensionsThenWhatIsLeft) {
  const auto fabric = Build(Ring({4, 4, 4}));
  const Mesh mesh = PlaceOk(*fabric, {{"tensor", 8, ""}, {"fsdp", 8, ""}});
  EXPECT_THAT(Parts(mesh, "tensor"), ElementsAre(AxisPart{0, 4, 1}, AxisPart{1, 2, 1}));
  EXPECT_THAT(Parts(mesh, "fsdp"), ElementsAre(AxisPart{1, 2, 2}, AxisPart{2, 4, 1}));
}

// Every second chip of a ring makes a ring; what does not go around makes a line.
TEST(Place, StridedRings) {
  const auto fabric = Build(Ring({16}));
  const Mesh mesh = PlaceOk(*fabric, {{"a", 2, ""}, {"b", 4, ""}, {"c", 2, ""}});
  const auto dim = [&](AxisId axis) { return mesh.GroupOf(std::vector<AxisId>{axis}, 0).dims[0]; };
  EXPECT_FALSE(dim(0).ring || dim(1).ring || dim(2).ring);
  const Mesh around = PlaceOk(*fabric, {{"a", 2, ""}, {"b", 8, ""}});
  const Group group = around.GroupOf(std::vector<AxisId>{1}, 0);
  EXPECT_TRUE(group.dims[0].ring);
  EXPECT_EQ(group.dims[0].stride, 2);
}

TEST(Place, Physical) {
  const auto fabric = Build(Ring({4, 8, 4}));
  const Mesh mesh = PlaceOk(*fabric, {{"tensor", 4, ""}, {"fsdp", 16, "x,z"}, {"data", 2, ""}});
  EXPECT_THAT(Parts(mesh, "fsdp"), ElementsAre(AxisPart{0, 4, 1}, AxisPart{2, 4, 1}));
  EXPECT_THAT(Parts(mesh, "tensor"), ElementsAre(AxisPart{1, 4, 1}));
  EXPECT_THAT(Parts(mesh, "data"), ElementsAre(AxisPart{1, 2, 4}));
}

TEST(Place, RanksFillNodes) {
  const auto fabric = Build(
      Switched(64, 8, 8, {{"leaf", 32, 1, Seconds(0), true}, {"spine", 0, 1, Seconds(0), false}}));
  const Mesh mesh = PlaceOk(*fabric, {{"tensor", 4, ""}, {"fsdp", 32, ""}, {"pipeline", 4, ""}});
  EXPECT_THAT(Parts(mesh, "tensor"), ElementsAre(AxisPart{0, 4, 1}));
  EXPECT_THAT(Parts(mesh, "fsdp"), ElementsAre(AxisPart{0, 2, 4}, AxisPart{1, 16, 1}));
  EXPECT_THAT(Parts(mesh, "pipeline"), ElementsAre(AxisPart{1, 2, 16}, AxisPart{2, 2, 1}));
  // Ranks in order are devices in order.
  for (DeviceId d = 0; d < fabric->devices(); ++d) {
    EXPECT_EQ(mesh.Device(std::vector<int>{d % 4, d / 4 % 32, d / 128}), d);
  }
}

// Slices are taken last, whatever their number.
TEST(Place, OnlyWhatDoesNotFitCrossesSlices) {
  const auto fabric = Build(Slices(4, {2, 2}, Ring({16, 16})));
  const Mesh mesh = PlaceOk(*fabric, {{"tensor", 4, ""}, {"fsdp", 64, ""}, {"data", 4, ""}});
  EXPECT_THAT(Parts(mesh, "tensor"), ElementsAre(AxisPart{0, 2, 1}, AxisPart{1, 2, 1}));
  EXPECT_THAT(Parts(mesh, "fsdp"), ElementsAre(AxisPart{0, 8, 2}, AxisPart{1, 8, 2}));
  EXPECT_THAT(Parts(mesh, "data"), ElementsAre(AxisPart{2, 4, 1}));
  const Group group = mesh.GroupOf(std::vector<AxisId>{2}, 0);
  ASSERT_EQ(group.dims.size(), 1u);
  EXPECT_EQ(group.dims[0].kind, Level::Kind::kNetwork);
}

// Megatron's 530B run on 280 nodes of DGX A100: 8-way tensor, 8-way data, 35 stages; scalable units
// of 20 nodes do not nest with 8.
TEST(Place, TiersThatAxesDoNotNestWithAreJoined) {
  const Cluster a100 = Switched(
      280, 8, 8, {{"leaf", 20, 1, Seconds(0), true}, {"spine", 0, 1, Seconds(1e-6), false}});
  const std::vector<AxisRequest> requests = {
      {"tensor", 8, ""}, {"data", 8, ""}, {"pipeline", 35, ""}};
  EXPECT_THAT(PlaceError(*Build(a100), requests), HasSubstr("axis \"data\" has size 8"));
  const Cluster fitted = FitTiers(a100, requests);
  ASSERT_EQ(fitted.nodes.tiers.size(), 1u);
  PlaceOk(*Build(fitted), requests);
  // Sizes that nest change nothing.
  const std::vector<AxisRequest> nests = {
      {"tensor", 8, ""}, {"data", 20, ""}, {"pipeline", 14, ""}};
  EXPECT_EQ(FitTiers(a100, nests).nodes.tiers.size(), 2u);
  // A taper is not joined away.
  Cluster tapered = a100;
  tapered.nodes.tiers[0].oversubscription = 2;
  EXPECT_EQ(FitTiers(tapered, requests).nodes.tiers.size(), 2u);
}

// An axis in parts lies where the whole one would; its parts are the digits of its ranks.
TEST(Place, PartsOfAnAxisAreItsDigits) {
  const auto torus = Build(Ring({4, 4, 4}));
  const Mesh whole = PlaceOk(*torus, {{"t", 4, ""}, {"d", 16, ""}});
  const Mesh parts = PlaceOk(
      *torus, {{"t", 4, ""}, {"d.0", 2, "", "d"}, {"d.1", 4, "", "d"}, {"d.2", 2, "", "d"}});
  for (DeviceId d = 0; d < 64; ++d) {
    EXPECT_EQ(parts.Coordinate(d, 0), whole.Coordinate(d, 0));
    EXPECT_EQ(parts.Coordinate(d, 1) + 2 * parts.Coordinate(d, 2) + 8 * parts.Coordinate(d, 3),
              whole.Coordinate(d, 1));
  }
  const AxisId all[] = {3, 2, 1}, one[] = {1};
  EXPECT_EQ(parts.GroupOf(all, 5).members, whole.GroupOf(one, 5).members);
  EXPECT_EQ(parts.GroupOf(all, 5).dims.size(), whole.GroupOf(one, 5).dims.size());
}

TEST(Place, RefusalsNameTheAxisAndTheSizesThatFit) {
  const auto nodes = Build(Switched(3, 8, 8, {}));
  EXPECT_EQ(
      PlaceError(*nodes, {{"context", 3, ""}, {"fsdp", 8, ""}}),
      "axis \"context\" has size 3, which does not fit what inner axes leave (node 8, network "
      "3); sizes that fit: 1, 2, 4, 8, 24");
  const auto torus = Build(Ring({4, 4, 4}));
  EXPECT_THAT(PlaceError(*torus, {{"fsdp", 6, ""}}),
              HasSubstr("only 6 of the cluster's 64 devices"));
  EXPECT_THAT(PlaceError(*torus, {{"fsdp", 64, ""}, {"data", 2, ""}}),
              HasSubstr("has more than the cluster's 64 devices"));
  EXPECT_THAT(PlaceError(*torus, {{"fsdp", 64, ""}, {"fsdp", 1, ""}}), HasSubstr("given twice"));
  EXPECT_THAT(PlaceError(*torus, {{"fsdp", 0, ""}}), HasSubstr("has size 0"));
  EXPECT_THAT(PlaceError(*torus, {{"fsdp", 64, "x,q"}}),
              HasSubstr("has no \"q\"; expected some of x, y, z"));
  EXPECT_THAT(PlaceError(*torus, {{"fsdp", 8, "x"}, {"data", 8, ""}}),
              HasSubstr("its physical \"x\" does not hold"));
  const auto odd = Build(Ring({6, 6}));
  EXPECT_EQ(PlaceError(*odd, {{"a", 4, "x"}, {"b", 9, ""}}),
            "axis \"a\" has size 4, which its physical \"x\" does not hold: 6 of x is left for 4");
}

struct Shape {
  Cluster cluster;
  std::vector<AxisRequest> requests;
};

// Random factorisations of the devices of every small cluster; those that do not fit are left out.
std::vector<Shape> RandomShapes() {
  std::mt19937 random(7);
  std::vector<Shape> shapes;
  for (const NamedCluster& named : SmallClusters()) {
    for (int trial = 0; trial < 6; ++trial) {
      int left = named.cluster.devices();
      std::vector<AxisRequest> requests;
      for (const char* name : {"a", "b", "c"}) {
        std::vector<int> divisors;
        for (int d = 1; d <= left; ++d) {
          if (left % d == 0) divisors.push_back(d);
        }
        const int size = divisors[random() % divisors.size()];
        left /= size;
        requests.push_back({name, size, ""});
      }
      requests.push_back({"d", left, ""});
      shapes.push_back({named.cluster, requests});
    }
  }
  return shapes;
}

TEST(Mesh, CoordinatesAreABijection) {
  int placed = 0;
  for (const Shape& shape : RandomShapes()) {
    const auto fabric = Build(shape.cluster);
    const StatusOr<Mesh> mesh = Mesh::Place(*fabric, shape.requests);
    if (!mesh.ok()) continue;
    ++placed;
    std::set<std::vector<int>> seen;
    for (DeviceId device = 0; device < fabric->devices(); ++device) {
      std::vector<int> at;
      for (AxisId axis = 0; axis < 4; ++axis) at.push_back(mesh->Coordinate(device, axis));
      EXPECT_EQ(mesh->Device(at), device);
      EXPECT_TRUE(seen.insert(at).second);
    }
  }
  EXPECT_GT(placed, 100);
}

// Torus sizes that multiply to the devices always fit if each is a product of divisors, and the
// last axis takes what is left.
TEST(Mesh, PowersOfTwoAlwaysFit) {
  for (const std::vector<int>& slice : {std::vector<int>{8, 8, 16}, {4, 4, 4}, {2, 16, 8}}) {
    const auto fabric = Build(Ring(slice));
    for (int a = 1; a <= fabric->devices(); a *= 2) {
      for (int b = 1; a * b <= fabric->devices(); b *= 2) {
        PlaceOk(*fabric, {{"a", a, ""}, {"b", b, ""}, {"c", fabric->devices() / a / b, ""}});
      }
    }
  }
}

// Dims of the group along `axes` if only parts that follow each other are joined.
std::size_t DimsInOrder(const Mesh& mesh, const std::vector<AxisId>& axes) {
  std::vector<AxisPart> parts;
  for (auto axis = axes.rbegin(); axis != axes.rend(); ++axis) {
    for (const AxisPart& part : mesh.axes()[static_cast<std::size_t>(*axis)].parts) {
      const bool follows = !parts.empty() && parts.back().level == part.level &&
                           parts.back().stride * parts.back().size == part.stride;
      if (!follows) parts.push_back(part);
      if (follows) parts.back().size *= part.size;
    }
  }
  return parts.size();
}

TEST(Groups, PartitionTheDevicesAndCountInMixedRadix) {
  for (const Shape& shape : RandomShapes()) {
    const auto fabric = Build(shape.cluster);
    const StatusOr<Mesh> mesh = Mesh::Place(*fabric, shape.requests);
    if (!mesh.ok()) continue;
    for (const std::vector<AxisId>& axes :
         {std::vector<AxisId>{0}, {1, 0}, {0, 1}, {2, 0}, {3, 2, 1, 0}, {}}) {
      std::map<DeviceId, int> members;
      for (DeviceId device = 0; device < fabric->devices(); ++device) {
        const Group group = mesh->GroupOf(axes, device);
        int size = 1;
        for (const AxisId axis : axes) size *= mesh->size(axis);
        ASSERT_EQ(group.size(), size);
        int product = 1;
        for (const Group::Dim& dim : group.dims) {
          EXPECT_GT(dim.size, 1);
          product *= dim.size;
        }
        EXPECT_EQ(product, size);
        EXPECT_EQ(std::count(group.members.begin(), group.members.end(), device), 1);
        // The rank of the device: its coordinates, the last axis fastest, unless parts of other
        // levels lie between some that are joined.
        int rank = 0;
        for (const AxisId axis : axes)
          rank = rank * mesh->size(axis) + mesh->Coordinate(device, axis);
        if (group.dims.size() == DimsInOrder(*mesh, axes)) {
          EXPECT_EQ(group.members[static_cast<std::size_t>(rank)], device);
        }
        ++members[group.members[0]];
        // Digits: neighbours in a dim differ by its stride in its level and nowhere else.
        int radix = 1;
        for (const Group::Dim& dim : group.dims) {
          for (int r = 0; r + radix < size; ++r) {
            if (r / radix % dim.size == dim.size - 1) continue;
            const DeviceId a = group.members[static_cast<std::size_t>(r)];
            const DeviceId b = group.members[static_cast<std::size_t>(r + radix)];
            for (int l = 0; l < static_cast<int>(fabric->levels().size()); ++l) {
              EXPECT_EQ(fabric->Coordinate(b, l) - fabric->Coordinate(a, l),
                        l == dim.level ? dim.stride : 0);
            }
          }
          radix *= dim.size;
        }
      }
      for (const auto& [first, count] : members)
        EXPECT_EQ(count, mesh->GroupOf(axes, first).size());
    }
  }
}

TEST(Groups, RingsAndLines) {
  const auto fabric = Build(Torus({4, 16}, {true, true}));
  const Mesh mesh = PlaceOk(*fabric, {{"tensor", 4, ""}, {"fsdp", 8, ""}, {"data", 2, ""}});
  const auto dims = [&](std::vector<AxisId> axes) { return mesh.GroupOf(axes, 0).dims; };
  ASSERT_EQ(dims({0}).size(), 1u);
  EXPECT_TRUE(dims({0})[0].ring);
  EXPECT_EQ(dims({0})[0].latency.value(), 1e-6);
  ASSERT_EQ(dims({1}).size(), 1u);
  EXPECT_FALSE(dims({1})[0].ring);
  EXPECT_EQ(dims({1})[0].stride, 1);
  // Every eighth chip: eight hops apart.
  EXPECT_EQ(dims({2})[0].stride, 8);
  EXPECT_EQ(dims({2})[0].latency.value(), 8 * 1e-6);
  // Together they cover the dimension, which is then one ring.
  ASSERT_EQ(dims({2, 1}).size(), 1u);
  EXPECT_TRUE(dims({2, 1})[0].ring);
  EXPECT_EQ(dims({2, 1})[0].size, 16);
  EXPECT_EQ(dims({2, 1, 0}).size(), 2u);
}

TEST(Groups, ALineAndAPairAreNoRings) {
  const auto fabric = Build(Torus({4, 2}, {false, true}));
  const Mesh mesh = PlaceOk(*fabric, {{"a", 4, ""}, {"b", 2, ""}});
  EXPECT_FALSE(mesh.GroupOf(std::vector<AxisId>{0}, 0).dims[0].ring);
  EXPECT_FALSE(mesh.GroupOf(std::vector<AxisId>{1}, 0).dims[0].ring);
}

TEST(Groups, TiersOfANodeCluster) {
  const auto fabric = Build(Switched(
      64, 8, 8, {{"leaf", 32, 1, Seconds(0), false}, {"spine", 0, 2, Seconds(1e-6), false}}));
  const Mesh mesh = PlaceOk(*fabric, {{"all", 512, ""}});
  const Group group = mesh.GroupOf(std::vector<AxisId>{0}, 77);
  ASSERT_EQ(group.dims.size(), 3u);
  EXPECT_EQ(group.dims[0].kind, Level::Kind::kSwitch);
  EXPECT_EQ(group.dims[1].kind, Level::Kind::kNetwork);
  EXPECT_EQ(group.dims[1].size, 32);
  EXPECT_EQ(group.dims[2].size, 2);
  EXPECT_EQ(group.dims[2].latency.value(), 3e-6 + 1e-6);
}

// One shift of ring neighbours in every group of every axis loads all links of a class alike, for
// every dim of every axis; and so does each group's exchange of all pairs.
TEST(LinkClasses, ShiftsAndExchangesLoadAClassAlike) {
  for (const Shape& shape : RandomShapes()) {
    const auto fabric = Build(shape.cluster);
    const StatusOr<Mesh> mesh = Mesh::Place(*fabric, shape.requests);
    if (!mesh.ok() || fabric->links() == 0) continue;
    const LinkClasses classes(*mesh, {});
    for (AxisId axis = 0; axis < 4; ++axis) {
      std::vector<double> shift(static_cast<std::size_t>(fabric->links()), 0), all = shift;
      const std::vector<AxisId> axes{axis};
      std::vector<Hop> hops;
      for (DeviceId device = 0; device < fabric->devices(); ++device) {
        const Group group = mesh->GroupOf(axes, device);
        const int rank = mesh->Coordinate(device, axis);
        int radix = 1;
        for (const Group::Dim& dim : group.dims) {
          const int digit = rank / radix % dim.size;
          const int next = rank + (digit + 1 == dim.size ? 1 - dim.size : 1) * radix;
          hops.clear();
          fabric->Route(device, group.members[static_cast<std::size_t>(next)], &hops);
          for (const Hop& hop : hops) shift[static_cast<std::size_t>(hop.link)] += hop.fraction;
          radix *= dim.size;
        }
        for (const DeviceId other : group.members) {
          hops.clear();
          fabric->Route(device, other, &hops);
          for (const Hop& hop : hops) all[static_cast<std::size_t>(hop.link)] += hop.fraction;
        }
      }
      std::map<int, std::pair<double, double>> of_class;
      std::vector<std::int64_t> count(static_cast<std::size_t>(classes.size()), 0);
      for (LinkId link = 0; link < fabric->links(); ++link) {
        const auto l = static_cast<std::size_t>(link);
        const int c = classes.ClassOf(link);
        ++count[static_cast<std::size_t>(c)];
        EXPECT_EQ(classes.capacity(c), fabric->capacity(link));
        const auto [seen, is_new] = of_class.emplace(c, std::pair(shift[l], all[l]));
        EXPECT_NEAR(seen->second.first, shift[l], 1e-9) << classes.Name(c);
        EXPECT_NEAR(seen->second.second, all[l], 1e-9) << classes.Name(c);
      }
      for (int c = 0; c < classes.size(); ++c) {
        EXPECT_EQ(classes.count(c), count[static_cast<std::size_t>(c)]);
      }
    }
  }
}

TEST(LinkClasses, DistinguishedAxesSplitClasses) {
  const auto fabric = Build(Ring({4, 4, 4}));
  const Mesh mesh = PlaceOk(*fabric, {{"tensor", 4, ""}, {"fsdp", 4, ""}, {"pipeline", 4, ""}});
  EXPECT_EQ(LinkClasses(mesh, {}).size(), 6);
  const std::vector<AxisId> pipeline{2};
  EXPECT_EQ(LinkClasses(mesh, pipeline).size(), 6 * 4);
  EXPECT_EQ(LinkClasses(mesh, pipeline).count(0), 64 / 4);
}

TEST(LinkClasses, PositionsOfALineDiffer) {
  const auto fabric = Build(Torus({4, 4}, {false, true}));
  const Mesh mesh = PlaceOk(*fabric, {{"tensor", 4, ""}, {"fsdp", 4, ""}});
  // x: 3 places by 2 directions; y: 2 directions at each of 4 places along x.
  EXPECT_EQ(LinkClasses(mesh, {}).size(), 3 * 2 + 2 * 4);
}

TEST(LinkClasses, NodesFoldToAHandful) {
  const auto fabric = Build(Switched(2048, 8, 8,
                                     {{"leaf", 32, 1, Seconds(0), true},
                                      {"spine", 512, 1, Seconds(0), false},
                                      {"core", 0, 1, Seconds(0), false}}));
  const Mesh mesh = PlaceOk(*fabric, {{"tensor", 8, ""}, {"fsdp", 256, ""}, {"pipeline", 8, ""}});
  // Up and down: NVLink, NIC, leaf uplink, spine uplink.
  EXPECT_EQ(LinkClasses(mesh, {}).size(), 2 * 4);
  EXPECT_EQ(LinkClasses(mesh, {}).count(0), 16384);
}

// Building and placing costs nothing that grows with the chips.
TEST(Speed, BigClustersAreBuiltInWellUnderAMillisecond) {
  const Cluster h100 = Switched(2048, 8, 8,
                                {{"leaf", 32, 1, Seconds(0), true},
                                 {"spine", 512, 1, Seconds(0), false},
                                 {"core", 0, 1, Seconds(0), false}});
  const Cluster v5p = Ring({16, 20, 28});
  const auto build = [](const Cluster& cluster, const std::vector<AxisRequest>& requests) {
    const auto start = std::chrono::steady_clock::now();
    const auto fabric = Build(cluster);
    const Mesh mesh = *Mesh::Place(*fabric, requests);
    const std::vector<AxisId> last{2};
    const LinkClasses classes(mesh, last);
    EXPECT_GT(classes.size(), 0);
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  double best_h100 = 1, best_v5p = 1;
  for (int i = 0; i < 20; ++i) {
    best_h100 = std::min(best_h100,
                         build(h100, {{"tensor", 8, ""}, {"fsdp", 128, ""}, {"pipeline", 16, ""}}));
    best_v5p =
        std::min(best_v5p, build(v5p, {{"tensor", 16, ""}, {"fsdp", 140, ""}, {"data", 4, ""}}));
  }
  EXPECT_LT(best_h100, 1e-3);
  EXPECT_LT(best_v5p, 1e-3);
  RecordProperty("h100_us", static_cast<int>(best_h100 * 1e6));
  RecordProperty("v5p_us", static_cast<int>(best_v5p * 1e6));
  std::cout << "16,384 H100: " << best_h100 * 1e6 << " us; 8,960 v5p: " << best_v5p * 1e6
            << " us\n";
}

}  // namespace
}  // namespace meshstep
