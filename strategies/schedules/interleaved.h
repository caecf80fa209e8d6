// Interleaved 1F1B: each stage holds several model chunks.

#ifndef MESHSTEP_STRATEGIES_SCHEDULES_INTERLEAVED_H_
#define MESHSTEP_STRATEGIES_SCHEDULES_INTERLEAVED_H_

#include "strategies/schedules/schedule.h"

namespace meshstep {

class Interleaved : public Schedule {
 public:
  std::string_view name() const override { return "interleaved"; }
  Status Check(int stages, int virtual_stages, std::int64_t micro_batches) const override;
  std::vector<Action> Actions(int stage, int stages, int virtual_stages,
                              std::int64_t micro_batches) const override;
  double BubbleFraction(int stages, int virtual_stages, std::int64_t micro_batches) const override;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_SCHEDULES_INTERLEAVED_H_
