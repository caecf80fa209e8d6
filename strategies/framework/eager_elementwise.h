// What elementwise ops of a layer cost where Python runs them one operation at a time: every
// operation is a kernel that reads its operands from HBM and writes its result there, in fp32 where
// the model's code says so.
//
// Counted from pytorch/torchtitan (2024-25), with a bytes per element of an activation:
//   RMSNorm (torchtitan/models/norms.py; autograd's formulas: pytorch derivatives.yaml)
//     forward   x.float() a+4, pow(2) 8, mean 4, x * r 8, type_as 4+a, * weight 2a    28 + 4a, 6
//     backward  weight: 2a, 3a and the sum a; type_as a+4; x * r: 8, 12 and the sum 4; mean 4;
//               pow: 8, 8, 12; sum of both paths to x 12; float a+4                   76 + 8a, 13
//     and on one number per row: + eps and rsqrt; in backward three for rsqrt
//   rotary embedding (models/llama/model.py apply_rotary_emb), of q and of k, each way
//     float a+4, complex product 8, type_as 4+a                                       16 + 2a, 3
//   SwiGLU (FeedForward.forward)
//     forward silu 2a, product 3a; backward two products 3a, silu 3a               5a, 2; 9a, 3
//   dropout before a residual's sum (torch.nn.Dropout): 2a + 1 with the mask, sum 3a   5a + 1, 2
// LayerNorm, GELU and residual sums are one kernel in eager PyTorch too. TorchInductor fuses all of
// it but the rotary embedding, whose complex product runs as ATen's kernel between two of its own
// (torch/_inductor/lowering.py unsupported_output_tensor: complex tensors fall back).
//
// Rotary embedding of Megatron-Core where its fused kernel does not do, all in the type of
// activations (megatron/core/models/common/embeddings/rope_utils.py _apply_rotary_pos_emb_bshd), of
// q and of k:
//     forward   times cosine 2a; half is negated a, the halves joined 2a, times sine 2a; sum 3a;
//               joined with what is not rotated 2a; six on the angles                      12a, 6
//     backward  times cosine 2a, times sine 2a; half is negated a, joined 2a, summed 3a; the empty
//               rest is a fill a and a sum 3a                                              14a, 7

#ifndef MESHSTEP_STRATEGIES_FRAMEWORK_EAGER_ELEMENTWISE_H_
#define MESHSTEP_STRATEGIES_FRAMEWORK_EAGER_ELEMENTWISE_H_

#include "strategies/block/block_view.h"

namespace meshstep {

// Kernels of one op in one direction; 0: as a fused kernel.
struct EagerKernels {
  double bytes = 0;
  int kernels = 0;
};

// Nothing where the plan fuses.
EagerKernels EagerElementwise(const Op& op, bool backward, const BlockView& pass);

// Of all of them together.
Time TimeOf(const EagerKernels& eager, const ComputeModel& compute);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_FRAMEWORK_EAGER_ELEMENTWISE_H_
