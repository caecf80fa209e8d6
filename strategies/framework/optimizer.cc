#include "strategies/framework/optimizer.h"

namespace meshstep {

std::vector<double> OptimizerPasses(const Plan& plan) {
  constexpr double kFp32 = 4;
  const Precision& p = plan.precision;
  const double gradient = SizeOf(p.gradients).value(), parameter = SizeOf(p.parameters).value();
  const double state = 2 * p.optimizer_bytes;
  if (!plan.kernels.unfused_optimizer) return {gradient + state + parameter};
  std::vector<double> passes;
  if (gradient < kFp32) passes.push_back(gradient + kFp32);
  if (p.activations == Dtype::kFp16) passes.push_back(2 * kFp32);
  passes.push_back(kFp32);      // norm
  passes.push_back(2 * kFp32);  // clip
  passes.push_back(kFp32 + state + (parameter < kFp32 ? 0 : 2 * parameter));
  if (parameter < kFp32) passes.push_back(kFp32 + parameter);
  return passes;
}

}  // namespace meshstep
