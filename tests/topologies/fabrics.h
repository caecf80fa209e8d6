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

}  // namespace meshstep

#endif  // MESHSTEP_TESTS_TOPOLOGIES_FABRICS_H_
