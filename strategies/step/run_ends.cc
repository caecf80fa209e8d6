#include "strategies/step/run_ends.h"

#include <cstddef>
#include <utility>

#include "sim/base/index.h"

namespace meshstep {

RunEnds::RunEnds(const StepBuilder& builder, const Plan& plan)
    : prefetch_(plan.prefetch_layers), ends_(Index(plan.stages)) {
  for (int stage = 0; stage < plan.stages; ++stage) none_.push_back(builder.None(stage));
}

void RunEnds::Add(int stage, UnitTasks end) { ends_[Index(stage)].push_back(std::move(end)); }

bool RunEnds::Any(int stage) const { return !ends_[Index(stage)].empty(); }

const UnitTasks& RunEnds::Before(int stage, int runs) const {
  const std::vector<UnitTasks>& ends = ends_[Index(stage)];
  const std::size_t back = Index(runs) + 1;
  return ends.size() < back ? none_[Index(stage)] : ends[ends.size() - back];
}

}  // namespace meshstep
