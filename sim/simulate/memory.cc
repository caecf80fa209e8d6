#include "sim/simulate/memory.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/base/checked.h"
#include "sim/base/index.h"

namespace meshstep {
namespace {

// Sums of all buckets stay below 2^63, whatever a scenario asks for.
std::int64_t Clamped(std::int64_t bytes) {
  constexpr std::int64_t kMost = std::int64_t{1} << 59;
  return std::clamp(bytes, -kMost, kMost);
}

// A MemoryEvent at its instant, in whole bytes.
struct Change {
  Time time;
  std::int64_t bytes;
  MemoryBucket bucket;
  TaskId task;
};

// Changes per unit, in order of time.
std::vector<std::vector<Change>> Changes(const StepGraph& step, const Run& run) {
  std::vector<std::vector<Change>> changes(step.units.size());
  for (const MemoryEvent& event : step.memory) {
    const Time time = event.at_end ? run.end[Index(event.task)] : run.start[Index(event.task)];
    changes[Index(event.unit)].push_back(
        {time, Clamped(SaturatingRound(event.bytes)), event.bucket, event.task});
  }
  for (std::vector<Change>& of_unit : changes) {
    std::stable_sort(of_unit.begin(), of_unit.end(),
                     [](const Change& a, const Change& b) { return a.time < b.time; });
  }
  return changes;
}

MemoryPoint Start(const StepGraph& step, std::size_t unit) {
  MemoryPoint point;
  for (std::size_t b = 0; b < point.bytes.size(); ++b) {
    point.bytes[b] = Clamped(SaturatingRound(step.resident[unit][b]));
  }
  return point;
}

// Calls visit(point, task) once per instant, when all changes of the instant are in; `task` is the
// one that took most of what was taken then, -1 if nothing was.
template <class Visit>
void Walk(MemoryPoint point, const std::vector<Change>& changes, Visit visit) {
  std::size_t i = 0;
  bool first = true;
  while (first || i < changes.size()) {
    if (!first || (i < changes.size() && changes[i].time == Time(0))) point.time = changes[i].time;
    first = false;
    const Change* largest = nullptr;
    for (; i < changes.size() && changes[i].time == point.time; ++i) {
      std::int64_t& bytes = point.bytes[static_cast<std::size_t>(changes[i].bucket)];
      bytes = Clamped(bytes + changes[i].bytes);
      if (changes[i].bytes > (largest == nullptr ? 0 : largest->bytes)) largest = &changes[i];
    }
    visit(point, largest == nullptr ? TaskId{-1} : largest->task);
  }
}

}  // namespace

std::int64_t MemoryPoint::total() const {
  return std::accumulate(bytes.begin(), bytes.end(), std::int64_t{0});
}

std::vector<MemoryPoint> MemoryCurve(const StepGraph& step, const Run& run, std::int32_t unit) {
  std::vector<MemoryPoint> curve;
  Walk(Start(step, Index(unit)), Changes(step, run)[Index(unit)],
       [&](const MemoryPoint& point, TaskId) { curve.push_back(point); });
  return curve;
}

std::vector<MemoryPeak> MemoryPeaks(const StepGraph& step, const Run& run) {
  const std::vector<std::vector<Change>> changes = Changes(step, run);
  std::vector<MemoryPeak> peaks(step.units.size());
  for (std::size_t u = 0; u < peaks.size(); ++u) {
    peaks[u].unit = static_cast<std::int32_t>(u);
    bool first = true;
    Walk(Start(step, u), changes[u], [&](const MemoryPoint& point, TaskId task) {
      if (!first && point.total() <= peaks[u].point.total()) return;
      first = false;
      peaks[u].point = point;
      peaks[u].task = task;
    });
  }
  std::vector<std::int32_t> unit_of(Index(step.graph.streams()), -1);
  for (std::size_t u = 0; u < peaks.size(); ++u) {
    unit_of[Index(step.compute_stream[u])] = static_cast<std::int32_t>(u);
  }
  for (TaskId t = 0; t < step.graph.tasks(); ++t) {
    for (const StreamId s : step.graph.members(t)) {
      if (unit_of[Index(s)] < 0) continue;
      MemoryPeak& peak = peaks[Index(unit_of[Index(s)])];
      if (run.start[Index(t)] <= peak.point.time && peak.point.time < run.end[Index(t)]) {
        peak.task = t;
      }
    }
  }
  return peaks;
}

std::int64_t ReserveBytes(const MemoryReserve& reserve, std::int64_t peak_bytes) {
  return SaturatingRound(reserve.context_bytes + reserve.communication_bytes +
                         reserve.allocator_fraction * static_cast<double>(peak_bytes));
}

}  // namespace meshstep
