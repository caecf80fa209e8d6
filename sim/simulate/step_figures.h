// Step time and peak memory alone, for a search: of a step whose middle repeats, from a few of its
// micro-batches (strategies/step/step_fold.h, sim/engine/recurrence.h), to the picosecond and the
// byte what all of them give.

#ifndef MESHSTEP_SIM_SIMULATE_STEP_FIGURES_H_
#define MESHSTEP_SIM_SIMULATE_STEP_FIGURES_H_

#include <cstdint>

#include "sim/base/status.h"
#include "sim/base/units.h"
#include "strategies/plan/plan.h"
#include "strategies/step/lower_step.h"

namespace meshstep {

struct StepFigures {
  Time time;
  std::int64_t peak_bytes = 0;  // of the unit with the highest
  std::int64_t tasks = 0;       // that were run
  std::int64_t left_out = 0;    // micro-batches
};

// Error: as the step itself. fold: false runs every micro-batch.
StatusOr<StepFigures> FiguresOf(const PreparedStep& step, bool fold = true);

// With the evaluation that comes after it.
StatusOr<StepFigures> FiguresOf(const Scenario& scenario, const LoweringOptions& lowering,
                                bool fold = true);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_SIMULATE_STEP_FIGURES_H_
