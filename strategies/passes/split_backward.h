// Backward of a block in two halves: gradients of its input, and later those of its weights.

#ifndef MESHSTEP_STRATEGIES_PASSES_SPLIT_BACKWARD_H_
#define MESHSTEP_STRATEGIES_PASSES_SPLIT_BACKWARD_H_

#include "strategies/block/lowered_block.h"

namespace meshstep {

struct SplitBackward {
  BlockPass input, weight;
};

// Steps marked `for_weights` and the transfers that serve nothing else go to the second half. It
// runs after the first, so that what it takes from there is ready.
SplitBackward Split(const BlockPass& backward);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PASSES_SPLIT_BACKWARD_H_
