// Composite ops: what does not fit the algebra of dense einsums. Each owns one file here, takes and
// returns sharded arrays, and emits its tasks and collectives into a pass, forward and backward.

#ifndef MESHSTEP_STRATEGIES_PASSES_OPS_COMPOSITE_H_
#define MESHSTEP_STRATEGIES_PASSES_OPS_COMPOSITE_H_

#include "strategies/block/block_view.h"
#include "strategies/passes/pass_builder.h"

namespace meshstep {

// Attention over whole sequences: q[B,T,N,H], k[B,T,K,H], v[B,T,K,H] -> o[B,T,N,H], one fused
// kernel. Where T of q is sharded, the plan's context method says how a rank sees all keys.
Status AttentionForward(const Op& op, PassBuilder* pass);
Status AttentionBackward(const Op& op, PassBuilder* pass);
// Bytes that it needs besides its operands where the sequence is sharded: keys and values that are
// gathered or go round and their gradients, what all-to-alls send.
double AttentionBuffers(const Op& op, const BlockView& pass);
// The cross-entropy keeps logits until backward, not probabilities.
bool KeepsLogits(const Plan& plan);

// Prefill: keys and values go into the cache. Decode: one query per sequence reads the cache, whose
// sequence the plan's cache axes shard; partial outputs are joined by the log-sum-exp of each.
Status CacheForward(const Op& op, PassBuilder* pass);
Status DecodeAttention(const Op& op, PassBuilder* pass);
// Bytes of the cache of this op on one device, all sequences of the replica.
double KvCacheBytes(const Op& op, const BlockView& pass);
// Mixers with a state (strategies/model/model.h, StateMixer): chunked.cc says how ranks of a
// sequence hand it on.
Status ChunkedForward(const Op& op, PassBuilder* pass);
Status ChunkedBackward(const Op& op, PassBuilder* pass);
// Bytes of what its kernels write between each other on one device, and of the state that decode
// keeps, all sequences of the replica.
double ChunkedBuffers(const Op& op, const BlockView& pass);
double StateBytes(const Op& op, const BlockView& pass);

// The indexer of sparse attention: every query's scores of all keys, and the choice of the highest.
// Backward makes the scores again for the gradients of queries, keys and weights.
Status IndexForward(const Op& op, PassBuilder* pass);
Status IndexBackward(const Op& op, PassBuilder* pass);
// Bytes of its keys in the cache on one device, all sequences of the replica.
double IndexCacheBytes(const Op& op, const BlockView& pass);

// Tokens to the ranks of their experts, x[B,T,D] -> [B,T,A,D], and back, weighted: a kernel that
// copies (or sums) a rank's own tokens and an all-to-all over the axes that shard E.
Status DispatchForward(const Op& op, PassBuilder* pass);
Status DispatchBackward(const Op& op, PassBuilder* pass);
Status CombineForward(const Op& op, PassBuilder* pass);
Status CombineBackward(const Op& op, PassBuilder* pass);

// A matmul of routed tokens is a grouped one: as many as a rank has experts, each with its share of
// the rank's tokens. `shape` is that of all tokens with one expert.
MatmulShape ByExpert(const Op& op, const BlockView& pass, const MatmulShape& shape);
// FLOPs of the mean rank, where `shape` is that of the busiest.
Flops MeanFlops(const Op& op, const BlockView& pass, const MatmulShape& shape);

// Time of a matmul; of experts that may be one for each (Kernels::each_expert).
Time MatmulTime(const Op& op, const MatmulShape& shape, Dtype dtype, Bytes result,
                const BlockView& pass);

// Vocabulary-parallel lookup: each shard of the table looks up its rows, the result is partial over
// the axes that shard V (Megatron-LM, arXiv 1909.08053 §3).
Status EmbeddingForward(const Op& op, PassBuilder* pass);
Status EmbeddingBackward(const Op& op, PassBuilder* pass);

// Vocabulary-parallel cross-entropy: maximum, sum of exponentials and the target's logit are
// all-reduced in fp32 over the axes that shard V.
Status LossForward(const Op& op, PassBuilder* pass);
Status LossBackward(const Op& op, PassBuilder* pass);
// Instead of the loss in a step that is forward only: each shard of the vocabulary reads its logits
// and offers its best token, and the offers (value and id) are gathered.
Status SampleForward(const Op& op, PassBuilder* pass);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PASSES_OPS_COMPOSITE_H_
