// Which ops of a block run again in backward.

#ifndef MESHSTEP_STRATEGIES_PASSES_RECOMPUTE_H_
#define MESHSTEP_STRATEGIES_PASSES_RECOMPUTE_H_

#include <cstddef>
#include <set>

#include "strategies/model/model.h"
#include "strategies/plan/plan.h"

namespace meshstep {

// What runs again in backward: ops by index, and the arrays that they make anew.
struct Again {
  std::set<std::size_t> ops;
  std::set<ArrayId> arrays;
};
Again RunsAgain(const Block& block, Recompute policy, const Plan& plan);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PASSES_RECOMPUTE_H_
