#include "strategies/passes/ops/unfused_attention.h"

#include "strategies/block/block_context.h"

namespace meshstep {

UnfusedAttentionCost UnfusedAttention(const AttentionShape& s, const BlockContext& context) {
  const ComputeModel& compute = *context.compute;
  const Dtype dtype = context.plan->precision.activations;
  const double element = SizeOf(dtype).value();
  UnfusedAttentionCost cost;
  const auto product = [&](double m, double n, double k) {
    const MatmulShape shape{.batch = s.batch * s.heads, .m = m, .n = n, .k = k};
    cost.time += compute.Matmul(shape, dtype);
    cost.hbm_bytes += shape.bytes(dtype, SizeOf(dtype));
  };
  // A kernel that moves `elements` numbers and `masks` mask bytes per score.
  const auto over_square = [&](double elements, double masks) {
    const Bytes bytes(s.batch * s.heads * s.queries * s.keys * (elements * element + masks));
    cost.time += compute.Elementwise(bytes);
    cost.hbm_bytes += bytes;
  };
  if (!s.backward) {
    product(s.queries, s.keys, s.head_dim);  // scores
    over_square(2, 0);                       // softmax
    if (context.plan->dropout) over_square(2, 1);
    product(s.queries, s.head_dim, s.keys);  // values
    return cost;
  }
  product(s.keys, s.head_dim, s.queries);  // dV
  product(s.queries, s.keys, s.head_dim);  // d softmax
  if (context.plan->dropout) over_square(2, 1);
  over_square(3, 0);                       // d scores from d softmax and softmax
  product(s.queries, s.head_dim, s.keys);  // dQ
  product(s.keys, s.head_dim, s.queries);  // dK
  return cost;
}

}  // namespace meshstep
