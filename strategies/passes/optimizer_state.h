// The optimizer's state of a block, and the matrices that it works on as a whole.

#ifndef MESHSTEP_STRATEGIES_PASSES_OPTIMIZER_STATE_H_
#define MESHSTEP_STRATEGIES_PASSES_OPTIMIZER_STATE_H_

#include "strategies/block/block_view.h"
#include "strategies/block/lowered_block.h"

namespace meshstep {

// Adds a parameter: bytes of state on one device, in the sharding in which it is updated, and the
// matrix, or matrices of experts, that muon makes a direction of.
void CountOptimizer(const BlockView& pass, ArrayId parameter, LoweredBlock* lowered);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PASSES_OPTIMIZER_STATE_H_
