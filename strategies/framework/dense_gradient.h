// The gradient of an embedding as frameworks without sparse gradients make it.

#ifndef MESHSTEP_STRATEGIES_FRAMEWORK_DENSE_GRADIENT_H_
#define MESHSTEP_STRATEGIES_FRAMEWORK_DENSE_GRADIENT_H_

#include "strategies/block/block_view.h"

namespace meshstep {

// Bytes that the backward of an embedding moves for a gradient of the table's size: zeros, and,
// where gradients of matmuls accumulate in a buffer, its sum with that.
double DenseGradientBytes(const Op& op, const BlockView& pass);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_FRAMEWORK_DENSE_GRADIENT_H_
