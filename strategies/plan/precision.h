// Which number format each part of a step uses, and what the narrow ones cost.
//
// With 8- or 4-bit `compute`, only the linear layers of the blocks (Op::big_matmul) run in it, in
// all three products: y = x W, dx = dy W', dW = x' dy. Norms, attention, the residual stream,
// router, embedding and head stay in `activations`, as in TransformerEngine, DeepSeek-V3 (arXiv
// 2412.19437 §3.3.1) and NVFP4 pretraining (arXiv 2509.25149 §4; the layers that it keeps wide are a
// LayerRange of the plan).
// A narrow operand is made from the wide tensor by kernels that read it and write it in as many
// versions as the products need. How often they read it, and where TransformerEngine's norms write
// the narrow operand themselves, is in its docs/features/low_precision_training (2026-08) and
// pytorch/csrc/extensions/normalization.cpp, quantizer.cpp. Checked against that guide's
// gemm_profiling page, B300: its casts move the bytes counted here at 5 to 6 TB/s.

#ifndef MESHSTEP_STRATEGIES_PLAN_PRECISION_H_
#define MESHSTEP_STRATEGIES_PLAN_PRECISION_H_

#include <algorithm>
#include <string>
#include <vector>

#include "sim/base/dtype.h"
#include "strategies/model/op_role.h"
#include "strategies/plan/optimizers.h"

namespace meshstep {

// Elements that share a scale.
enum class Scaling {
  kTensor,   // all of a tensor; the scale is of the steps before ("delayed")
  kCurrent,  // all of a tensor; the scale is its own, and takes a pass to find
  kChannel,  // a row of the left or a column of the right operand, its own (AQT)
  kBlock,    // 1 x 128 of activations, 128 x 128 of weights, fp32 scales: arXiv 2412.19437 §3.3.2
  kMx,       // 32, one-byte scales: OCP Microscaling Formats 1.0, §5.2
  kNvfp4,    // 16, one-byte scales: arXiv 2509.25149 §2
};
std::string_view NameOf(Scaling scaling);

struct Precision {
  Dtype compute = Dtype::kBf16;      // matmuls of the blocks
  Dtype activations = Dtype::kBf16;  // everything else that flows
  Dtype parameters = Dtype::kBf16;   // as stored; never narrower than `activations` outside matmuls
  Dtype gather = Dtype::kBf16;       // parameters on the wire; as `parameters`
  Dtype gradients = Dtype::kFp32, reduce = Dtype::kFp32;
  Dtype kv_cache = Dtype::kBf16;
  Dtype kept_mlp = Dtype::kBf16;  // inputs of activations of MLPs and experts, until backward
  Scaling scaling = Scaling::kTensor;
  std::vector<OpRole> wide;  // products that stay of `activations`
  bool IsWide(OpRole role) const { return std::ranges::find(wide, role) != wide.end(); }
  std::string optimizer = "adam-fp32";
  const OptimizerKind& optimizer_kind() const;
  // State of an element, master copy included; of an element of what the optimizer counts as a matrix.
  double StateBytes(bool matrix) const;
  double LeastStateBytes() const { return std::min(StateBytes(false), StateBytes(true)); }

  // Matmuls of the blocks are narrower than what flows between them.
  bool quantised() const { return SizeOf(compute) < SizeOf(activations); }
  // One element of a matmul's operand with its share of the scales. A scale of a whole tensor is
  // nothing.
  double OperandBytes() const;
  double WeightBytes() const;
  // Of a parameter as stored, and as gathered. matmul: the weight of a matmul of a block.
  Dtype Stored(bool matmul) const;
  Dtype Gathered(bool matmul) const;
  bool one_scale() const { return scaling == Scaling::kTensor || scaling == Scaling::kCurrent; }
  // Versions of a tensor that a cast writes, so that the product and the transposed one can both
  // read it. Scales that run along the contracted dimension differ between the two; with one scale
  // per tensor it is a second copy only where the matmul unit takes one layout (`one_layout`).
  int OperandVersions(bool one_layout) const;
  int WeightVersions(bool one_layout) const;
  // Kernels that make the versions of an operand, each of which reads the wide tensor once. A scale
  // of the tensor's own takes a pass for the largest value before the cast; NVFP4 takes that, a
  // cast of the rows, and one of the columns after their Hadamard transform. That one also rounds
  // gradients stochastically, with random numbers made in registers (TransformerEngine
  // common/hadamard_transform, hadamard_transform_cast_fusion.cu): no bytes more.
  int CastKernels() const;
  // Scales of channels run along what a product contracts, so that every product makes operands of
  // its own from the wide tensors, just before it: one version of each in forward, one of x and two
  // of dy in backward (google/aqt, aqt/jax/v2/aqt_dot_general.py: calibrate and quantize in each of
  // fwd, dlhs and drhs unless use_fwd_quant; config_v3 leaves it unset).
  bool CastsPerProduct() const { return scaling == Scaling::kChannel; }
  // Bytes of random numbers per element of a gradient that a cast rounds stochastically, written by
  // a generator and read by the cast (aqt config_v3: rng_type "jax.uniform" of fp32 for dy in both
  // products of backward; XLA fuses nothing with RngBitGenerator).
  double NoiseBytes() const { return scaling == Scaling::kChannel ? 2 * 4 : 0; }
  // Sums of forward's products leave the matrix units on the way too (chip.proto precise_fraction),
  // not only those of backward: block scales need it (Transformer Engine common/recipe,
  // Float8BlockScaling; arXiv 2412.19437 §3.3.2).
  bool SumsForwardPrecisely() const { return scaling == Scaling::kBlock; }
  // A norm writes the narrow operand itself (TransformerEngine's LayerNormLinear, with cuDNN's
  // norms for MX). Not with block scales, which take a kernel of their own (arXiv 2412.19437
  // §3.5.2), nor where the largest value must be known first.
  bool FusesCastIntoNorm() const {
    return quantised() && (scaling == Scaling::kTensor || scaling == Scaling::kMx);
  }
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PLAN_PRECISION_H_
