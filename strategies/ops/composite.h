// Composite ops: what does not fit the algebra of dense einsums. Each owns one file here, takes and
// returns sharded arrays, and emits its tasks and collectives into a pass, forward and backward.

#ifndef MESHSTEP_STRATEGIES_OPS_COMPOSITE_H_
#define MESHSTEP_STRATEGIES_OPS_COMPOSITE_H_

#include "strategies/pass_builder.h"

namespace meshstep {

// Attention over whole sequences: q[B,T,N,H], k[B,T,K,H], v[B,T,K,H] -> o[B,T,N,H], one fused
// kernel.
Status AttentionForward(const Op& op, PassBuilder* pass);
Status AttentionBackward(const Op& op, PassBuilder* pass);
// Forward FLOPs of the whole op (not per device): `full` counts the T × T square.
Flops AttentionModelFlops(const Op& op, const Model& model, double batch, double sequence,
                          bool unfused, bool full);

// Tokens to the ranks of their experts, x[B,T,D] -> [B,T,A,D], and back, weighted: a kernel that
// copies (or sums) a rank's own tokens and an all-to-all over the axes that shard E.
Status DispatchForward(const Op& op, PassBuilder* pass);
Status DispatchBackward(const Op& op, PassBuilder* pass);
Status CombineForward(const Op& op, PassBuilder* pass);
Status CombineBackward(const Op& op, PassBuilder* pass);

// A matmul of routed tokens is a grouped one: as many as a rank has experts, each with its share of
// the rank's tokens. `shape` is that of all tokens with one expert.
MatmulShape ByExpert(const Op& op, const PassBuilder& pass, const MatmulShape& shape);
// FLOPs of the mean rank, where `shape` is that of the busiest.
Flops MeanFlops(const Op& op, const PassBuilder& pass, const MatmulShape& shape);

// Vocabulary-parallel lookup: each shard of the table looks up its rows, the result is partial over
// the axes that shard V (Megatron-LM, arXiv 1909.08053 §3).
Status EmbeddingForward(const Op& op, PassBuilder* pass);
Status EmbeddingBackward(const Op& op, PassBuilder* pass);

// Vocabulary-parallel cross-entropy: maximum, sum of exponentials and the target's logit are
// all-reduced in fp32 over the axes that shard V.
Status LossForward(const Op& op, PassBuilder* pass);
Status LossBackward(const Op& op, PassBuilder* pass);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_OPS_COMPOSITE_H_
