// The switch tiers of a cluster of nodes, reduced to those that its nodes and the axes of a mesh
// need.

#ifndef MESHSTEP_TOPOLOGIES_TIERS_H_
#define MESHSTEP_TOPOLOGIES_TIERS_H_

#include <span>
#include <vector>

#include "sim/base/status.h"
#include "topologies/cluster.h"
#include "topologies/mesh.h"

namespace meshstep {

// Tiers, lowest first, in which every unit is whole: `nodes` of each divides that of the next and
// the last holds all `nodes`.
//  - None declared: one tier without oversubscription.
//  - A tier whose units the nodes do not fill evenly joins the next one if it is not
//  oversubscribed.
//  - A job that does not fill the units of an oversubscribed tier takes an equal share of at least
//  half of each, under the uplinks of the whole unit: 2,048 nodes under pods of 384 at 7:1 are
//  eight pods of 256 at 7 · 256/384.
//  - Tiers above the first that holds all nodes are left out, except one above a tier of rails, in
//    which traffic between rails turns around (its unit then holds one unit of the tier below).
// Example: 48 nodes under leaves of 32 and spines of 128 are one tier of 48.
// Error: one sentence "tiers[i]... " for each tier that does not fit.
StatusOr<std::vector<Tier>> UsedTiers(const std::vector<Tier>& tiers, int nodes);

// The cluster with those tiers joined to the next one that the axes (innermost first, filling the
// devices in order) do not nest with and that are not oversubscribed: joining changes nothing then
// but the latency, which becomes the higher tier's. What does not fit still after that is reported
// by Mesh::Place. A torus and a custom graph come back as they are. Example: 280 nodes under leaves
// of 20 and an axis of 8 nodes: the leaves join the spine.
Cluster FitTiers(const Cluster& cluster, std::span<const AxisRequest> requests);

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_TIERS_H_
