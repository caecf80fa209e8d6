// Experts of arXiv 1701.06538 and arXiv 2006.16668: what one token does is a matmul with the
// weights of its expert; a rank does all tokens of an expert at once.

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "strategies/block/block_context.h"
#include "strategies/block/block_view.h"
#include "strategies/framework/expert_kernels.h"
#include "strategies/passes/ops/composite.h"
#include "strategies/passes/pass_builder.h"

namespace meshstep {

MatmulShape ByExpert(const Op& op, const BlockView& pass, const MatmulShape& shape) {
  Sharding experts = pass.Used(op.weights[0]);
  std::erase_if(experts.dims, [](const ShardedDim& dim) { return dim.name != "E"; });
  MatmulShape grouped = shape;
  grouped.batch = pass.context().LocalElements(experts);
  // Beside masks every expert has as many rows as the others, and the kernel is a batched matmul.
  grouped.grouped = pass.context().plan->expert_dispatch != ExpertDispatch::kEinsum;
  grouped.m = shape.m * pass.Load(op.inputs[0]) / grouped.batch;
  return grouped;
}

Flops MeanFlops(const Op& op, const BlockView& pass, const MatmulShape& shape) {
  const bool routed = op.kind == Op::Kind::kExperts;
  return shape.flops() / (routed ? pass.context().plan->expert_imbalance : 1);
}

namespace {

// A tensor of the routed tokens on this device, in bytes per byte of an element.
double Elements(ArrayId array, const BlockView& pass) {
  return pass.context().LocalElements(pass.Used(array)) * pass.Load(array);
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

Time MatmulTime(const Op& op, const MatmulShape& shape, Dtype dtype, Bytes result,
                const BlockView& pass) {
  const ComputeModel& compute = *pass.context().compute;
  const double tile = pass.context().plan->kernels.expert_tile_rows;
  if (op.kind == Op::Kind::kExperts && shape.grouped && tile > 0 && LocalExperts(pass) > 1) {
    return compute.Matmul(OnSharedTiles(shape, tile), dtype, result);
  }
  const bool each = op.kind == Op::Kind::kExperts && pass.context().plan->kernels.each_expert;
  return each ? compute.MatmulEach(shape, dtype, result) : compute.Matmul(shape, dtype, result);
}

// Forward, with p bytes of PyTorch's promotion of tokens (a) and the router's weight: bias times
// weight writes p; the sum reads a + p, writes p; parts are joined (p + p) if there are several;
// where p is not a, cast back p + a.
// Backward: where p is not a, cast a + p and p + a; the parts' gradients are joined (2 a) if there
// are several; for the bias and for the weight each a product (p + p) and its sum (p).
// Source: NVIDIA/Megatron-LM megatron/core/transformer/moe/experts.py, TEGroupedMLP._apply_bias.
int AddExpertBias(const Op& op, bool backward, int after, PassBuilder* pass) {
  const BlockContext& context = pass->context();
  const double kernels = ExpertBiasKernels(op, backward, *pass);
  if (kernels == 0) return after;
  const double a = pass->ElementBytes({op.outputs[0], false});
  const double p = std::max(a, RouterWeightBytes(a, *pass));
  const double joined = LocalExperts(*pass) > 1 ? 1 : 0, cast = p != a ? a + p : 0;
  const double forward_bytes = 3 * p + a + joined * 2 * p + cast;
  const double backward_bytes = 2 * cast + joined * 2 * a + 2 * 3 * p;
  const Bytes bytes((backward ? backward_bytes : forward_bytes) * Elements(op.outputs[0], *pass));
  return pass->Compute(
      op.name + (backward ? " bias backward" : " bias"),
      context.compute->Elementwise(Bytes(0)) * static_cast<std::int64_t>(kernels - 1) +
          context.compute->Elementwise(bytes),
      Flops(), {after}, false, bytes);
}

}  // namespace meshstep
