// What a step takes of the memory of its devices: some of it all the time, the rest from one task
// to another.

#ifndef MESHSTEP_STRATEGIES_STEP_STEP_MEMORY_H_
#define MESHSTEP_STRATEGIES_STEP_STEP_MEMORY_H_

#include <array>

#include "strategies/step/step_builder.h"
#include "strategies/step/step_graph.h"

namespace meshstep {

// Bytes are of one device of the stage; `tasks` are per unit of it, and where there is none, or the
// bytes are 0, nothing happens.
class StepMemory {
 public:
  StepMemory(const StepBuilder& builder, StepGraph* out);

  void HoldAllStep(int stage, const std::array<double, kMemoryBuckets>& bytes);
  // Takes bytes, or gives them back if negative, when the tasks start.
  void AtStart(int stage, const UnitTasks& tasks, MemoryBucket bucket, double bytes);
  // When they end.
  void AtEnd(int stage, const UnitTasks& tasks, MemoryBucket bucket, double bytes);

 private:
  void Record(int stage, const UnitTasks& tasks, bool at_end, MemoryBucket bucket, double bytes);

  const StepBuilder& builder_;
  StepGraph& out_;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_STEP_MEMORY_H_
