// When the runs of blocks on each stage end.

#ifndef MESHSTEP_STRATEGIES_STEP_RUN_ENDS_H_
#define MESHSTEP_STRATEGIES_STEP_RUN_ENDS_H_

#include <vector>

#include "strategies/plan/plan.h"
#include "strategies/step/step_builder.h"

namespace meshstep {

// The last kernel of each run, in the order in which a stage runs them. What it returns holds until
// the next Add.
class RunEnds {
 public:
  RunEnds(const StepBuilder& builder, const Plan& plan);

  void Add(int stage, UnitTasks end);
  bool Any(int stage) const;
  // Of the run before; nothing to wait for if there was none.
  const UnitTasks& Last(int stage) const { return Before(stage, 0); }
  // What a transfer waits for that may run Plan::prefetch_layers runs ahead of its use.
  const UnitTasks& Ahead(int stage) const { return Before(stage, prefetch_); }

 private:
  const UnitTasks& Before(int stage, int runs) const;

  const int prefetch_;
  std::vector<UnitTasks> none_;               // per stage
  std::vector<std::vector<UnitTasks>> ends_;  // per stage
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_RUN_ENDS_H_
