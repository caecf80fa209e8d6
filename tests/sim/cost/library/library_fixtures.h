// Collectives on the clusters that ship, for the tests of sim/cost/library/.

#ifndef MESHSTEP_TESTS_SIM_COST_LIBRARY_LIBRARY_FIXTURES_H_
#define MESHSTEP_TESTS_SIM_COST_LIBRARY_LIBRARY_FIXTURES_H_

#include <algorithm>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "meshstep/v1/cluster.pb.h"
#include "sim/base/catalog.h"
#include "sim/cost/collective_model.h"
#include "topologies/build_fabric.h"
#include "topologies/load_cluster.h"
#include "topologies/tiers.h"

namespace meshstep {

inline Cluster ClusterOfPreset(const std::string& preset, int chips) {
  v1::Cluster proto;
  proto.set_preset(preset);
  Diagnostics diagnostics;
  ResolveClusterPresets(&proto, "cluster", Catalog(), &diagnostics);
  proto.set_chips(chips);
  Cluster cluster = LoadCluster(proto, "cluster", &diagnostics);
  EXPECT_TRUE(diagnostics.errors().empty()) << diagnostics.status().message();
  return cluster;
}

// One group of a cluster: `inside` chips of each node in all nodes.
class OneGroup {
 public:
  OneGroup(Cluster cluster, int inside, Fidelity fidelity = Fidelity::kCalibrated) {
    const int per_node = std::min(cluster.chips, cluster.nodes.chips_per_node);
    const std::vector<AxisRequest> requests = {{"others", per_node / inside, ""},
                                               {"inside", inside, ""},
                                               {"nodes", cluster.chips / per_node, ""}};
    cluster = FitTiers(cluster, requests);
    fabric_ = BuildFabric(cluster, RateSet::kDatasheet, fidelity);
    auto mesh = Mesh::Place(*fabric_, requests);
    EXPECT_TRUE(mesh.ok()) << mesh.status().message();
    mesh_ = std::make_unique<Mesh>(*std::move(mesh));
    classes_ = std::make_unique<LinkClasses>(*mesh_, std::span<const AxisId>());
    model_ = std::make_unique<CollectiveModel>(*mesh_, classes_.get(), fidelity);
  }

  CollectiveCost Cost(Collective collective, double bytes,
                      const std::string& algorithm = "auto") const {
    const auto cost = model_->Cost(collective, Bytes(bytes), kAxes, 0, algorithm);
    EXPECT_TRUE(cost.ok()) << cost.status().message();
    return cost.ok() ? *cost : CollectiveCost{};
  }
  double Time(Collective collective, double bytes) const {
    return Cost(collective, bytes).idle_time.value();
  }
  std::vector<CollectiveModel::Offer> Offers(Collective collective, double bytes) const {
    return model_->Offers(collective, Bytes(bytes), kAxes, 0);
  }
  Group group() const { return mesh_->GroupOf(kAxes, 0); }
  const Fabric& fabric() const { return *fabric_; }

 private:
  static inline const std::vector<AxisId> kAxes = {2, 1};
  std::unique_ptr<Fabric> fabric_;
  std::unique_ptr<Mesh> mesh_;
  std::unique_ptr<LinkClasses> classes_;
  std::unique_ptr<CollectiveModel> model_;
};

}  // namespace meshstep

#endif  // MESHSTEP_TESTS_SIM_COST_LIBRARY_LIBRARY_FIXTURES_H_
