// How the matrices of a stage get muon's directions: who brings what together and multiplies what.
//
// A matrix of in x out elements is updated in parts by the ranks of the axes that shard it, p of them
// (all its own without sharding, when all methods are the last).
//   duplicated   all-gather of the momentum in fp32; every rank does the whole matrix
//   distributed  a rank keeps n / p columns of the longer side n (where its axes shard it, else of the
//                other) and all of the other side m; axes that shard m are gathered first. In every
//                iteration A = X X^T is all-reduced in bf16, before them the norm
//   owner        all-to-all in fp32 to one rank for each matrix and back, once for all layers of a
//                part of the pipeline; the slowest rank is that of the longest-first assignment
//   blockwise    a rank's own part as it is
// The products of one matrix follow those of another, a kernel each (NVIDIA/Megatron-LM
// core/optimizer/emerging_optimizers.py, orthogonalize; an owner's too, pull request 6683: no batches
// by default, so that its bits are those of duplicated).
// Sources: plan.proto Muon. Cost: O(matrices) steps; O(matrices · log ranks) to assign.

#ifndef MESHSTEP_STRATEGIES_STEP_MATRIX_DIRECTIONS_H_
#define MESHSTEP_STRATEGIES_STEP_MATRIX_DIRECTIONS_H_

#include <vector>

#include "strategies/block/block_context.h"
#include "strategies/step/lowered_model.h"

namespace meshstep {

// Of the layers of one part of the pipeline; transfers are interned in context.transfers.
std::vector<DirectionStep> MatrixDirections(const std::vector<LayerRef>& layers,
                                            const LoweredModel& model, const BlockContext& context);

struct Jobs {
  Time time;  // of one; of all in what LongestFirst returns
  double count;
};
// What the rank with the most to do has when jobs go to `ranks` ranks, the longest first, each to the
// one that has the least.
Jobs LongestFirst(const std::vector<Jobs>& jobs, int ranks);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_MATRIX_DIRECTIONS_H_
