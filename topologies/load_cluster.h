// v1::Cluster as a value: presets resolved, ranges checked, the slice parsed and its wraparound
// decided by the chip's rule.

#ifndef MESHSTEP_TOPOLOGIES_LOAD_CLUSTER_H_
#define MESHSTEP_TOPOLOGIES_LOAD_CLUSTER_H_

#include <string>

#include "sim/base/catalog.h"
#include "sim/base/diagnostics.h"
#include "topologies/cluster.h"

namespace meshstep {

namespace v1 {
class Cluster;
}

// Replaces the cluster's preset (topologies/clusters) and its chip's (topologies/chips) by their
// files with the inline fields written over them.
void ResolveClusterPresets(v1::Cluster* proto, const std::string& field, const Catalog& catalog,
                           Diagnostics* diagnostics);

// Presets are resolved already. `field` is the cluster's path in errors ("cluster"). Problems go to
// `diagnostics`; the value is then safe to read but BuildFabric must not be called with it.
Cluster LoadCluster(const v1::Cluster& proto, const std::string& field, Diagnostics* diagnostics);

// The library called `name`, as "nccl" or "nccl@2.19", in place of the cluster's. Nothing runs on a
// custom graph. `field` says where the name stands.
void SetLibrary(const std::string& name, const std::string& field, const Catalog& catalog,
                Cluster* cluster, Diagnostics* diagnostics);

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_LOAD_CLUSTER_H_
