// Lowers a block to its passes.

#ifndef MESHSTEP_STRATEGIES_PASSES_LOWER_BLOCK_H_
#define MESHSTEP_STRATEGIES_PASSES_LOWER_BLOCK_H_

#include "sim/base/status.h"
#include "strategies/block/block_context.h"
#include "strategies/block/lowered_block.h"

namespace meshstep {

// Error: a rule leaves an einsum without a legal local product; the message names the op.
StatusOr<LoweredBlock> LowerBlock(const Block& block, const BlockContext& context,
                                  Recompute recompute);
// With the plan's recomputation.
StatusOr<LoweredBlock> LowerBlock(const Block& block, const BlockContext& context);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PASSES_LOWER_BLOCK_H_
