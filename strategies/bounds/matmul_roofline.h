// One matmul or one attention kernel against one memory ("How To Scale Your Model" ch. 1 and 7).
//
// Symbols: C[B,F] = A[B,D] · W[D,F]; a, w bytes of an activation and of a weight; C FLOP/s; M
// bytes/s of the memory. Attention: T queries, S keys, N query heads in groups of G = N / K, head
// size H.

#ifndef MESHSTEP_STRATEGIES_BOUNDS_MATMUL_ROOFLINE_H_
#define MESHSTEP_STRATEGIES_BOUNDS_MATMUL_ROOFLINE_H_

namespace meshstep {

struct MatmulCase {
  double b = 1, d = 1, f = 1;
  double activation_bytes = 2, weight_bytes = 2;
  double flops() const { return 2 * b * d * f; }
  double bytes() const { return activation_bytes * (b * d + b * f) + weight_bytes * d * f; }
};

// B at which 2 B D F / C equals w D F / M: the weights are all the traffic. intensity = C / M.
double CriticalBatch(double intensity, double weight_bytes);

// The same with activations counted: 2BDF / C = (a B (D + F) + w D F) / M. Infinite if the
// activations alone keep it memory-bound.
double ExactCriticalBatch(const MatmulCase& c, double intensity);

struct AttentionCase {
  double batch = 1, queries = 1, keys = 1, heads = 1, kv_heads = 1, head_dim = 1;
  double element_bytes = 2;
  double flops() const { return 4 * batch * queries * keys * heads * head_dim; }
  // q and output, k and v.
  double bytes() const {
    return element_bytes * 2 * batch * head_dim * (queries * heads + keys * kv_heads);
  }
  double group() const { return heads / kv_heads; }
};

// T = S with T G / (G + 1) · 2 / bytes per element = intensity.
double CriticalLength(const AttentionCase& c, double intensity);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_BOUNDS_MATMUL_ROOFLINE_H_
