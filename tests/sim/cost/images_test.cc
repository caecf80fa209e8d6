#include "sim/cost/images.h"

#include <random>

#include "gtest/gtest.h"
#include "sim/cost/collective_registry.h"
#include "sim/cost/link_load.h"
#include "tests/sim/cost/cost_fixtures.h"

namespace meshstep {
namespace {

// The load of the groups of every device is that of its first image, moved, to the bit.
TEST(ImagesTest, LoadsOfImagesAreMovedLoads) {
  std::mt19937 random(23);
  int moved = 0;
  for (const NamedCluster& named : SmallClusters()) {
    if (named.cluster.devices() > 64) continue;
    for (int trial = 0; trial < 6; ++trial) {
      const Placed placed =
          Place(named.cluster, RandomFactors(named.cluster.devices(), 3, &random));
      if (placed.mesh == nullptr) continue;
      const Mesh& mesh = *placed.mesh;
      const AxisId pipeline = 2, own = static_cast<AxisId>(random() % 2);
      const LinkClasses classes(mesh, {&pipeline, 1});
      const auto to =
          static_cast<DeviceId>(random() % static_cast<unsigned>(mesh.fabric().devices()));
      const DeviceId from = FirstImage(mesh, &classes, {&own, 1}, to);
      const Group group = mesh.GroupOf({&own, 1}, from);
      if (from == to || group.size() == 1) continue;
      SCOPED_TRACE(named.name + " trial " + std::to_string(trial));
      const Images images(mesh, classes, from, to);
      LoadCounters counters;
      const int user = counters.AddUser();
      for (const CollectiveAlgorithm* algorithm : CollectiveAlgorithms()) {
        if (!algorithm->Supports(Collective::kAllReduce, group)) continue;
        for (const TrafficPhase& phase :
             algorithm->Traffic(Collective::kAllReduce, Bytes(1e6), group)) {
          LinkLoad load = LoadOf(mesh, &classes, {&own, 1}, from, phase, user, &counters);
          const LinkLoad there = LoadOf(mesh, &classes, {&own, 1}, to, phase, user, &counters);
          images.Move(&load.demands);
          ASSERT_EQ(load.demands.size(), there.demands.size());
          for (std::size_t i = 0; i < load.demands.size(); ++i) {
            EXPECT_EQ(load.demands[i].link, there.demands[i].link);
            EXPECT_EQ(load.demands[i].bytes, there.demands[i].bytes);
          }
          EXPECT_EQ(load.weight, there.weight);
          ++moved;
        }
      }
    }
  }
  EXPECT_GT(moved, 20);
}

}  // namespace
}  // namespace meshstep
