// Says of the steps of a pass how many operations of the host each stands for
// (strategies/framework/host_launches.h).

#ifndef MESHSTEP_STRATEGIES_PASSES_HOST_OPS_H_
#define MESHSTEP_STRATEGIES_PASSES_HOST_OPS_H_

#include "strategies/passes/pass_builder.h"

namespace meshstep {

// The steps of the pass from `first` on are those of `op`: says how many operations of the host
// each stands for. graph: the part of the layer that the op before was captured with; becomes this
// op's.
void CountHostOps(const Op& op, bool backward, int first, const char** graph, PassBuilder* pass);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PASSES_HOST_OPS_H_
