// How unevenly routed tokens fall on the ranks of their experts, drawn from a distribution.
//
// Expert e of layer l gets w(l, e) = exp(spread z(l, e)) of tokens, z normal and independent; a rank
// holds experts / ranks neighbours. A layer waits for the rank with the most:
//   f(l) = ranks max_r W(l, r) / sum_r W(l, r),   W(l, r) the sum of w over the experts of rank r,
// which takes time in proportion, so that all layers together take the mean of f.
// Example: 128 experts on 8 ranks, 48 layers, spread 0.5: 1.21; one expert a rank: 2.8.

#ifndef MESHSTEP_STRATEGIES_PLAN_EXPERT_DRAW_H_
#define MESHSTEP_STRATEGIES_PLAN_EXPERT_DRAW_H_

namespace meshstep {

struct ExpertDraw {
  int experts = 1, ranks = 1, layers = 1;  // ranks divides experts
  double spread = 0;
  int seed = 0;
};

// The mean over layers of the busiest rank's tokens over the mean rank's: 1 to ranks.
double DrawnImbalance(const ExpertDraw& draw);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PLAN_EXPERT_DRAW_H_
