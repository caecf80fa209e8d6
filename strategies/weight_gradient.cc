#include "strategies/weight_gradient.h"

namespace meshstep {

void WeightGradient(const Op& op, const MatmulShape& shape, const std::vector<int>& after,
                    PassBuilder* pass) {
  const BlockContext& context = pass->context();
  const ComputeModel& compute = *context.compute;
  const Plan& plan = *context.plan;
  const Dtype dtype = pass->TypeOf(op);
  const Bytes accumulated = SizeOf(plan.precision.gradients);
  const bool fused = plan.kernels.accumulation == Kernels::Accumulation::kFused;
  // Fused, the sum is read and written where the product would be written.
  const Bytes result = fused ? 2 * accumulated : SizeOf(plan.precision.activations);
  pass->MarkForWeights(pass->Compute(op.name + " dw", compute.Matmul(shape, dtype, result),
                                     shape.flops(), after, false, shape.bytes(dtype, result)));
  if (plan.kernels.accumulation != Kernels::Accumulation::kSeparate) return;
  const double elements = shape.batch * shape.m * shape.n;
  const Bytes bytes = elements * (result + 2 * accumulated);
  pass->MarkForWeights(
      pass->Compute(op.name + " dw sum", compute.Elementwise(bytes), Flops(), {}, false, bytes));
}

}  // namespace meshstep
