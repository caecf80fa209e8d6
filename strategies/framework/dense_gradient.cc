#include "strategies/framework/dense_gradient.h"

#include "strategies/block/block_view.h"

namespace meshstep {

double DenseGradientBytes(const Op& op, const BlockView& pass) {
  const Plan& plan = *pass.context().plan;
  if (!plan.kernels.dense_embedding_gradient) return 0;
  const double made = SizeOf(plan.precision.activations).value();
  const double kept = SizeOf(plan.precision.gradients).value();
  const bool adds = plan.kernels.accumulation != Kernels::Accumulation::kNone;
  double elements = 0;
  for (const ArrayId table : op.weights) {
    elements += pass.context().LocalElements(pass.Used(table));
  }
  return elements * (made + (adds ? made + 2 * kept : 0));
}

}  // namespace meshstep
