// The part of a step that a trace holds: some stages, some layers, some time. A step of 64 stages is
// a gigabyte of JSON, of which a viewer shows a millisecond at a time.
//
//   ASSIGN_OR_RETURN(const TraceWindow window, ParseTraceWindow({.stages = "0,60..63",
//                                                                .layers = "10..12",
//                                                                .time = "1.2s..1.25s"}));

#ifndef MESHSTEP_SIM_REPORT_TRACE_TRACE_WINDOW_H_
#define MESHSTEP_SIM_REPORT_TRACE_TRACE_WINDOW_H_

#include <cstdint>
#include <string>
#include <vector>

#include "sim/base/status.h"
#include "sim/base/units.h"
#include "sim/engine/engine.h"
#include "strategies/step/step_graph.h"

namespace meshstep {

// As options give it; empty: all.
struct TraceWindowText {
  std::string stages;  // 0-based, "0,60..63"
  std::string layers;  // 0-based, "10..12"
  std::string time;    // from..to, each with s, ms or us: "1.2s..1.25s"
};

// Both ends belong to it.
struct IndexRange {
  std::int64_t first, last;
};

struct TraceWindow {
  std::vector<IndexRange> stages, layers;  // none: all; with layers, only what is of one of them
  Time begin, end = Time::Max();

  bool HasStage(int stage) const;
  // Whether the task takes place in the window, on whichever stage.
  bool HasTask(const TaskInfo& info, Time start, Time finish) const;
};

// Error: one line per option that is no list of numbers and ranges, or no range of time.
StatusOr<TraceWindow> ParseTraceWindow(const TraceWindowText& text);

// Error: the window holds nothing of the step; the message says what there is.
Status CheckTraceWindow(const TraceWindow& window, const StepGraph& step, const Run& run);

// About how large the file will be, within half of it: slices times what one takes with its share of
// the counters, measured on the examples.
std::int64_t TraceBytes(const TraceWindow& window, const StepGraph& step, const Run& run,
                        const std::string& path);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_TRACE_TRACE_WINDOW_H_
