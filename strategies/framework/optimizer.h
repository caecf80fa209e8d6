// What the optimizer reads and writes.

#ifndef MESHSTEP_STRATEGIES_FRAMEWORK_OPTIMIZER_H_
#define MESHSTEP_STRATEGIES_FRAMEWORK_OPTIMIZER_H_

#include <vector>

#include "strategies/plan/plan.h"

namespace meshstep {

// Bytes per updated parameter of each of its kernels. One pass reads gradients and state and writes
// state and parameters (ZeRO, arXiv 1910.02054 section 3.1). Unfused, as Megatron-LM
// (core/optimizer/optimizer.py, clip_grads.py) and PyTorch with clipping: narrow gradients are cast
// to fp32, fp16 ones unscaled and checked, their norm taken, scaled by it, and the master copy cast
// to parameters.
std::vector<double> OptimizerPasses(const Plan& plan);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_FRAMEWORK_OPTIMIZER_H_
