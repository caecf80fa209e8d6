// How many parameters and tokens to train with a number of FLOPs.
//
// Symbols: N parameters, D tokens, C = 6 N D training FLOPs.
// Sources: Hoffmann et al. arXiv 2203.15556 (approach 1: D = 20 N; §3.3, eq. 10: L(N,D) = E + A /
// N^a + B / D^b); Kaplan et al. arXiv 2001.08361 (§6.1, Table 6); Sardana et al. arXiv 2401.00448
// (§2, with the FLOPs of inference).

#ifndef MESHSTEP_STRATEGIES_BOUNDS_SCALING_LAW_H_
#define MESHSTEP_STRATEGIES_BOUNDS_SCALING_LAW_H_

namespace meshstep {

inline constexpr double kChinchillaTokensPerParameter = 20;

// 6 N D: 2 forward and 4 backward per parameter and token.
constexpr double TrainingFlops(double parameters, double tokens) { return 6 * parameters * tokens; }

struct Optimum {
  double parameters = 0, tokens = 0;
};

// C = 6 N · 20 N.
Optimum ChinchillaOptimum(double flops, double tokens_per_parameter);

// Loss per token (nats) of the parametric fit, and its minimum over N at constant C = 6 N D.
double ParametricLoss(double parameters, double tokens);
Optimum ParametricOptimum(double flops);
// D with which N parameters reach `loss`; infinite if they cannot.
double TokensForLoss(double parameters, double loss);

// N = 1.3e9 · C^0.73 with C in PF-days (8.64e19 FLOPs), the rest tokens.
Optimum KaplanOptimum(double flops);

// Least 6 N D + 2 N D_inference at constant parametric loss.
Optimum OverTrainingOptimum(double loss, double inference_tokens);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_BOUNDS_SCALING_LAW_H_
