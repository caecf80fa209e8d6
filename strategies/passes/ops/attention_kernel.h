// What the ways of attention on a sharded sequence share: shapes and times of the kernel, and where
// its operands are.

#ifndef MESHSTEP_STRATEGIES_PASSES_OPS_ATTENTION_KERNEL_H_
#define MESHSTEP_STRATEGIES_PASSES_OPS_ATTENTION_KERNEL_H_

#include <vector>

#include "sim/base/dtype.h"
#include "strategies/block/block_context.h"
#include "strategies/block/block_view.h"
#include "strategies/passes/ops/sequence_split.h"
#include "strategies/passes/pass_builder.h"

namespace meshstep {

// Of one element of the outputs and gradients that add up over the steps of a ring.
inline constexpr double kAccumulatorBytes = kFp32Bytes;

// Axes that shard the sequence of the queries, major first.
std::vector<AxisId> SequenceAxes(const Op& op, const BlockView& pass);
SequenceSplit SplitOf(const Op& op, const BlockView& pass);

// Heads and queries of one device with all keys; how much of the square is visible is not said.
AttentionShape LocalShape(const Op& op, const BlockView& pass, bool backward);

// One kernel: what the slowest of the ranks takes, and what they execute on average.
struct KernelCost {
  Time time;
  Flops flops;
  Bytes hbm_bytes;
};
KernelCost CostOf(const AttentionShape& shape, const BlockContext& context);

// Bytes of an operand on one device, as ops use it.
double UsedBytes(ArrayId array, const BlockView& pass);
// Copies of each key/value head that the kernel reads (Kernels::repeated_heads: torchtitan
// models/llama/model.py repeat_kv), and those of an operand of attention.
double HeadCopies(const Op& op, const BlockView& pass);
double KernelBytes(const Op& op, std::size_t input, const BlockView& pass);
// Emit the kernels that make the copies before attention, and sum their gradients after it; return
// the last step, or `after` where there are none.
int RepeatHeads(const Op& op, int after, PassBuilder* pass);
int SumHeads(const Op& op, int after, PassBuilder* pass);
// Ulysses: copies of each key/value head, so that there is one for every rank.
double KvReplicas(const Op& op, const BlockView& pass);

// Ring attention, Liu et al. arXiv 2310.01889 §3. Keys and values of one rank go round; while a
// rank works on those that it has, the next ones are on their way. In backward their gradients
// follow them, and in the end return to where the keys are. The last rank's message to the first
// goes the way back, over links that are idle: it takes as long as the others.
Status RingForward(const Op& op, PassBuilder* pass);
Status RingBackward(const Op& op, PassBuilder* pass);

// DeepSpeed-Ulysses, arXiv 2309.14509 §3: all-to-alls bring q, k and v from shards of the sequence
// to shards of the heads, and the output back. Fewer key/value heads than ranks are replicated. The
// kernel keeps its operands as shards of the heads, so that backward exchanges only gradients
// (replicated keys and values are exchanged again).
Status UlyssesForward(const Op& op, PassBuilder* pass);
Status UlyssesBackward(const Op& op, PassBuilder* pass);

// Attention over a window and compressed keys: compressed_attention.cc says how ranks of a sequence
// share them, whatever the plan's context method.
Status CompressedForward(const Op& op, PassBuilder* pass);
Status CompressedBackward(const Op& op, PassBuilder* pass);
double CompressedBuffers(const Op& op, const BlockView& pass);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PASSES_OPS_ATTENTION_KERNEL_H_
