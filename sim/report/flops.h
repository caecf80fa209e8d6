// FLOPs and parameters of a model's step by convention, from its op lists.
//
// A matmul is 2 · (product of the sizes of its dimensions) forward and twice that backward;
// attention likewise with the visible share of the square. Norms, activations and the loss are not
// counted, as in every convention of model FLOPs.

#ifndef MESHSTEP_SIM_REPORT_FLOPS_H_
#define MESHSTEP_SIM_REPORT_FLOPS_H_

#include "strategies/plan.h"

namespace meshstep {

struct StepCounts {
  // Forward and backward of the whole batch, no recomputation.
  Flops model;           // attention as the plan's kernel computes it
  Flops full_attention;  // the full square of scores
  Flops least;           // attention as a kernel computes it that skips what is masked
  // 6 · parameters · tokens; without the embedding and position tables unless the head is tied to
  // the former, with the head.
  Flops six_nd;
  double parameters = 0;  // all, a tied table once
};

StepCounts CountStep(const Scenario& scenario);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_FLOPS_H_
