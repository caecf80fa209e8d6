// Lowers every block of a model.

#ifndef MESHSTEP_STRATEGIES_STEP_LOWER_MODEL_H_
#define MESHSTEP_STRATEGIES_STEP_LOWER_MODEL_H_

#include "sim/base/status.h"
#include "strategies/block/block_context.h"
#include "strategies/step/lowered_model.h"

namespace meshstep {

// Error: a block cannot be lowered (strategies/block/lowered_block.h).
StatusOr<LoweredModel> LowerModel(const BlockContext& context);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_LOWER_MODEL_H_
