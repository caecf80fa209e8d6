// Lowers a block (the ops of one transformer layer, of the embedding or the head) under a plan to
// what one device does: the kernels and collectives of its passes, and the bytes that it holds.
//
// The problem. A block is a list of ops on named arrays (strategies/model/model.h). A plan's rules
// shard every named dimension (strategies/plan/plan.h). No op says which collectives it needs: they
// follow, forward and backward, from two shardings of each array.
//
// Symbols.
//   stored   how an array is kept between ops (BlockView::Stored): the residual stream by the rules
//            RESIDUAL, parameters by PARAMETERS, all else as it is used
//   used     how ops want it (BlockView::Used): by the rules COMPUTE, of experts by EXPERTS
//   updated  how a parameter's gradient and optimizer state are kept (BlockView::Updated)
//
// The method, op by op in the order of the block; in backward in the opposite order:
//   1. every operand is brought from stored to used       (PassBuilder::Bring, Reshard)
//   2. the local product leaves partial sums over the axes that cut what is contracted
//                                                          (LocalProduct)
//   3. the result is brought from there to stored          (PassBuilder::Finish)
// Backward runs the transposed products, dx = dy · W^T and dW = x^T · dy, through the same three
// steps. Composite ops (attention on a sharded sequence, routed experts, embedding, loss) have a
// file each in strategies/passes/ops/ and emit their own. Parameters are not brought per op: once
// for the whole block, before it; their gradients leave once, after it (block_parameters.h).
// Recomputation is a forward of the ops that Recompute names, which backward reads instead of what
// was kept (recompute.h).
//
// The invariant. After every step each array that is defined has one step that made it in its
// stored sharding; an array is brought to one sharding at most once in a pass, and later ops read
// what is there. So no collective is emitted twice, and a step names all that it waits for on other
// streams.
//
// Complexity: O(ops · (arrays of an op) · (shardings of an array)); no size of the model, of the
// batch or of the mesh enters.
//
// Example: a column- and a row-parallel product with the sequence sharded over tensor Y between
// blocks (Korthikanti et al., arXiv 2205.05198 §4.2.2), parameters stored as used:
//   x[B, T_Y, D]                                      stored
//   AllGather over Y    x[B, T, D]                    1 of mlp_in
//   x · W_in[D, F_Y] -> h[B, T, F_Y]                  2: no sums; stored as used
//   h · W_out[F_Y, D] -> y[B, T, D]{U_Y}              2 of mlp_out: F is contracted
//   ReduceScatter over Y   y[B, T_Y, D]               3
// and backward the other way round: AllGather of dy, products, ReduceScatter of dx.

#ifndef MESHSTEP_STRATEGIES_PASSES_LOWER_BLOCK_H_
#define MESHSTEP_STRATEGIES_PASSES_LOWER_BLOCK_H_

#include "sim/base/status.h"
#include "strategies/block/block_context.h"
#include "strategies/block/lowered_block.h"

namespace meshstep {

// Error: a rule leaves an einsum without a legal local product; the message names the op.
StatusOr<LoweredBlock> LowerBlock(const Block& block, const BlockContext& context,
                                  Recompute recompute);
// With the plan's recomputation.
StatusOr<LoweredBlock> LowerBlock(const Block& block, const BlockContext& context);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PASSES_LOWER_BLOCK_H_
