// Experts of arXiv 1701.06538 and arXiv 2006.16668: what one token does is a matmul with the
// weights of its expert; a rank does all tokens of an expert at once.

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "strategies/ops/composite.h"

namespace meshstep {

MatmulShape ByExpert(const Op& op, const PassBuilder& pass, const MatmulShape& shape) {
  Sharding experts = pass.Used(op.weights[0]);
  std::erase_if(experts.dims, [](const ShardedDim& dim) { return dim.name != "E"; });
  MatmulShape grouped = shape;
  grouped.batch = pass.context().LocalElements(experts);
  // Beside masks every expert has as many rows as the others, and the kernel is a batched matmul.
  grouped.grouped = pass.context().plan->expert_dispatch != ExpertDispatch::kEinsum;
  grouped.m = shape.m * pass.Load(op.inputs[0]) / grouped.batch;
  return grouped;
}

Flops MeanFlops(const Op& op, const PassBuilder& pass, const MatmulShape& shape) {
  const bool routed = op.kind == Op::Kind::kExperts;
  return shape.flops() / (routed ? pass.context().plan->expert_imbalance : 1);
}

namespace {

// A tensor of the routed tokens on this device, in bytes per byte of an element.
double Elements(ArrayId array, const PassBuilder& pass) {
  return pass.context().LocalElements(pass.Used(array)) * pass.Load(array);
}

double LocalExperts(const PassBuilder& pass) {
  return pass.context().LocalElements(Apply(pass.context().plan->rules.experts, {"E"}));
}

// What is computed where the r rows of an expert begin anywhere on a grid of tiles of t rows: they
// touch r/t + 1 - 1/t tiles on average, and each is computed whole for every expert it has rows of.
// Source: jax.experimental.pallas.ops.tpu.megablox.gmm, make_group_metadata: a tile is visited once
// for each group in it, for dW (tgmm) too, where rows are what is summed over.
MatmulShape OnSharedTiles(const MatmulShape& shape, double tile) {
  MatmulShape computed = shape;
  (shape.sums_rows ? computed.k : computed.m) += tile - 1;
  return computed;
}

}  // namespace

double ExpertBiasKernels(const Op& op, bool backward, const PassBuilder& pass) {
  if (op.kind != Op::Kind::kExperts || op.biases.empty()) return 0;
  const std::vector<std::string>& dims = pass.DimsOf(op.outputs[0]);
  const bool last = std::find(dims.begin(), dims.end(), "D") != dims.end();
  if (!last || !pass.context().plan->kernels.eager_expert_bias) return 0;
  const double parts = LocalExperts(pass), joined = parts > 1 ? 1 : 0;
  return backward ? 2 + joined + 5 * parts : 1 + joined + 2 * parts;
}

Time MatmulTime(const Op& op, const MatmulShape& shape, Dtype dtype, Bytes result,
                const PassBuilder& pass) {
  const ComputeModel& compute = *pass.context().compute;
  const double tile = pass.context().plan->kernels.expert_tile_rows;
  if (op.kind == Op::Kind::kExperts && shape.grouped && tile > 0 && LocalExperts(pass) > 1) {
    return compute.Matmul(OnSharedTiles(shape, tile), dtype, result);
  }
  const bool each = op.kind == Op::Kind::kExperts && pass.context().plan->kernels.each_expert;
  return each ? compute.MatmulEach(shape, dtype, result) : compute.Matmul(shape, dtype, result);
}

// Forward, in the types of PyTorch's promotion (bias and tokens a bytes, the weight fp32): bias
// times weight writes 4; the sum reads a + 4, writes 4; parts are joined (4 + 4) if there are
// several; cast back 4 + a.
// Backward: cast a + 4 and 4 + a; the parts' gradients are joined (2 a) if there are several; for
// the bias and for the weight each a product (4 + 4) and its sum (4).
// Source: NVIDIA/Megatron-LM megatron/core/transformer/moe/experts.py, TEGroupedMLP._apply_bias.
int AddExpertBias(const Op& op, bool backward, int after, PassBuilder* pass) {
  const BlockContext& context = pass->context();
  const double kernels = ExpertBiasKernels(op, backward, *pass);
  if (kernels == 0) return after;
  constexpr double kFp32 = 4;
  const double a = pass->ElementBytes({op.outputs[0], false});
  const double joined = LocalExperts(*pass) > 1 ? 1 : 0;
  const double forward_bytes = 3 * kFp32 + a + joined * 2 * kFp32 + kFp32 + a;
  const double backward_bytes = 2 * (a + kFp32) + joined * 2 * a + 2 * 3 * kFp32;
  const Bytes bytes((backward ? backward_bytes : forward_bytes) * Elements(op.outputs[0], *pass));
  return pass->Compute(
      op.name + (backward ? " bias backward" : " bias"),
      context.compute->Elementwise(Bytes(0)) * static_cast<std::int64_t>(kernels - 1) +
          context.compute->Elementwise(bytes),
      Flops(), {after}, false, bytes);
}

// Forward each half is read and written, then both are to lie together again; backward each reads
// its gradient and itself and writes, and the halves' gradients are joined.
double ClampBytes(const Op& op, bool backward, const PassBuilder& pass) {
  const bool routed = op.inputs.size() == 2 && pass.IsRouted(op.inputs[0]) &&
                      pass.IsRouted(op.outputs[0]) && op.part == Op::Part::kMlp;
  if (!routed || !pass.context().plan->kernels.eager_expert_clamp) return 0;
  const double half = pass.StoredBytes(op.inputs[0]);
  return (backward ? 2 * 3 + 4 : 2 * 2 + 4) * half;
}

}  // namespace meshstep
