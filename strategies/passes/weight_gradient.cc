#include "strategies/passes/weight_gradient.h"

#include "strategies/block/block_context.h"
#include "strategies/block/block_view.h"
#include "strategies/passes/ops/composite.h"
#include "strategies/passes/pass_builder.h"

namespace meshstep {
namespace {

// HBM traffic of the kernel per element of the gradient. One that leaves at once is written in the
// activations' type; one that stays is written in its own, or added to what earlier micro-batches
// left there.
Bytes ResultBytes(const Op& op, const BlockView& pass) {
  const Plan& plan = *pass.context().plan;
  const Bytes accumulated = SizeOf(plan.precision.gradients);
  switch (plan.kernels.accumulation) {
    case Kernels::Accumulation::kFused:
      return 2 * accumulated;
    case Kernels::Accumulation::kSeparate:
      return SizeOf(plan.precision.activations);
    case Kernels::Accumulation::kNone:
      break;
  }
  const bool stays =
      plan.accumulate_unsharded || pass.Used(op.weights[0]) == pass.Stored(op.weights[0]);
  if (!stays) return SizeOf(plan.precision.activations);
  return (plan.micro_batches > 1 ? 2 : 1) * accumulated;
}

}  // namespace

void WeightGradient(const Op& op, const MatmulShape& shape, const std::vector<int>& after,
                    PassBuilder* pass) {
  const BlockContext& context = pass->context();
  const ComputeModel& compute = *context.compute;
  const Plan& plan = *context.plan;
  const Dtype dtype = pass->TypeOf(op);
  const Bytes result = ResultBytes(op, *pass);
  const int step =
      pass->Compute(op.name + " dw", MatmulTime(op, shape, dtype, result, *pass),
                    MeanFlops(op, *pass, shape), after, false, shape.bytes(dtype, result));
  pass->MarkForWeights(step);
  if (plan.kernels.accumulation != Kernels::Accumulation::kSeparate) return;
  const double elements = shape.batch * shape.m * shape.n;
  const Bytes bytes = elements * (result + 2 * SizeOf(plan.precision.gradients));
  pass->MarkForWeights(
      pass->Compute(op.name + " dw sum", compute.Elementwise(bytes), Flops(), {}, false, bytes));
}

}  // namespace meshstep
