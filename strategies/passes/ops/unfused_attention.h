// Attention as the kernels that frameworks ran before fused ones: two batched matmuls around a
// softmax over the full square of scores, and a dropout kernel (Megatron-LM
// core/transformer/dot_product_attention.py; softmax with scale and mask in one kernel).

#ifndef MESHSTEP_STRATEGIES_PASSES_OPS_UNFUSED_ATTENTION_H_
#define MESHSTEP_STRATEGIES_PASSES_OPS_UNFUSED_ATTENTION_H_

#include "sim/cost/compute.h"
#include "strategies/block/block_context.h"
#include "strategies/block/lowered_block.h"

namespace meshstep {

struct UnfusedAttentionCost {
  Time time;
  Bytes hbm_bytes;
};

// Forward, or backward alone, of one device.
UnfusedAttentionCost UnfusedAttention(const AttentionShape& shape, const BlockContext& context);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PASSES_OPS_UNFUSED_ATTENTION_H_
