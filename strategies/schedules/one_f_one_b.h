// 1F1B: after warm-up each stage alternates one forward and one backward.

#ifndef MESHSTEP_STRATEGIES_SCHEDULES_ONE_F_ONE_B_H_
#define MESHSTEP_STRATEGIES_SCHEDULES_ONE_F_ONE_B_H_

#include "strategies/schedules/schedule.h"

namespace meshstep {

class OneFOneB : public Schedule {
 public:
  std::string_view name() const override { return "1f1b"; }
  Status Check(int stages, int virtual_stages, std::int64_t micro_batches) const override;
  std::vector<Action> Actions(int stage, int stages, int virtual_stages,
                              std::int64_t micro_batches) const override;
  double BubbleFraction(int stages, int virtual_stages, std::int64_t micro_batches) const override;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_SCHEDULES_ONE_F_ONE_B_H_
