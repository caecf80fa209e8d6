// The fabric of a cluster.

#ifndef MESHSTEP_TOPOLOGIES_BUILD_FABRIC_H_
#define MESHSTEP_TOPOLOGIES_BUILD_FABRIC_H_

#include <memory>

#include "topologies/cluster.h"
#include "topologies/fabric.h"

namespace meshstep {

// kCalibrated multiplies link rates by the usable fractions of the chip and cluster files.
std::unique_ptr<Fabric> BuildFabric(const Cluster& cluster, RateSet rates, Fidelity fidelity);

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_BUILD_FABRIC_H_
