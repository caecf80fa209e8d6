// What one byte of a collective by one algorithm puts on the links, so that a size is priced by
// multiplying. Every algorithm's traffic grows in proportion to the bytes.

#ifndef MESHSTEP_SIM_COST_UNIT_LOAD_H_
#define MESHSTEP_SIM_COST_UNIT_LOAD_H_

#include <functional>
#include <vector>

#include "sim/cost/collective.h"
#include "sim/cost/collective_cost.h"
#include "sim/cost/link_load.h"

namespace meshstep {

// Ranks of a group in one node: what its dims below the network hold.
int RanksPerNode(const Group& group);

// Of one phase, for one byte: flows inside nodes apart from those between nodes.
struct UnitPhase {
  LinkLoad inside, across;
};
struct UnitLoad {
  std::vector<UnitPhase> phases;
  Bytes sent_inside, sent_across;  // by the member that sends most
};

// load_of: LoadOf (sim/cost/link_load.h) of a phase, for the axes and the device.
UnitLoad UnitLoadOf(const CollectiveAlgorithm& algorithm, Collective collective, const Group& group,
                    const std::function<LinkLoad(const TrafficPhase&)>& load_of);

// The phases of `bytes`: those of flows inside nodes times `inside`, of others times `across`,
// every phase after its part of `latency`. What the cost says besides is left to the caller.
CollectiveCost Scaled(const UnitLoad& load, Bytes bytes, double inside, double across,
                      Seconds latency);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_UNIT_LOAD_H_
