// Charts over time: what units do, and their memory.

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sim/base/format.h"
#include "sim/base/index.h"
#include "sim/report/html/html_charts.h"
#include "sim/report/html/svg.h"
#include "sim/simulate/memory.h"
#include "sim/simulate/names.h"

namespace meshstep {
namespace {

constexpr std::size_t kMaxLanes = 64;
constexpr double kLeast = 0.6;    // pixels: what is narrower joins its neighbour
constexpr double kPointed = 6;    // pixels: what is wider says what it is
constexpr double kManyUnits = 6;  // with more the least grows

struct Segment {
  Time begin, end;
  Pass pass;
  std::int32_t micro_batch;
  bool transfer;
};

struct Lane {
  std::string label;
  bool thin = false;
  std::vector<Segment> segments;
};

// Tasks of the streams in order, those of one pass and micro-batch that follow each other joined.
std::vector<Segment> Segments(const StepGraph& step, const Run& run,
                              const std::vector<bool>& streams, Time least) {
  std::vector<Segment> all;
  for (TaskId t = 0; t < step.graph.tasks(); ++t) {
    for (const StreamId s : step.graph.members(t)) {
      if (!streams[Index(s)] || run.start[Index(t)] == run.end[Index(t)]) continue;
      const TaskInfo& info = step.tasks[Index(t)];
      all.push_back({run.start[Index(t)], run.end[Index(t)], info.pass, info.micro_batch,
                     info.transfer >= 0});
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Segment& a, const Segment& b) { return a.begin < b.begin; });
  std::vector<Segment> joined;
  for (const Segment& s : all) {
    if (!joined.empty()) {
      Segment& last = joined.back();
      const bool same =
          last.transfer ? s.transfer : last.pass == s.pass && last.micro_batch == s.micro_batch;
      const bool tiny = last.end - last.begin < least;
      if (s.begin - last.end < least && (same || tiny)) {
        if (tiny && s.end - s.begin > last.end - last.begin) last.pass = s.pass;
        last.end = std::max(last.end, s.end);
        continue;
      }
    }
    joined.push_back(s);
  }
  return joined;
}

// Whether the devices of its stage are not all alike.
bool SharesStage(const StepGraph& step, const UnitInfo& unit) {
  return std::ranges::count(step.units, unit.stage, &UnitInfo::stage) > 1;
}

std::vector<Lane> Lanes(const StepGraph& step, const Run& run, Time least) {
  std::vector<Lane> lanes;
  const auto only = [&](auto matches) {
    std::vector<bool> streams(Index(step.graph.streams()), false);
    for (StreamId s = 0; s < step.graph.streams(); ++s) streams[Index(s)] = matches(s);
    return Segments(step, run, streams, least);
  };
  if (step.units.size() == 1) {
    for (StreamId s = 0; s < step.graph.streams() && lanes.size() < kMaxLanes; ++s) {
      const bool compute = s == step.compute_stream[0];
      lanes.push_back({step.streams[Index(s)].name, !compute,
                       only([s](StreamId other) { return other == s; })});
    }
    return lanes;
  }
  for (std::size_t u = 0; u < step.units.size() && lanes.size() < kMaxLanes; ++u) {
    const StreamId compute = step.compute_stream[u];
    const UnitInfo& unit = step.units[u];
    lanes.push_back({SharesStage(step, unit) ? absl::StrCat("device ", unit.device)
                                             : absl::StrCat("stage ", unit.stage),
                     false, only([compute](StreamId s) { return s == compute; })});
    lanes.push_back({"", true, only([&](StreamId s) {
                       return s != compute && step.streams[Index(s)].unit == static_cast<int>(u);
                     })});
  }
  return lanes;
}

struct TimeAxis {
  double left, right;
  double seconds;
  double At(double s) const { return left + (right - left) * (seconds > 0 ? s / seconds : 0); }
  double At(Time t) const { return At(t.seconds()); }

  void Draw(double top, double bottom, Svg* svg) const {
    std::vector<double> ticks = Ticks(seconds);
    const std::size_t every = right - left < 400 && ticks.size() > 4 ? 2 : 1;
    for (std::size_t i = 0; i < ticks.size(); i += every) {
      svg->Line(At(ticks[i]), top, At(ticks[i]), bottom, "grid");
      svg->Text(At(ticks[i]), bottom + 15, FormatSeconds(ticks[i]),
                i == 0                      ? "start"
                : At(ticks[i]) > right - 24 ? "end"
                                            : "middle",
                "s");
    }
  }
};

// Bars of one kind in a row, as one line as thick as they are high. In tenths of pixels, each bar
// from the end of the one before, which keeps a page of many micro-batches small.
struct Bars {
  std::string path;
  long at = 0;

  void Add(double x, double y, double w) {
    const long from = std::lround(10 * x), length = std::max(3L, std::lround(10 * w));
    if (path.empty()) {
      path = absl::StrCat("M", SvgNumber(0.1 * static_cast<double>(from)), " ", SvgNumber(y));
    } else {
      absl::StrAppend(&path, "m", SvgNumber(0.1 * static_cast<double>(from - at)), " 0");
    }
    absl::StrAppend(&path, "h", SvgNumber(0.1 * static_cast<double>(length)));
    at = from + length;
  }
};

// What is wide enough to be pointed at is a rectangle with a tip.
void DrawLane(const Lane& lane, const TimeAxis& axis, double y, double height, Svg* svg) {
  svg->Rect(axis.left, y, axis.right - axis.left, height, "idle");
  std::map<std::string, Bars> bars;
  for (const Segment& s : lane.segments) {
    const double x = axis.At(s.begin), w = std::max(axis.At(s.end) - x, 0.3);
    const std::string style = s.transfer ? "communication" : std::string(NameOf(s.pass));
    if (s.transfer || w < kPointed) {
      bars[style].Add(x, y + height / 2, w);
      continue;
    }
    const std::string which =
        s.pass == Pass::kUpdate ? "" : absl::StrCat(", micro-batch ", s.micro_batch);
    svg->Rect(x, y, w, height, style,
              absl::StrCat(style, which, "\n", FormatSeconds(s.begin.seconds()), " + ",
                           FormatSeconds((s.end - s.begin).seconds())));
    if (w > 16 && s.pass != Pass::kUpdate && height >= 16) {
      svg->Text(x + w / 2, y + height / 2 + 4, absl::StrCat(s.micro_batch), "middle", "in");
    }
  }
  for (const auto& [style, of_style] : bars) {
    svg->Path(of_style.path, absl::StrCat("run ", style, " h", SvgNumber(height)));
  }
}

// Stacked areas, one pixel per point of `column`, from `left` on.
template <class HeightOf>
void DrawBuckets(const std::vector<MemoryPoint>& column, double left, HeightOf y_of, Svg* svg) {
  std::vector<double> below(column.size(), 0);
  for (std::size_t b = 0; b < kMemoryBuckets; ++b) {
    std::vector<double> above = below;
    double most = 0;
    for (std::size_t c = 0; c < column.size(); ++c) {
      const auto bytes = static_cast<double>(column[c].bytes[b]);
      above[c] += bytes;
      most = std::max(most, bytes);
    }
    if (most == 0) continue;
    // Along the upper edge to the right and back along the lower one.
    std::string path = absl::StrCat("M", SvgNumber(left), " ", SvgNumber(y_of(above.front())));
    const auto edge = [&](const std::vector<double>& level, std::size_t c, std::size_t to) {
      if (c > 0 && c + 1 < level.size() && level[c - 1] == level[c] && level[c + 1] == level[c]) {
        return;
      }
      absl::StrAppend(&path, "V", SvgNumber(y_of(level[c])), "H",
                      SvgNumber(left + static_cast<double>(to)));
    };
    for (std::size_t c = 0; c < column.size(); ++c) edge(above, c, c + 1);
    for (std::size_t c = column.size(); c-- > 0;) edge(below, c, c);
    const std::string name(NameOf(static_cast<MemoryBucket>(b)));
    svg->Path(path + "Z", name, name + ": at most " + FormatBytes(most));
    below = above;
  }
}

}  // namespace

std::string TimelineChart(const StepGraph& step, const Run& run, double width) {
  const bool one = step.units.size() == 1;
  const bool narrow = width < 600;
  const double label = one && !narrow ? 190 : narrow ? (one ? 0 : 60) : 68;
  const TimeAxis axis{label, width - 4, run.makespan.seconds()};
  const double pixels = kLeast * std::max(1.0, static_cast<double>(step.units.size()) / kManyUnits);
  const auto least = Time(static_cast<std::int64_t>(static_cast<double>(run.makespan.ps()) *
                                                    pixels / (axis.right - axis.left)));
  const std::vector<Lane> lanes = Lanes(step, run, least);
  const double above = one && narrow ? 16 : 0;  // labels stand over the lanes
  std::vector<double> heights;
  double height = 6;
  for (const Lane& lane : lanes) {
    heights.push_back(lane.thin ? (one ? 14 : 5) : 24);
    height += heights.back() + above + (lane.thin && !one ? 8 : 3);
  }
  Svg svg(width, height + 22, "Timeline of the step");
  axis.Draw(0, height, &svg);
  double y = 4;
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    y += above;
    if (above > 0) {
      svg.Text(2, y - 4, lanes[i].label, "start", "s");
    } else {
      svg.Text(axis.left - 8, y + heights[i] / 2 + 4, lanes[i].label, "end", "s");
    }
    DrawLane(lanes[i], axis, y, heights[i], &svg);
    y += heights[i] + (lanes[i].thin && !one ? 8 : 3);
  }
  return svg.Take();
}

std::string MemoryChart(const StepGraph& step, const Run& run, std::int32_t unit, double capacity,
                        const std::string& peak, double width) {
  const std::vector<MemoryPoint> curve = MemoryCurve(step, run, unit);
  const auto highest = std::max_element(
      curve.begin(), curve.end(),
      [](const MemoryPoint& a, const MemoryPoint& b) { return a.total() < b.total(); });
  const double high = 1.12 * std::max(static_cast<double>(highest->total()), capacity);
  const double top = 8, bottom = width < 600 ? 220 : 280;
  const TimeAxis axis{66, width - 4, run.makespan.seconds()};
  const auto y_of = [&](double bytes) { return bottom - (bottom - top) * bytes / high; };
  Svg svg(width, bottom + 22, "Memory over the step");
  const double unit_bytes = high > 4e9 ? 1 << 30 : 1 << 20;
  for (const double tick : Ticks(high / unit_bytes)) {
    svg.Line(axis.left, y_of(tick * unit_bytes), axis.right, y_of(tick * unit_bytes), "grid");
    svg.Text(axis.left - 6, y_of(tick * unit_bytes) + 4, FormatBytes(tick * unit_bytes), "end",
             "s");
  }
  axis.Draw(bottom, bottom, &svg);
  // Per pixel the point with the most, so that the peak is never lost.
  const auto columns = Index(static_cast<std::int64_t>(axis.right - axis.left));
  std::vector<MemoryPoint> column(columns, curve.front());
  std::size_t i = 0;
  for (std::size_t c = 0; c < columns; ++c) {
    const double until = axis.seconds * static_cast<double>(c + 1) / static_cast<double>(columns);
    column[c] = curve[i];
    while (i + 1 < curve.size() && curve[i + 1].time.seconds() < until) {
      ++i;
      if (curve[i].total() > column[c].total()) column[c] = curve[i];
    }
  }
  DrawBuckets(column, axis.left, y_of, &svg);
  if (capacity > 0) {
    svg.Line(axis.left, y_of(capacity), axis.right, y_of(capacity), "limit");
    svg.Text(axis.right, y_of(capacity) - 5, "capacity " + FormatBytes(capacity), "end", "m");
  }
  const double x = axis.At(highest->time), y = y_of(static_cast<double>(highest->total()));
  svg.Circle(x, y, 4, "roof", "peak: " + peak);
  const bool left = x > (axis.left + axis.right) / 2;
  svg.Text(x + (left ? -8 : 8), y - 8, "peak " + FormatBytes(static_cast<double>(highest->total())),
           left ? "end" : "start", "m");
  return svg.Take();
}

}  // namespace meshstep
