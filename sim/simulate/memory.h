// Memory of the units of a step over time, and its peak.
//
// The curve is piecewise constant: what is held all step plus what tasks take and give back. At one
// instant everything given back leaves before anything taken arrives. Each amount is rounded to
// whole bytes once, so what is taken and given back cancels and buckets sum to the total exactly.

#ifndef MESHSTEP_SIM_SIMULATE_MEMORY_H_
#define MESHSTEP_SIM_SIMULATE_MEMORY_H_

#include <array>
#include <cstdint>
#include <vector>

#include "sim/base/units.h"
#include "sim/engine/engine.h"
#include "strategies/plan/plan.h"
#include "strategies/step/step_graph.h"

namespace meshstep {

using MemoryBuckets = std::array<std::int64_t, kMemoryBuckets>;  // bytes, by MemoryBucket

// From `time` on, until the next point.
struct MemoryPoint {
  Time time;
  MemoryBuckets bytes{};
  std::int64_t total() const;
};

// The highest point of one unit, the earliest among equals.
struct MemoryPeak {
  std::int32_t unit = 0;
  MemoryPoint point;
  TaskId task = -1;  // kernel that runs then, else the task that took the memory; -1: none
};

// Points of one unit, in order of time, the first at 0.
std::vector<MemoryPoint> MemoryCurve(const StepGraph& step, const Run& run, std::int32_t unit);

// One per unit. Cost: O(tasks + events · log(events)).
std::vector<MemoryPeak> MemoryPeaks(const StepGraph& step, const Run& run);

// What allocator, communication library and driver take beside a peak of `peak_bytes`.
std::int64_t ReserveBytes(const MemoryReserve& reserve, std::int64_t peak_bytes);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_SIMULATE_MEMORY_H_
