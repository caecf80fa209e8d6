// How busy each link is over a step.
//
// The run says when transfers start; their flows are drained again through the same max-min network
// (sim/engine/flow_network.h), which gives the rates that the engine had and so the bytes per
// second on every link at every instant. No link passes its capacity.

#ifndef MESHSTEP_SIM_SIMULATE_LINK_USAGE_H_
#define MESHSTEP_SIM_SIMULATE_LINK_USAGE_H_

#include <vector>

#include "sim/base/units.h"
#include "sim/engine/engine.h"
#include "sim/engine/task_graph.h"

namespace meshstep {

// From `time` on, until the next point, the link moves `fraction` of its capacity. Range [0, 1].
struct LinkPoint {
  Time time;
  double fraction = 0;
  bool operator==(const LinkPoint&) const = default;
};

// Per link of the graph, in order of time; empty for a link that is never used.
std::vector<std::vector<LinkPoint>> LinkUsage(const TaskGraph& graph, const Run& run);

// Mean of `points` over [0, makespan]. Range [0, 1].
double MeanUsage(const std::vector<LinkPoint>& points, Time makespan);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_SIMULATE_LINK_USAGE_H_
