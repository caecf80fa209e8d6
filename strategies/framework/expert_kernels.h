// Which kernels a framework runs around the matmuls of experts: biases, clamps, fused activations.

#ifndef MESHSTEP_STRATEGIES_FRAMEWORK_EXPERT_KERNELS_H_
#define MESHSTEP_STRATEGIES_FRAMEWORK_EXPERT_KERNELS_H_

#include "strategies/block/block_view.h"

namespace meshstep {

// Experts that one device holds.
double LocalExperts(const BlockView& pass);

// Bytes of one of the router's weights on its way to the experts, where an activation has
// `activation`.
double RouterWeightBytes(double activation, const BlockView& pass);

// Kernels that AddExpertBias (strategies/passes/ops/composite.h) stands for; 0: it adds none.
double ExpertBiasKernels(const Op& op, bool backward, const BlockView& pass);
// Kernels beside that of an activation whose inputs are clamped (ClampBytes).
constexpr int kClampKernels = 3;
// The gated activation `op` of experts is done by the matmul before it, and in backward its
// gradient by that of the matmul after it (Kernels::fused_experts).
bool IsFusedActivation(const Op& op, const BlockView& pass);
// HBM traffic of kernels that clamp what `op` reads (Kernels::eager_expert_clamp), else 0.
double ClampBytes(const Op& op, bool backward, const BlockView& pass);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_FRAMEWORK_EXPERT_KERNELS_H_
