// Memory of a unit over the step.

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "sim/base/format.h"
#include "sim/base/index.h"
#include "sim/report/html/html_charts.h"
#include "sim/report/html/svg.h"
#include "sim/simulate/memory.h"
#include "sim/simulate/names.h"

namespace meshstep {
namespace {

// A capacity of more than this many peaks is told, not drawn.
constexpr double kFar = 2;

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

std::string MemoryChart(const StepGraph& step, const Run& run, std::int32_t unit,
                        MemoryLimits limits, const std::string& peak, double width) {
  const std::vector<MemoryPoint> curve = MemoryCurve(step, run, unit);
  const auto highest = std::max_element(
      curve.begin(), curve.end(),
      [](const MemoryPoint& a, const MemoryPoint& b) { return a.total() < b.total(); });
  const double capacity = limits.capacity;
  const auto most = static_cast<double>(highest->total());
  const bool far = capacity > kFar * most;
  const double high = far ? 1.25 * most : 1.12 * std::max(most, capacity);
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
  if (far) {
    svg.Text(axis.right, top + 6,
             absl::StrCat("↑ capacity ", FormatBytes(capacity), ", ",
                          FormatNumber(capacity / most, 2), " times the peak"),
             "end", "m");
  } else if (capacity > 0) {
    if (limits.reserve > 0) {
      const double y = y_of(capacity);
      svg.Rect(axis.left, y, axis.right - axis.left, y_of(capacity - limits.reserve) - y, "reserve",
               "reserve: " + FormatBytes(limits.reserve) +
                   " for the allocator, the communication library and the driver");
    }
    svg.Line(axis.left, y_of(capacity), axis.right, y_of(capacity), "limit");
    svg.Text(axis.right, y_of(capacity) - 5, "capacity " + FormatBytes(capacity), "end", "m");
  }
  const double x = axis.At(highest->time), y = y_of(most);
  svg.Circle(x, y, 4, "roof", "peak: " + peak);
  const bool left = x > (axis.left + axis.right) / 2;
  // Not across the line of the capacity.
  const bool under = !far && capacity >= most && y - y_of(capacity) < 22;
  svg.Text(x + (left ? -8 : 8), under ? y + 18 : y - 8, "peak " + FormatBytes(most),
           left ? "end" : "start", "m");
  return svg.Take();
}

}  // namespace meshstep
