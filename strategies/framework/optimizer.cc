#include "strategies/framework/optimizer.h"

#include <cstdint>

#include "sim/base/dtype.h"

namespace meshstep {
namespace {

double GradientBytes(const Plan& plan) {
  return plan.kernels.unfused_optimizer ? kFp32Bytes : SizeOf(plan.precision.gradients).value();
}

// Kernels over gradients before the update.
std::vector<double> GradientPasses(const Plan& plan) {
  std::vector<double> passes;
  if (!plan.kernels.unfused_optimizer) return passes;
  const double gradient = SizeOf(plan.precision.gradients).value();
  if (gradient < kFp32Bytes) passes.push_back(gradient + kFp32Bytes);
  if (plan.precision.activations == Dtype::kFp16) passes.push_back(2 * kFp32Bytes);
  passes.push_back(kFp32Bytes);      // norm
  passes.push_back(2 * kFp32Bytes);  // clip
  return passes;
}

// The kernel that reads `read` bytes and updates `state` bytes and the parameter; unfused, narrow
// parameters are cast from their master copy by another.
void PushUpdate(const Plan& plan, double read, double state, std::vector<double>* passes) {
  const Precision& p = plan.precision;
  const double parameter = SizeOf(p.parameters).value();
  const bool remainder = p.optimizer_kind().master == OptimizerKind::Master::kRemainder;
  const double both = read + 2 * state + (remainder ? parameter : 0);
  if (!plan.kernels.unfused_optimizer || remainder) {
    passes->push_back(both + parameter);
    return;
  }
  passes->push_back(both + (parameter < kFp32Bytes ? 0 : 2 * parameter));
  if (parameter < kFp32Bytes) passes->push_back(kFp32Bytes + parameter);
}

}  // namespace

std::vector<double> OptimizerPasses(const Plan& plan, bool matrix) {
  const Precision& p = plan.precision;
  const OptimizerKind& kind = p.optimizer_kind();
  std::vector<double> passes = GradientPasses(plan);
  const double gradient = GradientBytes(plan);
  const bool apart = matrix && kind.matrices != OptimizerKind::Matrices::kNone;
  if (apart && kind.matrices == OptimizerKind::Matrices::kHidden) {
    passes.push_back(gradient + 2 * kind.matrix_moments + kFp32Bytes);
    return passes;
  }
  if (apart) passes.insert(passes.end(), 2, gradient);
  PushUpdate(plan, gradient, p.StateBytes(apart), &passes);
  return passes;
}

std::vector<double> DirectionPasses(const Plan& plan) {
  const Precision& p = plan.precision;
  std::vector<double> passes;
  PushUpdate(plan, kFp32Bytes, p.optimizer_kind().MasterBytes(SizeOf(p.parameters).value()),
             &passes);
  return passes;
}

KernelWork& KernelWork::operator+=(const KernelWork& other) {
  time += other.time;
  flops += other.flops;
  bytes += other.bytes;
  return *this;
}

namespace {

KernelWork Product(const MatmulShape& shape, const ComputeModel& compute) {
  const Bytes result = SizeOf(Dtype::kBf16);
  return {compute.Matmul(shape, Dtype::kBf16, result), shape.flops(),
          shape.bytes(Dtype::kBf16, result)};
}

}  // namespace

KernelWork MatrixCasts(double count, double m, double n, const ComputeModel& compute) {
  // The norm, the division, the cast and the cast back.
  KernelWork work;
  for (const double per_element : {kFp32Bytes, 2 * kFp32Bytes, kFp32Bytes + 2, 2 + kFp32Bytes}) {
    const Bytes bytes(count * m * n * per_element);
    work += {compute.Elementwise(bytes), Flops(), bytes};
  }
  return work;
}

KernelWork GramProduct(double count, double m, double n, const ComputeModel& compute) {
  return Product({.batch = count, .m = m, .n = m, .k = n}, compute);
}

KernelWork PolynomialProducts(double count, double m, double n, const ComputeModel& compute) {
  KernelWork work = Product({.batch = count, .m = m, .n = m, .k = m}, compute);
  work += Product({.batch = count, .m = m, .n = n, .k = m}, compute);
  return work;
}

KernelWork NewtonSchulz(double count, double m, double n, int iterations,
                        const ComputeModel& compute) {
  KernelWork work = MatrixCasts(count, m, n, compute);
  for (int i = 0; i < iterations; ++i) {
    work += GramProduct(count, m, n, compute);
    work += PolynomialProducts(count, m, n, compute);
  }
  return work;
}

}  // namespace meshstep
