// Experts whose grouped matmuls also do the gated activation (Kernels::fused_experts).

#ifndef MESHSTEP_STRATEGIES_FRAMEWORK_FUSED_EXPERTS_H_
#define MESHSTEP_STRATEGIES_FRAMEWORK_FUSED_EXPERTS_H_

#include "strategies/block/block_view.h"

namespace meshstep {

// The gated activation `op` of experts is done by the matmul before it, and in backward its
// gradient by that of the matmul after it.
inline bool IsFusedActivation(const Op& op, const BlockView& pass) {
  return pass.context().plan->kernels.fused_experts && op.role == OpRole::kExpertGatedActivation;
}

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_FRAMEWORK_FUSED_EXPERTS_H_
