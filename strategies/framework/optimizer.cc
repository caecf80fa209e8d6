#include "strategies/framework/optimizer.h"

#include "sim/base/dtype.h"

namespace meshstep {

std::vector<double> OptimizerPasses(const Plan& plan) {
  const Precision& p = plan.precision;
  const double gradient = SizeOf(p.gradients).value(), parameter = SizeOf(p.parameters).value();
  const double state = 2 * p.optimizer_bytes;
  if (!plan.kernels.unfused_optimizer) return {gradient + state + parameter};
  std::vector<double> passes;
  if (gradient < kFp32Bytes) passes.push_back(gradient + kFp32Bytes);
  if (p.activations == Dtype::kFp16) passes.push_back(2 * kFp32Bytes);
  passes.push_back(kFp32Bytes);      // norm
  passes.push_back(2 * kFp32Bytes);  // clip
  passes.push_back(kFp32Bytes + state + (parameter < kFp32Bytes ? 0 : 2 * parameter));
  if (parameter < kFp32Bytes) passes.push_back(kFp32Bytes + parameter);
  return passes;
}

}  // namespace meshstep
