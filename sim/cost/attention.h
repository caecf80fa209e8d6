// Time of a fused attention kernel that computes the square of scores block by block and skips
// blocks of which no score is visible, on a chip whose matrix units work beside vector units (JAX's
// splash attention and its successor in tokamax on TPUs).
//
//   T = blocks · start / units + max(scores · m / (peak · e), scores / v)
//
// The same file says how a kernel that takes blocks in order fills a chip (BusyUnits), for kernels
// whose rate was measured with other numbers of heads.
//
// scores:  of all blocks that have a visible one. With blocks of b · b a diagonal side of the mask
//          cuts through Q / b blocks and adds Q · b / 2 scores that no query sees.
// m:       FLOPs of one score: 2 p(H) + 2 p(H_v) forward; 6 p(H) + 4 p(H_v) in a backward that
//          makes all three gradients at once, 8 p(H) + 6 p(H_v) in two kernels of which each computes
//          scores and dP. p pads to the side of the systolic array, of which each of these products
//          has the head size as one side: 128 on an array of 256 leaves half of it idle.
// e, v:    the matrix units' fraction of the peak; scores whose softmax the vector units do in a
//          second (forward only: backward has 2.5 times the products and one exponential).

#ifndef MESHSTEP_SIM_COST_ATTENTION_H_
#define MESHSTEP_SIM_COST_ATTENTION_H_

#include "sim/base/units.h"
#include "topologies/chip.h"

namespace meshstep {

struct AttentionShape {
  double batch = 1, heads = 1, kv_heads = 1;
  double queries = 1, keys = 1;  // positions on this device
  double head_dim = 1;           // of queries and keys
  double value_dim = 1;          // of values
  double visible = 1;            // fraction of the queries × keys square that the kernel computes
  // Queries at a diagonal side of the mask, over all queries, summed over the sides: 1 if causal,
  // up to 2 with a window, 0 if every query sees every key.
  double edges = 1;
  // Positions that a query could see beside it in its document, on average; 0: `keys`. What the rate of
  // a kernel follows, where documents are packed.
  double document = 0;
  bool backward = false;  // backward alone
};

// Scores that one head of one sequence computes in blocks of `block` on a side.
double ExecutedScores(const AttentionShape& shape, double block);

// peak, and the share of a chip and the compute units that one device has.
struct AttentionDevice {
  FlopsPerSecond peak;
  double share = 1, units = 1;
};

// Compute units that are busy, on average, in a fused kernel whose units take blocks of queries one
// after another (backward: blocks of keys), head by head: FlashAttention, cuDNN.
//
//   busy = w / (w + L - r) for w > 1.5;  w / L for w <= 1; between them r falls from 1 to its value
//
// w:  blocks of a unit, n = Q / b per head, all heads, over the units p; their mean length is 1.
// L:  length of the longest: 2 under a causal mask, 1 if every query sees as many keys.
// r:  what is left on average of a block that runs when no other waits (renewal theory): L / 3 if
//     lengths are spread evenly up to L, L / 2 if they are equal.
// Scheduling block by block gives the same to 7 % for 108 to 148 units (attention_test).
// Example: 4 heads of 4,096 queries in blocks of 128 on 132 units: 0.49; 64 heads: 0.92.
double BusyUnits(const AttentionShape& shape, double heads, const AttentionTiles& tiles,
                 double units);

Seconds BlockedAttention(const AttentionShape& shape, const AttentionDevice& device,
                         const AttentionBlocks& kernel);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_ATTENTION_H_
