// The gradient of a weight: the matmul that makes it, and how it joins those of the micro-batches
// before (Plan::kernels).

#ifndef MESHSTEP_STRATEGIES_PASSES_WEIGHT_GRADIENT_H_
#define MESHSTEP_STRATEGIES_PASSES_WEIGHT_GRADIENT_H_

#include <vector>

#include "sim/cost/matmul.h"
#include "strategies/passes/pass_builder.h"

namespace meshstep {

// `shape` is dW[k, n] = x[k, m] · dy[m, n] as a product; of the matmul `op`.
void WeightGradient(const Op& op, const MatmulShape& shape, const std::vector<int>& after,
                    PassBuilder* pass);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PASSES_WEIGHT_GRADIENT_H_
