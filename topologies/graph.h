// Questions about a fabric as an explicit graph: hops to devices, cuts. For lower bounds and for
// custom fabrics; everything else computes links instead.
//
// The length of a path is its number of links (attachments have none); the capacity of an
// attachment is unlimited. The minimum cut between two sets of devices bounds what they can
// exchange (L. R. Ford and D. R. Fulkerson, "Maximal flow through a network", 1956); it is found
// with Boost.Graph's Boykov-Kolmogorov maximum flow.
//
// Example: a 16x16x16 torus cut in half across one dimension: 2 * 4096 / 16 = 512 links one way.

#ifndef MESHSTEP_TOPOLOGIES_GRAPH_H_
#define MESHSTEP_TOPOLOGIES_GRAPH_H_

#include <span>
#include <vector>

#include "topologies/fabric.h"

namespace meshstep {

// A cut that separates one set of devices from another.
struct Cut {
  BytesPerSecond capacity;
  std::vector<LinkId> links;  // of one minimum cut, ascending; from the first set to the second
};

// Links on a shortest path from every node to every device, per device; -1: no way. By
// breadth-first search: the graph must have no attachments. O(devices (nodes + edges)).
std::vector<std::vector<int>> HopsToDevices(const FabricGraph& graph, int devices);

class Graph {
 public:
  explicit Graph(const Fabric& fabric);

  const FabricGraph& graph() const { return graph_; }

  // The sets must be disjoint and not empty.
  Cut MinCut(std::span<const DeviceId> from, std::span<const DeviceId> to) const;

 private:
  FabricGraph graph_;
  std::vector<double> capacity_;  // per edge, of the wire, bytes per second; attachments infinite
};

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_GRAPH_H_
