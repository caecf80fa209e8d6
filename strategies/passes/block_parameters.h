// The parameters of a block: what is gathered before they are used, how their gradients are summed
// and where, what the optimizer holds, and the bytes of all of it on one device.

#ifndef MESHSTEP_STRATEGIES_PASSES_BLOCK_PARAMETERS_H_
#define MESHSTEP_STRATEGIES_PASSES_BLOCK_PARAMETERS_H_

#include "sim/base/status.h"
#include "strategies/block/block_context.h"
#include "strategies/block/lowered_block.h"

namespace meshstep {

// Adds to the transfers of `context` and to what `lowered` says of parameters. Error: a change of
// sharding that no collective makes.
Status LowerParameters(const Block& block, const BlockContext& context, LoweredBlock* lowered);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PASSES_BLOCK_PARAMETERS_H_
