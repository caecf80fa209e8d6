// Measured collectives of a fabric: what was measured of one, and how it goes on beyond the ranks
// measured. The curves and their interpolation: topologies/chip.h.
//
// Example: latency measured at 8 ranks, asked of 16: the latency at 8 times what the library's
// formula says of 16 over what it says of 8.

#ifndef MESHSTEP_SIM_COST_MEASURED_COLLECTIVES_H_
#define MESHSTEP_SIM_COST_MEASURED_COLLECTIVES_H_

#include <span>
#include <string_view>

#include "sim/base/units.h"
#include "sim/cost/collective.h"
#include "sim/cost/copies.h"
#include "topologies/chip.h"
#include "topologies/fabric.h"
#include "topologies/mesh.h"

namespace meshstep {

// What measurements are looked up for.
struct Measured {
  Collective collective;
  std::string_view algorithm;
  Mover mover;
};

bool HoldsFor(const NetworkCalibration& entry, const Measured& what);

// Measurements across nodes, of which some hold for the collective and algorithm; none if none do.
std::span<const NetworkCalibration> MeasuredAcross(const Fabric& fabric, const Group& group,
                                                   const Measured& what);

// What was measured of the collective inside one unit of the group's level; nullptr if nothing. Of
// a dispatcher that was not measured: what was of the library.
const CollectiveCalibration* MeasuredOn(const Fabric& fabric, const Group& group,
                                        const Measured& what);

// Of the group; beyond the ranks measured it goes on as the library's latency does.
Seconds MeasuredLatency(const Fabric& fabric, const CollectiveCalibration& measured,
                        const CollectiveAlgorithm& algorithm, const Group& group);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_MEASURED_COLLECTIVES_H_
