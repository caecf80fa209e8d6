// What a collective costs: phases that the engine runs.

#ifndef MESHSTEP_SIM_COST_COLLECTIVE_COST_H_
#define MESHSTEP_SIM_COST_COLLECTIVE_COST_H_

#include <string_view>
#include <vector>

#include "sim/base/units.h"
#include "sim/cost/collective.h"

namespace meshstep {

// What the engine runs: a latency, then bytes on each link class (or link), drained at one rate.
struct LinkDemand {
  int link;  // link class, or LinkId when unfolded
  Bytes bytes;
};
struct CostPhase {
  Time latency;
  std::vector<LinkDemand> demands;
  Bytes weight;  // what one group moves over its busiest link (see flow_network.h)
};
struct CollectiveCost {
  const CollectiveAlgorithm* algorithm = nullptr;
  std::string_view library_name, protocol;  // of the library's entry; "": none is known
  // Compute units held over those of a ring that fills the links inside a node.
  double units = 1;
  std::vector<CostPhase> phases;
  Bytes sent_per_device;  // the most that one member sends
  Seconds idle_time;      // phases on an idle fabric
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_COLLECTIVE_COST_H_
