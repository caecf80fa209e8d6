// When training is bound by communication ("How To Scale Your Model" ch. 5; GPU chapter).
//
// One layer's MLP In[B,D]·W_in[D,F]·W_out[F,D] in bf16 on X chips of data parallelism or FSDP times
// Y of tensor parallelism, Y innermost. alpha = C / W of one mesh axis; M_X, M_Y physical axes that
// each is given.
//
//   CriticalTokens(2550, 3)               // 850 per v5p chip for FSDP over three axes
//   CriticalTokensMixed(2550, 2, 1, 32768, Overlap::kMax)   // 99

#ifndef MESHSTEP_STRATEGIES_BOUNDS_TRAINING_BOUNDS_H_
#define MESHSTEP_STRATEGIES_BOUNDS_TRAINING_BOUNDS_H_

namespace meshstep {

// Whether communication of the two kinds overlaps (later editions) or adds up (first edition).
enum class Overlap { kMax, kSum };

// Tokens per chip from which data parallelism or FSDP is compute-bound: B / X > alpha / M_X.
double CriticalTokens(double alpha, double axes);

// FSDP × tensor at the best X: alpha² / (M_X M_Y F) if they overlap, four times that if they add
// up.
double CriticalTokensMixed(double alpha, double x_axes, double y_axes, double f, Overlap overlap);

// X that balances the two: sqrt(B / F · M_X / M_Y · N).
double OptimalX(double b, double f, double x_axes, double y_axes, double chips);

// Y < F M_Y / alpha: most ways of tensor parallelism before it is communication-bound.
double MaxTensor(double f, double axes, double alpha);
// Over exactly two nodes of `node` chips, alpha across them: F > alpha (Y - node).
double MaxTensorTwoNodes(double f, double node, double alpha);

struct MlpPlan {
  double b = 0, d = 0, f = 0;  // tokens, hidden, width
  double x = 1, y = 1;
  double element_bytes = 2;
};

// Bytes/s at which an array is gathered over X and over Y: V / T of strategies/bounds/tiers.h, W
// M_X and W M_Y on a torus.
struct MlpRates {
  double fsdp = 0, tensor = 0;
};

struct MlpTimes {
  double compute = 0, fsdp = 0, tensor = 0;
  double communication(Overlap overlap) const {
    return overlap == Overlap::kSum ? fsdp + tensor : fsdp > tensor ? fsdp : tensor;
  }
};

// Forward: 4 B D F FLOPs; AllGather of both weights over X; AllGather and ReduceScatter of [B,D]
// over Y.
MlpTimes MlpForward(const MlpPlan& plan, double flops_per_s, const MlpRates& rates);
// Backward: twice each: gathers again and reduce-scatters gradients (an all-reduce under plain data
// parallelism moves as much).
MlpTimes MlpBackward(const MlpPlan& plan, double flops_per_s, const MlpRates& rates);

// Expert parallelism over Z shards in nodes of `node`, k experts per token: F from which it is
// compute-bound, 4 B k D F / (Z C) > 4 B D (Z - node) / (W Z) · min(node k / Z, 1).
double MinExpertFfn(double alpha, double shards, double k, double node);
// The share of the shards that a token's data goes to: expected for random experts,
// (1 - ((Z-1)/Z)^k) (Z-1)/Z, and its bound min(k/Z, 1) (Z-1)/Z.
double ExpectedShards(double shards, double k);
double ShardsBound(double shards, double k);

// One hop of a micro-batch between stages: 2 B D / (W m) for B tokens in m micro-batches.
double PipelineHop(double b, double d, double micro_batches, double bytes_per_s);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_BOUNDS_TRAINING_BOUNDS_H_
