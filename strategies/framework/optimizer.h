// What the optimizer reads and writes, and the products of Muon.

#ifndef MESHSTEP_STRATEGIES_FRAMEWORK_OPTIMIZER_H_
#define MESHSTEP_STRATEGIES_FRAMEWORK_OPTIMIZER_H_

#include <vector>

#include "sim/cost/compute.h"
#include "strategies/plan/plan.h"

namespace meshstep {

// Bytes per updated parameter of each of its kernels. One pass reads gradients and state and writes
// state and parameters (ZeRO, arXiv 1910.02054 section 3.1). Unfused, as Megatron-LM
// (core/optimizer/optimizer.py, clip_grads.py) and PyTorch with clipping: narrow gradients are cast
// to fp32, fp16 ones unscaled and checked, their norm taken, scaled by it, and the master copy cast
// to parameters. matrix: of what the optimizer counts as one. Adafactor reads the gradient for its
// sums and for the size of the update before (arXiv 1804.04235, algorithm 4); Muon's kernels end with
// the momentum, from which an fp32 direction is to be made.
std::vector<double> OptimizerPasses(const Plan& plan, bool matrix);
// Muon, a matrix: what follows when its fp32 direction is there.
std::vector<double> DirectionPasses(const Plan& plan);

// A kernel or several, one after the other, of one device.
struct KernelWork {
  Time time;
  Flops flops;
  Bytes bytes;
  KernelWork& operator+=(const KernelWork& other);
};

// Muon's direction of `count` matrices X[m, n], of which a device has n columns: the norm, a cast to
// bf16 and back, and in every iteration
//   A = X X^T [m, m],   B = b A + c A^2,   X := a X + B X
// (kellerjordan.github.io/posts/muon, 2024-12; NVIDIA-NeMo/Emerging-Optimizers muon_utils.py
// newton_schulz: fp32 in and out, matmuls of bf16 with the sums in them).
//   FLOPs of one: 2 m^2 n + 2 m^3 + 2 m^2 n
KernelWork MatrixCasts(double count, double m, double n, const ComputeModel& compute);
KernelWork GramProduct(double count, double m, double n, const ComputeModel& compute);
KernelWork PolynomialProducts(double count, double m, double n, const ComputeModel& compute);
// All of them for whole matrices.
KernelWork NewtonSchulz(double count, double m, double n, int iterations,
                        const ComputeModel& compute);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_FRAMEWORK_OPTIMIZER_H_
