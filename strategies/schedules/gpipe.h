// GPipe: all forwards, then all backwards.

#ifndef MESHSTEP_STRATEGIES_SCHEDULES_GPIPE_H_
#define MESHSTEP_STRATEGIES_SCHEDULES_GPIPE_H_

#include "strategies/schedules/schedule.h"

namespace meshstep {

class GPipe : public Schedule {
 public:
  std::string_view name() const override { return "gpipe"; }
  Status Check(int stages, int virtual_stages, std::int64_t micro_batches) const override;
  std::vector<Action> Actions(int stage, int stages, int virtual_stages,
                              std::int64_t micro_batches) const override;
  double BubbleFraction(int stages, int virtual_stages, std::int64_t micro_batches) const override;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_SCHEDULES_GPIPE_H_
