// A step whose stages all compute for as long as they do on average.
//
// Kernels of each unit take c̄ / c_u times as long, with c_u the time of all kernels of unit u and c̄
// its mean over devices. What the step then takes less is the price of stages that are not equal.
// Updates of the optimizer, the host's launches and transfers stay as they are. Cost: O(tasks).

#ifndef MESHSTEP_SIM_ADVICE_BALANCED_STAGES_H_
#define MESHSTEP_SIM_ADVICE_BALANCED_STAGES_H_

#include "sim/base/units.h"
#include "sim/engine/task_graph.h"
#include "strategies/step/step_graph.h"

namespace meshstep {

struct BalancedStages {
  TaskGraph graph;
  int stage = 0;  // that computes longest
  Time longest, mean;
};

BalancedStages Balance(const StepGraph& step);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ADVICE_BALANCED_STAGES_H_
