// How often each stage of a pipeline runs each of its parts: all that a bound of time asks of a
// schedule. It does not depend on what the parts take, so that plans that share a schedule share it.
//
// Cost: O(actions) for a shape that is new, a look-up for others.

#ifndef MESHSTEP_STRATEGIES_BOUNDS_PLAN_ACTION_COUNTS_H_
#define MESHSTEP_STRATEGIES_BOUNDS_PLAN_ACTION_COUNTS_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <vector>

#include "strategies/plan/schedules/schedule.h"

namespace meshstep {

// Of one chunk and kind: by themselves, and in a pair with another action.
struct Runs {
  std::int64_t alone = 0, paired = 0;
};
using ChunkRuns = std::array<Runs, 4>;  // by Action::Kind

struct StageRuns {
  std::optional<Action> first;     // unset: the stage runs nothing
  std::vector<ChunkRuns> all;      // by chunk
  std::optional<Action> last;      // backward of an input; unset: none, or in a pair
  std::vector<ChunkRuns> to_last;  // before `last`
};

// By stage.
std::vector<StageRuns> CountActions(const Schedule& schedule, const Pipeline& pipeline);

// Keeps those of published schedules.
class ActionCounts {
 public:
  std::shared_ptr<const std::vector<StageRuns>> Of(const Schedule& schedule,
                                                   const Pipeline& pipeline);

 private:
  using Key = std::tuple<const Schedule*, int, int, std::int64_t, bool>;
  std::map<Key, std::shared_ptr<const std::vector<StageRuns>>> kept_;
  int stages_ = 0;  // in kept_
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_BOUNDS_PLAN_ACTION_COUNTS_H_
