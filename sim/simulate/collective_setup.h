// The fabric, mesh and group of one collective, as a person asks for it.
//
// Either a cluster, whose levels are the axes (x, y, z of a torus; node, leaf, spine of nodes), or
// a chip and a mesh: on a torus each axis takes one dimension, in order. Where whole cubes of 4
// close (TPU v4, v5p, v7x) dimensions that the mesh does not name are 4 long if all axes are
// multiples of 4, else 1. Example: chip tpu-v5p, mesh X=4: a ring of 4 in a slice of 4x4x4.

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
  std::string chip, mesh, over;      // --chip, --mesh, --over
  RateSet rates = RateSet::kDatasheet;
  Fidelity fidelity = Fidelity::kCalibrated;
};

struct CollectiveSetup {
  Cluster cluster;
  std::unique_ptr<Fabric> fabric;
  std::unique_ptr<Mesh> mesh;
  std::vector<AxisId> axes;  // of the group, major first
};

// Error: one line per problem, naming the option.
StatusOr<CollectiveSetup> SetUpCollective(const CollectivePlace& place, const Catalog& catalog);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_SIMULATE_COLLECTIVE_SETUP_H_
