#include "sim/report/trace/trace_window.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "sim/base/diagnostics.h"
#include "sim/base/format.h"
#include "sim/base/index.h"
#include "sim/base/number.h"

namespace meshstep {
namespace {

// Bytes of a slice with its part of the counters: means over the examples and a pipeline of 64
// stages, 2026-11.
constexpr double kJsonBytes = 350, kPerfettoBytes = 120;

bool Within(const std::vector<IndexRange>& ranges, std::int64_t value) {
  return ranges.empty() || std::ranges::any_of(ranges, [value](const IndexRange& r) {
           return r.first <= value && value <= r.last;
         });
}

std::optional<std::int64_t> Count(std::string_view text) {
  std::int64_t value = 0;
  if (!absl::SimpleAtoi(std::string(text), &value) || value < 0) return std::nullopt;
  return value;
}

// "1..3" as its two ends, "2" as 2 twice.
std::pair<std::string, std::string> Ends(const std::string& item) {
  const std::size_t dots = item.find("..");
  if (dots == std::string::npos) return {item, item};
  return {item.substr(0, dots), item.substr(dots + 2)};
}

void ParseIndices(const std::string& option, const std::string& text, Diagnostics* problems,
                  std::vector<IndexRange>* out) {
  if (text.empty()) return;
  for (const auto piece : absl::StrSplit(text, ',')) {
    const auto [low, high] = Ends(std::string(piece.data(), piece.size()));
    const std::optional<std::int64_t> first = Count(low), last = Count(high);
    if (!first || !last || *first > *last) {
      problems->Error(option,
                      absl::StrCat("is ", text, ", expected numbers from 0 and ranges: 0,60..63"));
      return;
    }
    out->push_back({*first, *last});
  }
}

std::optional<double> SecondsOf(const std::string& text) {
  constexpr std::array<NumberSuffix, 4> kSuffixes = {
      {{"s", 1}, {"ms", 1e-3}, {"us", 1e-6}, {"ns", 1e-9}}};
  const std::optional<double> seconds = ParseNumber(text, kSuffixes);
  if (!seconds || *seconds < 0 || *seconds > Time::Longest().seconds()) return std::nullopt;
  return seconds;
}

}  // namespace

bool TraceWindow::HasStage(int stage) const { return Within(stages, stage); }

bool TraceWindow::HasTask(const TaskInfo& info, Time start, Time finish) const {
  if (start >= end || finish < begin || (finish == begin && start < begin)) return false;
  if (layers.empty()) return true;
  return info.layer.kind == LayerRef::Kind::kLayer && Within(layers, info.layer.index);
}

StatusOr<TraceWindow> ParseTraceWindow(const TraceWindowText& text) {
  TraceWindow window;
  Diagnostics problems;
  ParseIndices("--trace-stages", text.stages, &problems, &window.stages);
  ParseIndices("--trace-layers", text.layers, &problems, &window.layers);
  if (!text.time.empty()) {
    const auto [low, high] = Ends(text.time);
    const std::optional<double> from = SecondsOf(low), to = SecondsOf(high);
    if (!from || !to || *from >= *to) {
      problems.Error("--trace-time", absl::StrCat("is ", text.time,
                                                  ", expected an earlier and a later time: "
                                                  "1.2s..1.25s"));
    } else {
      window.begin = Time::RoundUp(Seconds(*from));
      window.end = Time::RoundUp(Seconds(*to));
    }
  }
  RETURN_IF_ERROR(problems.status());
  return window;
}

Status CheckTraceWindow(const TraceWindow& window, const StepGraph& step, const Run& run) {
  int stages = 0, layers = 0;
  for (const UnitInfo& unit : step.units) stages = std::max(stages, unit.stage + 1);
  for (const TaskInfo& info : step.tasks) {
    if (info.layer.kind == LayerRef::Kind::kLayer) layers = std::max(layers, info.layer.index + 1);
  }
  const auto none = [](const std::vector<IndexRange>& ranges, int count) {
    return !ranges.empty() &&
           std::ranges::all_of(ranges, [count](const IndexRange& r) { return r.first >= count; });
  };
  if (none(window.stages, stages)) {
    return InvalidInput(
        absl::StrCat("--trace-stages: the step has no such stage, expected 0 to ", stages - 1));
  }
  if (none(window.layers, layers)) {
    return InvalidInput(
        absl::StrCat("--trace-layers: the step has no such layer, expected 0 to ", layers - 1));
  }
  if (window.begin >= run.makespan) {
    return InvalidInput(absl::StrCat("--trace-time: begins after the step, which takes ",
                                     FormatSeconds(run.makespan.seconds())));
  }
  return absl::OkStatus();
}

std::int64_t TraceBytes(const TraceWindow& window, const StepGraph& step, const Run& run,
                        const std::string& path) {
  std::int64_t slices = 0;
  for (TaskId t = 0; t < step.graph.tasks(); ++t) {
    if (!window.HasTask(step.tasks[Index(t)], run.start[Index(t)], run.end[Index(t)])) continue;
    for (const StreamId s : step.graph.members(t)) {
      slices += window.HasStage(step.units[Index(step.streams[Index(s)].unit)].stage);
    }
  }
  return static_cast<std::int64_t>(static_cast<double>(slices) *
                                   (absl::EndsWith(path, ".json") ? kJsonBytes : kPerfettoBytes));
}

}  // namespace meshstep
