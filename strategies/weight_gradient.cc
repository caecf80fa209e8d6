#include "strategies/weight_gradient.h"

namespace meshstep {

void WeightGradient(const std::string& op, const MatmulShape& shape, const std::vector<int>& after,
                    PassBuilder* pass) {
  const BlockContext& context = pass->context();
  const ComputeModel& compute = *context.compute;
  const Dtype dtype = context.plan->precision.compute;
  const Bytes accumulated = SizeOf(context.plan->precision.gradients);
  const double elements = shape.batch * shape.m * shape.n;
  if (context.plan->kernels.accumulation == Kernels::Accumulation::kFused) {
    // The sum is read and written where the product would be written.
    const Bytes bytes = shape.batch * (shape.m * shape.k + shape.k * shape.n) * SizeOf(dtype) +
                        elements * 2 * accumulated;
    pass->Compute(op + " dw", compute.Matmul(shape, dtype, 2 * accumulated), shape.flops(), after,
                  false, bytes);
    return;
  }
  pass->Compute(op + " dw", compute.Matmul(shape, dtype), shape.flops(), after, false,
                shape.bytes(dtype));
  if (context.plan->kernels.accumulation == Kernels::Accumulation::kNone) return;
  const Bytes bytes = elements * (SizeOf(dtype) + 2 * accumulated);
  pass->Compute(op + " dw sum", compute.Elementwise(bytes), Flops(), {}, false, bytes);
}

}  // namespace meshstep
