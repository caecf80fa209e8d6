// Which dimensions of a torus close into rings: the one rule that clusters, `meshstep collective`
// and `meshstep einsum` share.
//
//   rule of the chip   a dimension of X chips closes            TPU
//   kNever             never
//   kFullAxis          X is the full length of the pod (16)      v5e, v6e
//   kWholeCubes        the slice is made of whole 4x4x4 cubes    v4, v5p, v7x
//   kAlways            X > 2                                     v3, Trainium2
//
// Two neighbours have one link each way, closed or not: X = 2 is never a ring.
// A mesh given by its sizes alone is taken to lie on the smallest slice that closes where the mesh
// can close: on chips of cubes, a dimension that the mesh does not name is 4 long if all that it
// names are multiples of 4, else 1. Its collectives are the same on any larger slice of cubes.
// Sources: docs.cloud.google.com/tpu/docs (v4, v5e, v5p, v6e, tpu7x); arXiv 2304.01433, section 2;
// "How To Scale Your Model", chapter TPUs.
// Example: X=4, Y=8 on v5p is taken as 4x8 of a slice 4x8x4: two rings. X=2, Y=8: two lines.

#ifndef MESHSTEP_TOPOLOGIES_WRAPAROUND_H_
#define MESHSTEP_TOPOLOGIES_WRAPAROUND_H_

#include <span>
#include <string>
#include <vector>

#include "topologies/chip.h"

namespace meshstep {

// Per dimension of a slice of `net`: whether it closes.
std::vector<bool> WrapsOf(const Interconnect& net, std::span<const int> slice);

// Why nobody can rent a slice, as "has 8960 chips; the largest slice that is offered has 6144"; ""
// if it is offered. Chips of cubes come in 1, 2 or 4 a dimension or in multiples of 4 in all of
// them, chips of full axes in powers of two.
std::string NotOffered(const Interconnect& net, std::span<const int> slice);

// The slice on which a mesh of `sizes`, one torus dimension each, is taken to lie: `sizes`, then
// the dimensions that it does not name. Sizes of 1 name nothing.
std::vector<int> SliceOfMesh(const Interconnect& net, std::span<const int> sizes);

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_WRAPAROUND_H_
