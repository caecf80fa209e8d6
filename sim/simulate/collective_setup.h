// The fabric, mesh and group of one collective, as a person asks for it.
//
// Either a cluster, whose levels are the axes (x, y, z of a torus and the slices it has; node,
// leaf, spine of nodes), or a chip and a mesh: on a torus each axis takes one dimension, in order,
// of the slice that topologies/wraparound.h takes the mesh to lie on. Example: chip tpu-v5p, mesh
// X=4: a ring of 4 in a slice of 4x4x4.

#ifndef MESHSTEP_SIM_SIMULATE_COLLECTIVE_SETUP_H_
#define MESHSTEP_SIM_SIMULATE_COLLECTIVE_SETUP_H_

#include <memory>
#include <string>
#include <vector>

#include "sim/base/catalog.h"
#include "sim/base/status.h"
#include "topologies/mesh.h"

namespace meshstep {

struct CollectivePlace {
  std::string cluster, slice, axes;  // --cluster, --slice, --axes
  int chips = 0;                     // --chips
  int slices = 0;                    // --slices
  bool twisted = false;              // --twisted
  std::string library;               // --library; "": the cluster's
  std::string chip, mesh, over;      // --chip, --mesh, --over
  RateSet rates = RateSet::kDatasheet;
  Fidelity fidelity = Fidelity::kCalibrated;
};

struct CollectiveSetup {
  Cluster cluster;
  std::unique_ptr<Fabric> fabric;
  std::unique_ptr<Mesh> mesh;
  std::vector<AxisId> axes;        // of the group, major first
  std::vector<std::string> notes;  // about the cluster, for people
};

// Error: one line per problem, naming the option.
StatusOr<CollectiveSetup> SetUpCollective(const CollectivePlace& place, const Catalog& catalog);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_SIMULATE_COLLECTIVE_SETUP_H_
