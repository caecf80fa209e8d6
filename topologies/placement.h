// Which parts of which levels each axis of a mesh takes. The rule is in mesh.h.
//
// Symbols: r_l is what is left of level l, u_l what is taken (their product is the extent); a part
// of size q of level l gets stride u_l, then u_l *= q and r_l /= q.

#ifndef MESHSTEP_TOPOLOGIES_PLACEMENT_H_
#define MESHSTEP_TOPOLOGIES_PLACEMENT_H_

#include <span>
#include <vector>

#include "sim/base/status.h"
#include "topologies/axis.h"
#include "topologies/fabric.h"

namespace meshstep {

// One MeshAxis per request, in the order of the requests. Axes with `physical` are placed first, so
// that the others take what they leave. Parts of one axis take its parts in order, innermost
// first (on a twisted torus as axes do). The sizes must multiply to the fabric's devices.
StatusOr<std::vector<MeshAxis>> PlaceAxes(const Fabric& fabric,
                                          std::span<const AxisRequest> requests);

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_PLACEMENT_H_
