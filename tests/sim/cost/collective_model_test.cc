#include "sim/cost/collective_model.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "sim/cost/collective.h"
#include "sim/cost/collective_registry.h"
#include "tests/sim/cost/cost_fixtures.h"

namespace meshstep {
namespace {

constexpr Collective kAll[] = {Collective::kAllGather, Collective::kReduceScatter,
                               Collective::kAllReduce, Collective::kAllToAll,
                               Collective::kBroadcast, Collective::kReduce,
                               Collective::kPermute};

// Bytes per explicit link when every group among the devices that agree with `device` on the
// distinguished axes and levels runs phase `phase` at once.
std::map<LinkId, double> BruteForce(const Placed& placed, const LinkClasses& classes,
                                    const std::vector<AxisId>& axes,
                                    const std::vector<AxisId>& distinguished, DeviceId device,
                                    Collective collective, Bytes bytes, std::string_view name,
                                    std::size_t phase) {
  const Mesh& mesh = *placed.mesh;
  const CollectiveModel explicit_model(mesh, nullptr, Fidelity::kIdeal);
  std::map<LinkId, double> sum;
  std::set<DeviceId> done;
  for (DeviceId d = 0; d < placed.fabric->devices(); ++d) {
    bool agrees = true;
    for (AxisId axis = 0; axis < static_cast<AxisId>(mesh.axes().size()); ++axis) {
      if (std::find(axes.begin(), axes.end(), axis) != axes.end()) continue;
      const bool apart =
          std::find(distinguished.begin(), distinguished.end(), axis) != distinguished.end();
      int c = mesh.Coordinate(d, axis), own = mesh.Coordinate(device, axis);
      for (const AxisPart& part : mesh.axes()[static_cast<std::size_t>(axis)].parts) {
        if (apart || classes.IsDistinguished(part.level)) {
          agrees = agrees && c % part.size == own % part.size;
        }
        c /= part.size;
        own /= part.size;
      }
    }
    if (!agrees || !done.insert(mesh.GroupOf(axes, d).members.front()).second) continue;
    const auto cost = explicit_model.Cost(collective, bytes, axes, d, name);
    EXPECT_TRUE(cost.ok()) << cost.status();
    for (const LinkDemand& demand : cost->phases[phase].demands) {
      sum[demand.link] += demand.bytes.value();
    }
  }
  return sum;
}

bool AnyUneven(const CollectiveAlgorithm& algorithm, Collective collective, const Group& group) {
  for (const TrafficPhase& phase : algorithm.Traffic(collective, Bytes(1), group)) {
    if (phase.uneven) return true;
  }
  return false;
}

struct Case {
  const Placed* placed;
  std::vector<AxisId> axes, distinguished;
  DeviceId device;
};

void ExpectFoldedEqualsExplicit(const Case& c, Collective collective,
                                const CollectiveAlgorithm& algorithm) {
  const Mesh& mesh = *c.placed->mesh;
  const Group group = mesh.GroupOf(c.axes, c.device);
  const LinkClasses classes(mesh, c.distinguished);
  const CollectiveModel folded(mesh, &classes, Fidelity::kIdeal);
  const Bytes bytes(1e6);
  const auto cost = folded.Cost(collective, bytes, c.axes, c.device, algorithm.name());
  ASSERT_TRUE(cost.ok()) << cost.status();
  const bool uneven = AnyUneven(algorithm, collective, group);
  for (std::size_t phase = 0; phase < cost->phases.size(); ++phase) {
    std::map<int, double> demand;
    for (const LinkDemand& d : cost->phases[phase].demands) demand[d.link] = d.bytes.value();
    const auto truth = BruteForce(*c.placed, classes, c.axes, c.distinguished, c.device, collective,
                                  bytes, algorithm.name(), phase);
    std::map<int, double> most;
    for (const auto& [link, b] : truth) {
      double& m = most[classes.ClassOf(link)];
      m = std::max(m, b);
      if (uneven) continue;
      EXPECT_NEAR(demand[classes.ClassOf(link)], b, 1e-9 * b)
          << algorithm.name() << " " << NameOf(collective) << " phase " << phase << " "
          << c.placed->fabric->LinkName(link);
    }
    EXPECT_EQ(most.size(), demand.size());
    for (const auto& [link_class, b] : most) EXPECT_NEAR(demand[link_class], b, 1e-9 * b);
  }
}

TEST(CollectiveModel, FoldedDemandsAreTheSumOverAllGroups) {
  std::mt19937 random(7);
  int cases = 0;
  for (const NamedCluster& named : SmallClusters()) {
    if (named.cluster.devices() > 64) continue;
    for (int trial = 0; trial < 4; ++trial) {
      const Placed placed =
          Place(named.cluster, RandomFactors(named.cluster.devices(), 3, &random));
      if (placed.mesh == nullptr) continue;
      Case c{&placed, {}, {}, static_cast<DeviceId>(random() % named.cluster.devices())};
      for (AxisId axis = 2; axis >= 0; --axis) {
        if (random() % 2 == 0) c.axes.push_back(axis);
        if (random() % 4 == 0) c.distinguished.push_back(axis);
      }
      // Elsewhere the order of the axes means nothing.
      if (named.cluster.is_torus() && named.cluster.slices == 1) {
        std::shuffle(c.axes.begin(), c.axes.end(), random);
      }
      const Group group = placed.mesh->GroupOf(c.axes, c.device);
      if (group.size() == 1) continue;
      SCOPED_TRACE(named.name + " trial " + std::to_string(trial));
      for (const Collective collective : kAll) {
        for (const CollectiveAlgorithm* algorithm : CollectiveAlgorithms()) {
          if (!algorithm->Supports(collective, group)) continue;
          ExpectFoldedEqualsExplicit(c, collective, *algorithm);
          ++cases;
        }
      }
    }
  }
  EXPECT_GT(cases, 200);
}

// On switches and nodes the same devices take the same time, by whatever axes they are named.
TEST(CollectiveModel, TheOrderOfAxesMeansNothingWithoutATorus) {
  int cases = 0;
  for (const NamedCluster& named : SmallClusters()) {
    if (named.cluster.is_torus() || named.cluster.is_graph()) continue;
    const int devices = named.cluster.devices();
    for (const int inner : {2, 4}) {
      if (devices % (2 * inner) != 0) continue;
      const Placed split = Place(named.cluster, {inner, devices / inner});
      const Placed whole = PlaceWhole(named.cluster);
      if (split.mesh == nullptr || whole.mesh == nullptr) continue;
      const CollectiveModel by_two(*split.mesh, nullptr, Fidelity::kIdeal);
      const CollectiveModel by_one(*whole.mesh, nullptr, Fidelity::kIdeal);
      for (const Collective collective :
           {Collective::kAllGather, Collective::kReduceScatter, Collective::kAllReduce}) {
        const auto time = [&](const CollectiveModel& model, const std::vector<AxisId>& axes) {
          const auto cost = model.Cost(collective, Bytes(1e6), axes, 0, "auto");
          EXPECT_TRUE(cost.ok()) << cost.status();
          return cost->idle_time.value();
        };
        const double expected = time(by_one, {0});
        EXPECT_DOUBLE_EQ(time(by_two, {1, 0}), expected) << named.name << " " << NameOf(collective);
        EXPECT_DOUBLE_EQ(time(by_two, {0, 1}), expected) << named.name << " " << NameOf(collective);
        ++cases;
      }
    }
  }
  EXPECT_GT(cases, 20);
}

bool IsLone(Collective collective) {
  return collective == Collective::kPermute || collective == Collective::kBroadcast ||
         collective == Collective::kReduce;
}

bool SharesNics(const Cluster& cluster) {
  if (cluster.slices > 1) return true;  // chips of a host share its NICs
  return !cluster.is_torus() &&
         (cluster.nodes.nics_per_node < cluster.nodes.chips_per_node ||
          cluster.chip.devices_per_chip > 1 ||
          std::any_of(cluster.nodes.tiers.begin(), cluster.nodes.tiers.end(),
                      [](const Tier& tier) { return tier.oversubscription > 1; }));
}

TEST(CollectiveModel, PhasesTakeTheClosedFormOnAnIdleFabric) {
  int cases = 0;
  for (const NamedCluster& named : SmallClusters()) {
    if (named.cluster.devices() > 128 || named.cluster.devices() < 2) continue;
    // No formula knows the routes of a twisted torus or of a custom graph.
    if (named.cluster.twisted || named.cluster.is_graph()) continue;
    const Placed placed = PlaceWhole(named.cluster);
    const Group group = placed.GroupOf({0});
    const CollectiveModel model(*placed.mesh, nullptr, Fidelity::kIdeal);
    for (const Collective collective : kAll) {
      for (const CollectiveAlgorithm* algorithm : CollectiveAlgorithms()) {
        if (!algorithm->Supports(collective, group)) continue;
        // The closed form takes a device's share of a NIC or uplink; a lone message gets all of it.
        if (IsLone(collective) && SharesNics(named.cluster)) continue;
        const Bytes bytes(64e6);
        const std::vector<AxisId> axes = {0};
        const auto cost = model.Cost(collective, bytes, axes, 0, algorithm->name());
        ASSERT_TRUE(cost.ok());
        const double closed = algorithm->ClosedForm(collective, bytes, group).value();
        // One rounding up to a picosecond for the latency and the drain of each phase.
        const double roundings = 2e-12 * static_cast<double>(cost->phases.size());
        EXPECT_NEAR(cost->idle_time.value(), closed, roundings + 1e-12 * closed)
            << named.name << " " << algorithm->name() << " " << NameOf(collective);
        ++cases;
      }
    }
  }
  EXPECT_GT(cases, 100);
}

}  // namespace
}  // namespace meshstep
