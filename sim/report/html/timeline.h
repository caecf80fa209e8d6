// What the timeline of a page shows, before it is drawn: a lane per stream, the share of each moment
// in which lanes are in use, and the windows of time worth opening on.
//
// A step of many stages and micro-batches has more kernels than a screen has pixels. The whole step
// is therefore drawn as density (share of a column's time in use, between 0 and 1); single kernels
// only within `KernelRanges`, whose number of slices is bounded.

#ifndef MESHSTEP_SIM_REPORT_HTML_TIMELINE_H_
#define MESHSTEP_SIM_REPORT_HTML_TIMELINE_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/base/units.h"
#include "sim/engine/engine.h"
#include "strategies/step/step_graph.h"

namespace meshstep {

struct TimelineLane {
  enum class Kind : std::uint8_t { kCompute, kCommunication, kHost };
  std::int32_t unit;
  Kind kind;
  std::string name;           // of the stream
  std::vector<TaskId> tasks;  // those that take time, in order; they do not overlap
};

// Lanes of `units` that are used at all: of each unit compute, then communication, then its host.
std::vector<TimelineLane> TimelineLanes(const StepGraph& step, const Run& run,
                                        std::span<const std::int32_t> units);

// All units, or, if those are more than `most`, the one of each stage that ends last.
std::vector<std::int32_t> UnitsToDraw(const StepGraph& step, const Run& run, std::size_t most);

// Share in use of each of `columns` equal parts of the step: the union of what the lanes hold,
// averaged over a few columns so that what repeats as often as columns do shows no pattern.
std::vector<double> ShareInUse(const Run& run, std::span<const TimelineLane* const> lanes,
                               int columns);

// Samples of `columns` parts, of which there are as many per part as in each other, averaged over a
// few parts and then within each: what repeats about as often as parts do shows no pattern.
std::vector<double> Smoothed(std::vector<double> samples, int columns);
// Samples that Smoothed() needs of each part.
inline constexpr int kSamples = 8;

struct TimelineWindow {
  std::string name;  // "one micro-batch"
  Time begin, end;
};

// Parts of the steady state of `compute`, what a page opens on first: the middle micro-batch to the
// start of the next (of one layer's kernels if that would be too many to tell apart); on a stage of
// several parts, or where no backward lies between, the middle forward and backward that follow each
// other; the middle layer forward and backward. Empty: the step has no kernel.
std::vector<TimelineWindow> SteadyWindows(const StepGraph& step, const Run& run,
                                          const TimelineLane& compute);

struct TimeRange {
  Time begin, end;
};

// In order and apart: where single kernels are shown; the whole step if its slices are at most
// `most`, else as much around the windows as that allows.
std::vector<TimeRange> KernelRanges(const Run& run, std::span<const TimelineLane> lanes,
                                    std::span<const TimelineWindow> windows, std::int64_t most);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_HTML_TIMELINE_H_
