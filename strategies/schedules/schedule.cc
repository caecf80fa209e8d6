#include "strategies/schedules/schedule.h"

#include <array>

#include "strategies/schedules/gpipe.h"
#include "strategies/schedules/interleaved.h"
#include "strategies/schedules/one_f_one_b.h"

namespace meshstep {

std::span<const Schedule* const> Schedules() {
  static const OneFOneB one_f_one_b;
  static const GPipe gpipe;
  static const Interleaved interleaved;
  static const std::array<const Schedule*, 3> all = {&one_f_one_b, &gpipe, &interleaved};
  return all;
}

const Schedule* FindSchedule(std::string_view name) {
  for (const Schedule* schedule : Schedules()) {
    if (schedule->name() == name) return schedule;
  }
  return nullptr;
}

}  // namespace meshstep
