// Charts without a time axis per unit: breakdown, roofline, links, differences.

#include "sim/report/html/html_charts.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sim/base/format.h"
#include "sim/base/index.h"
#include "sim/report/html/html_parts.h"
#include "sim/report/html/html_use.h"
#include "sim/report/html/svg.h"
#include "sim/report/html/timeline.h"
#include "sim/simulate/names.h"

namespace meshstep {
namespace {

// Logarithmic scale from 10^low to 10^high.
struct LogScale {
  double from, to;  // pixels
  double low, high;
  double At(double value) const {
    const double x = std::clamp(std::log10(std::max(value, 1e-300)), low, high);
    return from + (to - from) * (x - low) / (high - low);
  }
};

// The mean of `points` over each of `columns` equal parts of the step.
std::vector<double> SamplesOf(std::span<const LinkPoint> points, Time makespan, int columns) {
  std::vector<double> mean(Index(columns), 0);
  const double span = makespan.seconds() / columns;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const double end = i + 1 < points.size() ? points[i + 1].time.seconds() : makespan.seconds();
    double begin = points[i].time.seconds();
    while (begin < end && points[i].fraction > 0) {
      const int c = std::min(columns - 1, static_cast<int>(begin / span));
      const double until = c == columns - 1 ? end : std::min(end, (c + 1) * span);
      mean[Index(c)] += points[i].fraction * (until - begin) / span;
      if (until <= begin) break;
      begin = until;
    }
  }
  return mean;
}

}  // namespace

std::string BreakdownChart(std::span<const BarOfParts> bars, double width) {
  constexpr double kBar = 26, kRow = 48;
  double longest = 0;
  for (const BarOfParts& bar : bars) {
    double sum = 0;
    for (const BarPart& part : bar.parts) sum += part.seconds;
    longest = std::max(longest, sum);
  }
  const double height = kRow * static_cast<double>(bars.size());
  Svg svg(width, height + 20, "Where the time of the step goes");
  const double scale = longest > 0 ? (width - 20) / longest : 0;
  for (const double tick : Ticks(longest)) {
    svg.Line(2 + tick * scale, 0, 2 + tick * scale, height, "grid");
    svg.Text(2 + tick * scale, height + 15, FormatSeconds(tick),
             tick == 0                       ? "start"
             : 2 + tick * scale > width - 24 ? "end"
                                             : "middle",
             "s");
  }
  double y = 0;
  for (const BarOfParts& bar : bars) {
    double x = 2, sum = 0;
    for (const BarPart& part : bar.parts) sum += part.seconds;
    svg.Text(2, y + 14, absl::StrCat(bar.label, bar.label.empty() ? "" : ": ", FormatSeconds(sum)),
             "start", "m");
    for (const BarPart& part : bar.parts) {
      const double w = part.seconds * scale;
      const std::string share = FormatPercent(sum > 0 ? part.seconds / sum : 0);
      if (w > 0) {
        svg.Rect(x, y + 19, w, kBar, part.style,
                 part.name + ": " + FormatSeconds(part.seconds) + ", " + share);
      }
      if (w > 46) svg.Text(x + w / 2, y + 19 + kBar / 2 + 4, share, "middle", "in " + part.style);
      x += w;
    }
    y += kRow;
  }
  return svg.Take();
}

BarOfParts PartsOf(const std::string& label, const v1::Breakdown& b) {
  return {label,
          {{"compute", "compute", b.compute_s()},
           {"exposed", "exposed communication", b.communication_exposed_s()},
           {"bubble", "pipeline bubble", b.bubble_s()},
           {"optimizer", "optimizer", b.optimizer_s()},
           {"other", "other", b.other_s()}}};
}

std::string BreakdownKey() {
  return Key({{"compute", "compute"},
              {"exposed", "exposed communication"},
              {"bubble", "pipeline bubble"},
              {"optimizer", "optimizer"},
              {"other", "other"}});
}

std::string StagesChart(std::span<const BarOfParts> bars, double width) {
  const bool many = bars.size() > 16;
  const double row = many ? 9 : 18, bar = many ? 7 : 14, left = 60;
  double longest = 0;
  for (const BarOfParts& b : bars) {
    double sum = 0;
    for (const BarPart& part : b.parts) sum += part.seconds;
    longest = std::max(longest, sum);
  }
  Svg svg(width, row * static_cast<double>(bars.size()) + 2, "Where the time of each stage goes");
  const double scale = longest > 0 ? (width - left - 4) / longest : 0;
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const double y = row * static_cast<double>(i) + 1;
    double x = left;
    if (!many || i % 4 == 0) svg.Text(left - 6, y + bar / 2 + 4, bars[i].label, "end", "s");
    for (const BarPart& part : bars[i].parts) {
      if (part.seconds <= 0) continue;
      svg.Rect(x, y, part.seconds * scale, bar, part.style,
               absl::StrCat(bars[i].label, "\n", part.name, ": ", FormatSeconds(part.seconds)));
      x += part.seconds * scale;
    }
  }
  return svg.Take();
}

std::vector<KernelSum> SumKernels(const StepGraph& step, const Run& run, std::int32_t unit) {
  const StreamId stream = step.compute_stream[Index(unit)];
  std::map<std::pair<std::string, Pass>, KernelSum> sums;
  for (TaskId t = 0; t < step.graph.tasks(); ++t) {
    if (step.graph.members(t).empty() || step.graph.members(t).front() != stream) continue;
    const TaskInfo& info = step.tasks[Index(t)];
    KernelSum& sum = sums[{*info.name, info.pass}];
    sum.name = *info.name;
    sum.pass = info.pass;
    ++sum.count;
    sum.seconds += (run.end[Index(t)] - run.start[Index(t)]).seconds();
    sum.flops += info.flops.value();
    sum.bytes += info.hbm_bytes.value();
  }
  std::vector<KernelSum> result;
  for (auto& [key, sum] : sums) result.push_back(std::move(sum));
  std::stable_sort(result.begin(), result.end(),
                   [](const KernelSum& a, const KernelSum& b) { return a.seconds > b.seconds; });
  return result;
}

std::string RooflineChart(std::span<const KernelSum> kernels, FlopsPerSecond peak,
                          BytesPerSecond bandwidth, double width) {
  const double ridge = peak.value() / bandwidth.value();
  double low = std::log10(ridge) - 1.5, high = std::log10(ridge) + 1.2, all = 0;
  double slowest = peak.value();
  for (const KernelSum& k : kernels) {
    all += k.seconds;
    if (k.flops <= 0 || k.bytes <= 0 || k.seconds <= 0) continue;
    low = std::min(low, std::log10(k.flops / k.bytes) - 0.3);
    high = std::max(high, std::log10(k.flops / k.bytes) + 0.3);
    slowest = std::min(slowest, k.flops / k.seconds);
  }
  const double bottom = width < 600 ? 250 : 330, left = 94;
  const LogScale x{left, width - 8, low, high};
  const LogScale y{bottom, 16, std::floor(std::log10(slowest / 2)), std::log10(peak.value()) + 0.2};
  Svg svg(width, bottom + 40, "Roofline of the kernels");
  for (double e = std::ceil(low); e <= high; ++e) {
    svg.Line(x.At(std::pow(10, e)), 16, x.At(std::pow(10, e)), bottom, "grid");
    svg.Text(x.At(std::pow(10, e)), bottom + 15, FormatNumber(std::pow(10, e)), "middle", "s");
  }
  for (double e = std::ceil(y.low); e <= y.high; ++e) {
    svg.Line(left, y.At(std::pow(10, e)), width - 8, y.At(std::pow(10, e)), "grid");
    svg.Text(left - 6, y.At(std::pow(10, e)) + 4, FormatFlopRate(std::pow(10, e)), "end", "s");
  }
  svg.Text((left + width) / 2, bottom + 34, "FLOPs per byte of HBM", "middle", "s");
  const double start = std::max(std::pow(10, low), std::pow(10, y.low) / bandwidth.value());
  svg.Path(absl::StrCat("M", SvgNumber(x.At(start)), " ",
                        SvgNumber(y.At(start * bandwidth.value())), "L", SvgNumber(x.At(ridge)),
                        " ", SvgNumber(y.At(peak.value())), "H", SvgNumber(width - 8)),
           "roof");
  svg.Text(width - 10, y.At(peak.value()) - 6, FormatFlopRate(peak.value()) + " peak", "end", "m");
  for (const KernelSum& k : kernels) {
    if (k.flops <= 0 || k.bytes <= 0 || k.seconds <= 0) continue;
    const double r = std::max(2.5, 26 * std::sqrt(k.seconds / all));
    svg.Circle(
        x.At(k.flops / k.bytes), y.At(k.flops / k.seconds), r, std::string(NameOf(k.pass)) + " dot",
        absl::StrCat(k.name, " (", std::string(NameOf(k.pass)), ")\n",
                     FormatFlopRate(k.flops / k.seconds), ", ", FormatNumber(k.flops / k.bytes),
                     " FLOPs/byte\n", FormatSeconds(k.seconds), " in ", FormatCount(k.count)));
  }
  return svg.Take();
}

std::string LinkChart(const StepGraph& step, const Run& run,
                      std::span<const std::vector<LinkPoint>> usage, std::span<const int> links,
                      double width) {
  constexpr double kRow = 34, kHeat = 14;
  const int columns = width < 600 ? 60 : 150;
  const double height = kRow * static_cast<double>(links.size());
  Svg svg(width, height + 18, "Utilisation of links over the step");
  const double cell = (width - 4) / columns;
  double y = 0;
  for (const int link : links) {
    const std::vector<LinkPoint>& points = usage[Index(link)];
    const double mean = MeanUsage(points, run.makespan);
    std::string name = step.links[Index(link)].name;
    if (width < 600 && name.size() > 34) name = name.substr(0, 31) + "...";
    svg.Text(2, y + 12, name, "start", "s");
    svg.Text(width - 2, y + 12, FormatPercent(mean) + " busy", "end", "m");
    const std::vector<double> busy =
        Smoothed(SamplesOf(points, run.makespan, columns * kSamples), columns);
    svg.Rect(2, y + 16, width - 4, kHeat, "idle");
    // Columns of one colour are one rectangle with their mean as its tip.
    for (int c = 0, end = 0; c < columns; c = end) {
      const std::string style = UseStyle(std::min(1.0, busy[Index(c)]));
      double sum = 0;
      for (end = c; end < columns && UseStyle(std::min(1.0, busy[Index(end)])) == style; ++end) {
        sum += busy[Index(end)];
      }
      if (style == "u0") continue;
      svg.Rect(2 + c * cell, y + 16, (end - c) * cell, kHeat, style + " cell",
               FormatPercent(sum / (end - c)) + " busy");
    }
    y += kRow;
  }
  svg.Text(2, height + 12, "0 s", "start", "s");
  svg.Text(width - 2, height + 12, FormatSeconds(run.makespan.seconds()), "end", "s");
  return svg.Take();
}

std::string DifferenceChart(std::span<const DifferenceBar> bars, double width) {
  constexpr double kRow = 42, kBar = 18, kLetter = 6.2;
  double faster = 0, slower = 0;
  for (const DifferenceBar& bar : bars) {
    faster = std::max(faster, -bar.seconds);
    slower = std::max(slower, bar.seconds);
  }
  const double height = kRow * static_cast<double>(bars.size()) + 4;
  Svg svg(width, height, "Differences in step time");
  const double all = faster + slower;
  const double scale = all > 0 ? (width - 8) / all : 0;
  const double zero = 4 + faster * scale;
  double y = 0;
  for (const DifferenceBar& bar : bars) {
    // The number has a fifth of a narrow drawing; the bar's tip has the whole label.
    const auto letters = static_cast<std::size_t>((width - 78) / kLetter);
    const std::string label =
        bar.label.size() > letters ? bar.label.substr(0, letters - 3) + "..." : bar.label;
    svg.Text(4, y + 13, label, "start", "s");
    svg.Text(width - 4, y + 13, FormatSecondsDifference(bar.seconds), "end", "m");
    svg.Line(zero, y + 16, zero, y + 20 + kBar, "axis");
    const double w = std::abs(bar.seconds) * scale;
    svg.Rect(bar.seconds < 0 ? zero - w : zero, y + 18, std::max(w, 0.5), kBar,
             bar.seconds < 0 ? "faster" : "slower",
             bar.label + ": " + FormatSecondsDifference(bar.seconds));
    y += kRow;
  }
  return svg.Take();
}

}  // namespace meshstep
