#include "topologies/fabric.h"

#include "topologies/graph_fabric.h"
#include "topologies/node_fabric.h"
#include "topologies/torus_fabric.h"

namespace meshstep {

int Fabric::Coordinate(DeviceId device, int level) const {
  for (int l = 0; l < level; ++l) device /= levels_[static_cast<std::size_t>(l)].extent;
  return device % levels_[static_cast<std::size_t>(level)].extent;
}

std::unique_ptr<Fabric> BuildFabric(const Cluster& cluster, RateSet rates, Fidelity fidelity) {
  if (cluster.is_graph()) return std::make_unique<GraphFabric>(cluster);
  if (cluster.is_torus()) return std::make_unique<TorusFabric>(cluster, rates, fidelity);
  return std::make_unique<NodeFabric>(cluster, rates, fidelity);
}

}  // namespace meshstep
