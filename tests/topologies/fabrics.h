// Fabrics and routes in one line, for the tests of topologies/.

#ifndef MESHSTEP_TESTS_TOPOLOGIES_FABRICS_H_
#define MESHSTEP_TESTS_TOPOLOGIES_FABRICS_H_

#include <memory>
#include <vector>

#include "topologies/build_fabric.h"
#include "topologies/fabric.h"

namespace meshstep {

inline std::unique_ptr<Fabric> Build(const Cluster& cluster) {
  return BuildFabric(cluster, RateSet::kDatasheet, Fidelity::kIdeal);
}

inline std::vector<Hop> RouteOf(const Fabric& fabric, DeviceId src, DeviceId dst) {
  std::vector<Hop> hops;
  fabric.Route(src, dst, &hops);
  return hops;
}

// Links on a shortest path from `src` to every node of a graph, attachments having no length; -1:
// no way. By Bellman and Ford: every edge is relaxed until nothing changes.
inline std::vector<int> Distances(const FabricGraph& graph, DeviceId src) {
  std::vector<int> hops(static_cast<std::size_t>(graph.nodes), -1);
  hops[static_cast<std::size_t>(src)] = 0;
  for (bool changed = true; changed;) {
    changed = false;
    for (const FabricEdge& edge : graph.edges) {
      const int from = hops[static_cast<std::size_t>(edge.from)];
      int& to = hops[static_cast<std::size_t>(edge.to)];
      const int through = from + (edge.link == kNoLink ? 0 : 1);
      if (from < 0 || (to >= 0 && to <= through)) continue;
      to = through;
      changed = true;
    }
  }
  return hops;
}

}  // namespace meshstep

#endif  // MESHSTEP_TESTS_TOPOLOGIES_FABRICS_H_
