// Ways to cut a fabric into equal parts: what of a step must pass between parts passes these links.
//
// A part is a block of chips; the cut's capacity is what all parts together can send out, by the
// wires. Nodes are cut below each level (chips, nodes, units of each tier), a torus into chips,
// cubes, halves along each dimension and slices, a custom graph into chips and, by minimum cuts
// (topologies/graph.h), two halves.
//
// Symbols: b_l of the e_l units of level l in a block, m = e_l / b_l, b the product of the b_l.
// Out of a block: b w of a switch or network of w per device, of networks that of the lowest that
// it does not hold whole, since what climbs on has passed it; b (e_l - b_l) w of a full mesh of
// links of w; b / b_l links each way of a dimension that closes, and 2 (m - 1) / m of them on
// average of one that does not. A block that holds a dimension of a twisted torus may be left over
// its seam, so that all its faces count.
//
// Example: 64 nodes of 8 H100: 512 chips, 512 (450 + 50) GB/s; 64 nodes, 64 · 8 · 50 GB/s.
// 16x16 v5p-like links of w: two halves of x, 2 · 2 · 16 w.

#ifndef MESHSTEP_STRATEGIES_BOUNDS_FABRIC_CUTS_H_
#define MESHSTEP_STRATEGIES_BOUNDS_FABRIC_CUTS_H_

#include <string>
#include <vector>

#include "topologies/fabric.h"

namespace meshstep {

struct FabricCut {
  std::string part;         // for people: "chip", "node", "half of x"
  double parts;             // chips over those of the largest part; at least 2 but for odd graphs
  BytesPerSecond capacity;  // out of all parts together
  bool switches_add;        // a switch between parts sums or copies what passes
};

std::vector<FabricCut> CutsOf(const Fabric& fabric, int devices_per_chip);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_BOUNDS_FABRIC_CUTS_H_
