#include "strategies/framework/expert_kernels.h"

#include <algorithm>
#include <string>
#include <vector>

#include "sim/base/dtype.h"
#include "strategies/block/block_view.h"

namespace meshstep {

double LocalExperts(const BlockView& pass) {
  return pass.context().LocalElements(Apply(pass.context().plan->rules.experts, {"E"}));
}

// Of one of the router's weights on its way to the experts: DeepEP and HybridEP want fp32
// (token_dispatcher.py, token_probs), else it has the type of the router's input, which is that of
// its logits (router.py, topk_routing_with_score_function: type_as(logits); moe_router_dtype
// unset).
double RouterWeightBytes(double activation, const BlockView& pass) {
  const ExpertDispatch dispatch = pass.context().plan->expert_dispatch;
  const bool wide = dispatch == ExpertDispatch::kDeepEp || dispatch == ExpertDispatch::kHybridEp;
  return wide ? kFp32Bytes : activation;
}

double ExpertBiasKernels(const Op& op, bool backward, const BlockView& pass) {
  if (op.kind != Op::Kind::kExperts || op.biases.empty()) return 0;
  if (op.role != OpRole::kExpertsOut || !pass.context().plan->kernels.eager_expert_bias) return 0;
  const double parts = LocalExperts(pass), joined = parts > 1 ? 1 : 0;
  const double a = pass.ElementBytes({op.outputs[0], false});
  const bool casts = RouterWeightBytes(a, pass) != a;
  if (backward) return joined + 4 * parts + (casts ? 2 + parts : 0);
  return (casts ? 1 : 0) + joined + 2 * parts;
}

bool IsFusedActivation(const Op& op, const BlockView& pass) {
  return pass.context().plan->kernels.fused_experts && op.role == OpRole::kExpertGatedActivation;
}

// Of the two halves that gate each other, in elements of one of them with a bytes: forward each is
// read and written, then both are to lie together again. Backward, as PyTorch's clamp_backward does
// it operation by operation: the half with one bound is compared (a + 1 with the mask) and selected
// (1 + 2 a); the half with two is compared twice, the masks are combined (3) and it is selected;
// the halves' gradients are joined (4 a). Source: fused_bias_geglu.py,
// weighted_bias_quick_geglu_impl; pytorch FunctionsManual.cpp.
double ClampBytes(const Op& op, bool backward, const BlockView& pass) {
  if (op.role != OpRole::kExpertGatedActivation || !pass.context().plan->kernels.eager_expert_clamp)
    return 0;
  const double half = pass.StoredBytes(op.inputs[0]);
  const double a = pass.ElementBytes({op.inputs[0], false});
  const double backward_bytes = (a + 1) + (1 + 2 * a) + 2 * (a + 1) + 3 + (1 + 2 * a) + 4 * a;
  return backward ? backward_bytes * half / a : (2 * 2 + 4) * half;
}

}  // namespace meshstep
