// Pipeline schedules: the order in which each stage runs forwards and backwards of its
// micro-batches.
//
// p stages, v model chunks per stage, m micro-batches. Chunk c of stage s holds the layers of
// virtual stage c·p + s. One schedule is one file; it is found by name.

#ifndef MESHSTEP_STRATEGIES_SCHEDULES_SCHEDULE_H_
#define MESHSTEP_STRATEGIES_SCHEDULES_SCHEDULE_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "sim/base/status.h"

namespace meshstep {

struct Action {
  enum class Kind : std::uint8_t { kForward, kBackward };
  Kind kind;
  std::int32_t chunk;
  std::int64_t micro_batch;
  bool operator==(const Action&) const = default;
};

class Schedule {
 public:
  virtual ~Schedule() = default;
  virtual std::string_view name() const = 0;
  // Error: this schedule cannot run (p, v, m); says what it needs.
  virtual Status Check(int stages, int virtual_stages, std::int64_t micro_batches) const = 0;
  virtual std::vector<Action> Actions(int stage, int stages, int virtual_stages,
                                      std::int64_t micro_batches) const = 0;
  // Idle share of the ideal time with equal stages and free transfers: bubble / (F + B time of m
  // micro-batches), by the schedule's paper.
  virtual double BubbleFraction(int stages, int virtual_stages,
                                std::int64_t micro_batches) const = 0;
};

// By name, sorted.
std::span<const Schedule* const> Schedules();
const Schedule* FindSchedule(std::string_view name);  // nullptr if unknown

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_SCHEDULES_SCHEDULE_H_
