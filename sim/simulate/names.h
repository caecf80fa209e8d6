// What things of a step are called in traces and charts.

#ifndef MESHSTEP_SIM_SIMULATE_NAMES_H_
#define MESHSTEP_SIM_SIMULATE_NAMES_H_

#include <string_view>

#include "strategies/step/step_graph.h"

namespace meshstep {

// "forward", "recompute", "backward", "update".
std::string_view NameOf(Pass pass);
// "parameters", "gradients", "optimizer", "activations", "logits", "buffers", "unsharded",
// "workspace": names of styles as well.
std::string_view NameOf(MemoryBucket bucket);

// What the bytes of a collective over `ranks` are multiplied by for its bus bandwidth. Source:
// nccl-tests, doc/PERFORMANCE.md.
double BusFactor(Collective collective, double ranks);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_SIMULATE_NAMES_H_
