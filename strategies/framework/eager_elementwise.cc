#include "strategies/framework/eager_elementwise.h"

#include "sim/base/dtype.h"
#include "strategies/block/block_context.h"
#include "strategies/block/block_view.h"

namespace meshstep {
namespace {

constexpr double kMask = 1;

// Kernels over whole arrays and their bytes per element; kernels over one number per row.
struct PerElement {
  double bytes;
  int kernels, rows;
};

PerElement RmsNorm(double a, bool backward) {
  if (backward) return {19 * kFp32Bytes + 8 * a, 13, 3};
  return {7 * kFp32Bytes + 4 * a, 6, 2};
}

PerElement Rotary(double a) { return {4 * kFp32Bytes + 2 * a, 3, 0}; }

PerElement MegatronRotary(double a, bool backward) {
  return backward ? PerElement{14 * a, 7, 0} : PerElement{12 * a, 6, 6};
}

PerElement GatedActivation(double a, bool backward) {
  return backward ? PerElement{9 * a, 3, 0} : PerElement{5 * a, 2, 0};
}

EagerKernels Over(const PerElement& cost, double elements) {
  return {cost.bytes * elements, cost.kernels + cost.rows};
}

EagerKernels Sum(const EagerKernels& a, const EagerKernels& b) {
  return {a.bytes + b.bytes, a.kernels + b.kernels};
}

}  // namespace

EagerKernels EagerElementwise(const Op& op, bool backward, const BlockView& pass) {
  const BlockContext& context = pass.context();
  const Kernels::Elementwise work = context.plan->kernels.elementwise;
  if (op.kind != Op::Kind::kElementwise) return {};
  const bool inductor = work == Kernels::Elementwise::kInductor;
  if (inductor && op.part != Op::Part::kAttention) return {};
  const double a = SizeOf(context.plan->precision.activations).value();
  const auto elements = [&](ArrayId array) {
    return pass.StoredBytes(array) / pass.ElementBytes({array, false});
  };
  if (context.plan->kernels.eager_rotary && op.role == OpRole::kRotary) {
    EagerKernels all;
    for (const ArrayId head : op.outputs) {
      all = Sum(all, Over(MegatronRotary(a, backward), elements(head)));
    }
    return all;
  }
  if (work == Kernels::Elementwise::kFused) return {};
  switch (op.part) {
    case Op::Part::kNorm:
      if (op.role == OpRole::kLayerNorm) return {};
      return Over(RmsNorm(a, backward), elements(op.outputs[0]));
    case Op::Part::kAttention: {
      EagerKernels all;
      for (const ArrayId head : op.outputs) {
        if (!op.weights.empty() && !inductor)
          all = Sum(all, Over(RmsNorm(a, backward), elements(head)));
        if (op.role != OpRole::kHeadNorm) {
          all = Sum(all, Over(Rotary(a), elements(head)));
        }
      }
      return all;
    }
    case Op::Part::kMlp:
      if (op.role != OpRole::kGatedActivation && op.role != OpRole::kExpertGatedActivation)
        return {};
      return Over(GatedActivation(a, backward), elements(op.outputs[0]));
    case Op::Part::kResidual:
      if (backward) return {};
      // With dropout, whose mask is the second result.
      return op.role == OpRole::kDropoutAdd ? Over({5 * a + kMask, 2, 0}, elements(op.outputs[0]))
                                            : EagerKernels();
    case Op::Part::kRouter:
    case Op::Part::kEmbedding:
    case Op::Part::kHead:
      break;
  }
  return {};
}

Time TimeOf(const EagerKernels& eager, const ComputeModel& compute) {
  return compute.Elementwise(Bytes(eager.bytes)) +
         compute.Elementwise(Bytes(0)) * (eager.kernels - 1);
}

}  // namespace meshstep
