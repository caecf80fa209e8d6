// How the gradients of parameters leave: after every micro-batch, in buckets after the last, late,
// and between stages that share parameters.

#ifndef MESHSTEP_STRATEGIES_STEP_GRADIENT_REDUCER_H_
#define MESHSTEP_STRATEGIES_STEP_GRADIENT_REDUCER_H_

#include <string>
#include <vector>

#include "sim/base/status.h"
#include "strategies/step/step_context.h"

namespace meshstep {

class GradientReducer {
 public:
  explicit GradientReducer(StepContext* context);

  // The reduction before, which the first kernel of a backward of `block` waits for
  // (Plan::reductions_in_flight); empty: none.
  UnitTasks HeldBy(int stage, const LoweredBlock& block) const;
  // The gradients of a block of `part` are made when `made` ends. last: of the part's last
  // micro-batch in backward.
  Status Reduce(const StepBuilder::Where& where, int part, bool last, const UnitTasks& made);
  // Without overlap gradients leave when the stage, which holds `parts`, has done all its
  // backwards.
  Status ReduceLate(int stage, const std::vector<int>& parts);
  // Both stages send what they have reduced; each adds what it gets.
  void Share();
  // What the optimizer of the stage waits for.
  const std::vector<UnitTasks>& Ready(int stage) const;

 private:
  struct Stage {
    std::vector<UnitTasks> open;     // gradients that wait for their bucket
    std::vector<UnitTasks> reduced;  // ends of what leaves in every micro-batch, in order
    std::vector<UnitTasks> ready;
  };
  // What a framework does to the gradients of a block before they leave, when they are all there.
  UnitTasks PassOver(const StepBuilder::Where& where, const LoweredBlock& block,
                     const UnitTasks& after);
  Status EmitBucket(const StepBuilder::Where& where, const GradientBucket& bucket,
                    const std::vector<UnitTasks>& after);

  StepContext& context_;
  const std::string *const reduce_name_, *const copy_name_, *const buffer_name_;
  std::vector<Stage> stages_;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_GRADIENT_REDUCER_H_
