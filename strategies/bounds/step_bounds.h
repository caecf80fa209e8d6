// What no plan of a model, batch and cluster can beat at a precision: compute, HBM and, for every
// way to cut the fabric into equal parts, what must pass between the parts.
//
//   compute  FLOPs of the model, causal attention at half its square / (chips · peak)
//   HBM      training: optimizer state read and written once, parameters written once; forward
//            only: active parameters (of tables only the head's) read once, the KV cache once
//   cut      training, below
//
// Problem: of M parts, one could do all work and send nothing, but would take M times as long; all
// could do an equal share, but then weights meet tokens of several parts. How few bytes pass if a
// step takes T?
//
// Symbols: P weights that each token meets: query and output projections and MLPs that are not
// routed, of all layers but the first and the last (an expert's tokens depend on routing, keys and
// values may be computed twice; both count as nothing, so that routed models have small bounds);
// D tokens; d width of the narrowest of stream, heads and those MLPs; a bytes of an element of an
// activation; k bytes of a gradient plus those of the narrower of it and a gathered weight; C(U)
// rate out of part U.
//
// 1. Weights. Say F_w parts meet weight w. Its gradient adds up contributions of all of them, and
//    the new weight must come to all of them: at least F_w - 1 transfers before the sum is complete
//    anywhere and F_w - 1 after. Over all weights k (sum_U p_U - P), where part U meets p_U.
//    Where a switch on the way adds up and copies, a part still sends one and receives one: half.
// 2. Tokens. Say U does s of the P products of a token (and their two of backward), passing q
//    elements of it forward. All of the stream depends on all before it, so if q < d only one side,
//    U or the rest, can complete an inner element of a later layer. The other's products each take
//    an element received and one sent: at most q^2. So s <= q^2, or s >= P - q^2, or q >= d; in the
//    first and third case q >= d s / max(p_U, d^2). Backward is the same from the last layer on.
//    A transfer leaves one part and enters another: a d s / max(p_U, d^2) for both directions.
// 3. Part U, doing W products, thus adds at least
//      g(W) = min(k (P - d^2), min over p in [W / D, P] of k p + a W d / max(p, d^2)).
//    g(W) / W falls with W, and W <= T C_peak N / (6 M), so that all parts add
//      X(T) = P D / W_most · g(W_most) - k P.
// 4. T >= X(T) / sum_U C(U). X falls with T: the bound is the T from which on it holds, at most
//    X at the compute bound. No product is done twice to any use: copies that plans with replicated
//    axes make could be left out with all that they receive.
//
// Source: 1 is gossiping with one-way messages; 2 is the bound by surfaces of D. Irony, S. Toledo,
// A. Tiskin, JPDC 64(9), 2004, on a chain of matmuls.
// Example: two slices, P = 1e9, D so large that g = k (P - d^2): each does at most half of the work
// at the compute bound if there is nothing else to do, X = k (P - 2 d^2): an all-reduce.

#ifndef MESHSTEP_STRATEGIES_BOUNDS_STEP_BOUNDS_H_
#define MESHSTEP_STRATEGIES_BOUNDS_STEP_BOUNDS_H_

#include <vector>

#include "strategies/bounds/fabric_cuts.h"
#include "strategies/model/model.h"
#include "strategies/plan/plan.h"

namespace meshstep {

// Weights met by every token, of layers between the first and the last.
struct ChainedWork {
  double weights = 0, width = 0;  // P, d
  double tokens = 0;              // D
  double weight_bytes = 0;        // k
  double activation_bytes = 0;    // a
};

ChainedWork ChainedWorkOf(const Model& model, const Workload& workload, const Precision& precision);

// X of parts none of which does more than `most` of all products, in (0, 1].
Bytes LeastCrossing(const ChainedWork& work, double most);

struct StepBounds {
  struct Cut {
    FabricCut cut;
    Seconds time;
  };
  Seconds compute, hbm;
  std::vector<Cut> cuts;

  Seconds cut() const;  // the largest of all
  Seconds value() const;
};

// By data-sheet rates.
StepBounds StepBoundsOf(const Model& model, const Workload& workload, const Precision& precision,
                        const Cluster& cluster);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_BOUNDS_STEP_BOUNDS_H_
