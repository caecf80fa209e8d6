// Kernels beside an op that a framework runs in eager PyTorch where a fusing one needs none; which
// of them, the plan's `kernels` say. Bytes are of activations, read and written.
//
// Heads (Kernels::copied_heads). One matmul makes q, k and v side by side, for every group of heads
// that shares keys. A kernel on q and k (rotary embedding, norms) leaves them in arrays of their
// own and v where it was, with the strides of the joint product:
//   forward   v is copied, as attention takes three arrays of the same strides; q before the kernel
//             where it shares keys, as its heads are not evenly spaced then     2 |v| (+ 2 |q|)
//   backward  the three gradients are joined                                    2 (|q| + |k| + |v|)
// Unfused attention on the product itself reads its heads as they lie; its output is copied from
// the order of the batched matmul (2 |q|), and the gradients are joined.
// Sources: NVIDIA/Megatron-LM core_v0.8.0 megatron/core/transformer/attention.py
// (get_query_key_value_tensors: SplitAlongDim, then query.reshape); NVIDIA/TransformerEngine v1.8
// transformer_engine/pytorch/attention.py (_SplitAlongDim.backward: torch.cat unless the gradients
// lie in one array; get_qkv_layout: contiguous() where strides differ); NVIDIA/Megatron-LM v2.6
// megatron/model/transformer.py (context_layer.permute().contiguous()).
//
// Biases (Kernels::bias_gradients). A bias that a kernel after the matmul adds (bias and GELU;
// bias, dropout and residual) gets its gradient by a sum over the tokens of that kernel's, in
// autograd (megatron/core/fusions/fused_bias_gelu.py, fused_bias_dropout.py); one that the linear
// layer adds also, unless its matmul sums it (cuBLAS's BGRADB epilogue in Transformer Engine): |y|.

#ifndef MESHSTEP_STRATEGIES_PASSES_FRAMEWORK_KERNELS_H_
#define MESHSTEP_STRATEGIES_PASSES_FRAMEWORK_KERNELS_H_

#include "strategies/block/block_view.h"
#include "strategies/passes/pass_builder.h"

namespace meshstep {

// Emits those that run after `op`. Their launches are among those that
// strategies/framework/host_launches.h counts for the op.
void AddFrameworkKernels(const Op& op, bool backward, PassBuilder* pass);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PASSES_FRAMEWORK_KERNELS_H_
