#include "topologies/build_fabric.h"

#include "topologies/graph_fabric.h"
#include "topologies/node_fabric.h"
#include "topologies/torus_fabric.h"

namespace meshstep {

std::unique_ptr<Fabric> BuildFabric(const Cluster& cluster, RateSet rates, Fidelity fidelity) {
  if (cluster.is_graph()) return std::make_unique<GraphFabric>(cluster);
  if (cluster.is_torus()) return std::make_unique<TorusFabric>(cluster, rates, fidelity);
  return std::make_unique<NodeFabric>(cluster, rates, fidelity);
}

}  // namespace meshstep
