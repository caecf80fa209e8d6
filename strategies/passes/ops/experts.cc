// Experts of arXiv 1701.06538 and arXiv 2006.16668: what one token does is a matmul with the
// weights of its expert; a rank does all tokens of an expert at once.

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "strategies/block/block_context.h"
#include "strategies/block/block_view.h"
#include "strategies/framework/kernel_sums.h"
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

}  // namespace meshstep
