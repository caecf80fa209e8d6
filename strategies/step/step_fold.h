// A step without micro-batches of its middle.
//
// The problem. A pipeline of p stages runs m micro-batches; between filling and draining all stages
// do the same for every micro-batch, and mostly in the same time. Emit a step of fewer, and tell
// from it the step of all.
//
// Symbols.
//   few      micro-batches that are emitted; m - few are left out
//   k        after so many micro-batches the order of a stage repeats: 1 (1F1B), p (interleaved)
//   steady   of a stage: from this action on the orders of m and of few end alike
//   common   of a stage: below this action they are the same
//
// What is checked of the orders A (of m) and B (of few) of every stage, with D = |A| - |B| and q
// actions per k micro-batches:
//   A[j] = B[j] for j < common, none of them the last backward of its chunk;
//   A[j + D] = B[j] with m - few added, for j >= steady, and steady + q <= common;
//   A[j + q] = A[j] with k added, for steady <= j < common + D - q.
// So A is B with whole periods put in between. What the engine makes of it: sim/engine/recurrence.h.
// What the hosts do depends on how far they are ahead, which may grow: HostsStay.
//
// Example: 1F1B, p = 2, m = 100: few = 8 and k = 1; the stage at the front has steady 1, common 14.

#ifndef MESHSTEP_STRATEGIES_STEP_STEP_FOLD_H_
#define MESHSTEP_STRATEGIES_STEP_STEP_FOLD_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "sim/engine/recurrence.h"
#include "strategies/plan/plan.h"
#include "strategies/step/host_clock.h"

namespace meshstep {

struct StepFold {
  std::int64_t few, left_out, period;
  struct Stage {
    std::size_t steady, common;
  };
  std::vector<Stage> stages;
};

// None: the order of a stage is no such order.
std::optional<StepFold> FoldOf(const Plan& plan, std::int64_t few);

// What was seen while the step of a fold was emitted: a beat for every micro-batch, when its
// backward leaves the first part.
struct FoldRecord {
  Beats beats;
  // By beat, and at the end: the hosts of all stages since the beat before.
  std::vector<std::vector<HostClock::Span>> hosts;
};

// Whether the hosts issue alike, and stay ahead, in a step with `periods` of `recurrence` more.
bool HostsStay(const FoldRecord& record, const Recurrence& recurrence, std::int64_t periods);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_STEP_FOLD_H_
