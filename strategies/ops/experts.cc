// Experts of arXiv 1701.06538 and arXiv 2006.16668: what one token does is a matmul with the
// weights of its expert; a rank does all tokens of an expert at once.

#include "strategies/ops/composite.h"

namespace meshstep {

MatmulShape ByExpert(const Op& op, const PassBuilder& pass, const MatmulShape& shape) {
  Sharding experts = pass.Used(op.weights[0]);
  std::erase_if(experts.dims, [](const ShardedDim& dim) { return dim.name != "E"; });
  MatmulShape grouped = shape;
  grouped.batch = pass.context().LocalElements(experts);
  grouped.grouped = true;
  grouped.m = shape.m * pass.Load(op.inputs[0]) / grouped.batch;
  return grouped;
}

Flops MeanFlops(const Op& op, const PassBuilder& pass, const MatmulShape& shape) {
  const bool routed = op.kind == Op::Kind::kExperts;
  return shape.flops() / (routed ? pass.context().plan->expert_imbalance : 1);
}

}  // namespace meshstep
