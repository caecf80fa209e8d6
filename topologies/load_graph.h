// v1::Cluster.graph as a value: ends in range, rates above 0, every device joined to every other.

#ifndef MESHSTEP_TOPOLOGIES_LOAD_GRAPH_H_
#define MESHSTEP_TOPOLOGIES_LOAD_GRAPH_H_

#include <string>

#include "sim/base/diagnostics.h"
#include "topologies/cluster.h"

namespace meshstep {

namespace v1 {
class Cluster;
}

// `cluster` has its chip already. Fills chips, switches and graph; after a problem graph is empty.
void LoadGraph(const v1::Cluster& proto, const std::string& field, Diagnostics* diagnostics,
               Cluster* cluster);

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_LOAD_GRAPH_H_
