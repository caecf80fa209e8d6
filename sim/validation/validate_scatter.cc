#include "sim/validation/validate_scatter.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sim/base/format.h"
#include "sim/report/html/html_parts.h"
#include "sim/report/html/svg.h"
#include "sim/validation/validate_report.h"

namespace meshstep {
namespace {

// Classes of sim/report/html/html_style.cc: the colours of Okabe and Ito, which the colour-blind
// can tell apart; shapes tell sources of one colour apart.
constexpr std::array<const char*, 7> kColours = {"compute dot", "bubble dot",    "optimizer dot",
                                                 "exposed dot", "recompute dot", "forward dot",
                                                 "other dot"};
constexpr int kShapes = 4;
constexpr double kLegendRow = 18;

struct Point {
  double predicted, measured;
  const v1::ValidateRow* row;
};

// "mosaic" of "mosaic-mpt-A100-40GB-bf16".
std::string SourceOf(const std::string& family) { return family.substr(0, family.find('-')); }

std::map<std::string, std::vector<Point>> PointsBySource(const v1::ValidateReport& report) {
  std::map<std::string, std::vector<Point>> points;
  for (const v1::ValidateRow& row : report.rows()) {
    if (!row.has_error()) continue;
    const bool bytes = row.has_predicted_bytes();
    points[SourceOf(row.family())].push_back({bytes ? row.predicted_bytes() : row.predicted_s(),
                                              bytes ? row.measured_bytes() : row.measured_s(),
                                              &row});
  }
  return points;
}

void Mark(double x, double y, int index, const std::string& tip, Svg* svg) {
  const char* style = kColours[static_cast<std::size_t>(index) % kColours.size()];
  const double r = 3.5;
  switch (index / static_cast<int>(kColours.size()) % kShapes) {
    case 0:
      svg->Circle(x, y, r, style, tip);
      return;
    case 1:
      svg->Rect(x - r, y - r, 2 * r, 2 * r, style, tip);
      return;
    case 2:
      svg->Path(absl::StrCat("M", SvgNumber(x), " ", SvgNumber(y - 4.5), "L", SvgNumber(x + 4.5),
                             " ", SvgNumber(y), "L", SvgNumber(x), " ", SvgNumber(y + 4.5), "L",
                             SvgNumber(x - 4.5), " ", SvgNumber(y), "Z"),
                style, tip);
      return;
    default:
      svg->Path(
          absl::StrCat("M", SvgNumber(x), " ", SvgNumber(y - 4.5), "L", SvgNumber(x + 4.5), " ",
                       SvgNumber(y + 3.5), "L", SvgNumber(x - 4.5), " ", SvgNumber(y + 3.5), "Z"),
          style, tip);
  }
}

// A square of whole decades around all points.
struct Frame {
  double left, top, size;
  int low, high;  // powers of ten
  double X(double value) const { return left + At(value); }
  double Y(double value) const { return top + size - At(value); }
  double At(double value) const { return size * (std::log10(value) - low) / (high - low); }
};

Frame FrameOf(const std::map<std::string, std::vector<Point>>& points, double width) {
  double low = 1e300, high = 0;
  for (const auto& [source, list] : points) {
    for (const Point& p : list) {
      low = std::min({low, p.predicted, p.measured});
      high = std::max({high, p.predicted, p.measured});
    }
  }
  if (high <= 0) low = high = 1;
  Frame frame{64, 12, std::min(560.0, width - 100), static_cast<int>(std::floor(std::log10(low))),
              static_cast<int>(std::ceil(std::log10(high)))};
  frame.high = std::max(frame.high, frame.low + 1);
  return frame;
}

void DrawAxes(const Frame& f, bool bytes, Svg* svg) {
  svg->Rect(f.left, f.top, f.size, f.size, "frame");
  for (int power = f.low; power <= f.high; ++power) {
    const double value = std::pow(10.0, power);
    const std::string text = bytes ? FormatTraffic(value) : FormatSeconds(value);
    svg->Line(f.X(value), f.top, f.X(value), f.top + f.size, "grid");
    svg->Line(f.left, f.Y(value), f.left + f.size, f.Y(value), "grid");
    svg->Text(f.X(value), f.top + f.size + 16, text, "middle", "s");
    svg->Text(f.left - 6, f.Y(value) + 4, text, "end", "s");
  }
  const double low = std::pow(10.0, f.low), high = std::pow(10.0, f.high);
  svg->Line(f.X(low), f.Y(low), f.X(high), f.Y(high), "axis");
  for (const double factor : {1.2, 1 / 1.2}) {
    const double start = std::max(low, low / factor), end = std::min(high, high / factor);
    svg->Line(f.X(start), f.Y(start * factor), f.X(end), f.Y(end * factor), "grid");
  }
  svg->Text(f.left + f.size / 2, f.top + f.size + 34, "measured", "middle", "m");
  svg->Text(f.left + 8, f.top + 16, "predicted", "start", "m");
}

}  // namespace

std::string ScatterChart(const v1::ValidateReport& report, double width) {
  const std::map<std::string, std::vector<Point>> points = PointsBySource(report);
  const bool bytes = report.rows_size() > 0 && report.rows(0).has_measured_bytes();
  const Frame frame = FrameOf(points, width);
  const bool beside = width - frame.left - frame.size > 150;
  const double legend_x = beside ? frame.left + frame.size + 20 : frame.left;
  double legend_y = beside ? frame.top + 8 : frame.top + frame.size + 56;
  const double legend_end = legend_y + kLegendRow * static_cast<double>(points.size());
  Svg svg(width, std::max(frame.top + frame.size + 44, legend_end), "Predicted against measured");
  DrawAxes(frame, bytes, &svg);
  int index = 0;
  for (const auto& [source, list] : points) {
    for (const Point& p : list) {
      const std::string tip = absl::StrCat(p.row->id(), "\n", p.row->error() < 0 ? "" : "+",
                                           FormatPercent(p.row->error()));
      Mark(frame.X(p.measured), frame.Y(p.predicted), index, tip, &svg);
    }
    Mark(legend_x, legend_y, index, "", &svg);
    svg.Text(legend_x + 12, legend_y + 4, absl::StrCat(source, " (", list.size(), ")"));
    legend_y += kLegendRow;
    ++index;
  }
  return svg.Take();
}

std::string ScatterSvg(const v1::ValidateReport& report) {
  constexpr char kStyle[] =
      "<style>\n"
      "svg{background:#fff;font-family:system-ui,\"Segoe UI\",Roboto,Arial,sans-serif}\n"
      "text{fill:#1a1a1a;font-size:12px}text.s{fill:#5b6066}text.m{font-weight:600}\n"
      ".axis{stroke:#5b6066}.grid{stroke:#d5d9de}.frame{fill:none;stroke:#d5d9de}\n"
      ".compute{fill:#0072b2}.bubble{fill:#e69f00}.optimizer{fill:#009e73}.exposed{fill:#d55e00}\n"
      ".recompute{fill:#cc79a7}.forward{fill:#56b4e9}.other{fill:#8a9097}\n"
      ".dot{fill-opacity:.75;stroke:#fff}\n</style>\n";
  std::string svg = ScatterChart(report, 840);
  svg.insert(4, " xmlns=\"http://www.w3.org/2000/svg\"");
  svg.insert(svg.find('>') + 2, kStyle);
  return svg;
}

std::string ValidateToHtml(const v1::ValidateReport& report) {
  return absl::StrCat("<h1>Predicted against measured</h1>\n<div class=\"wide\">",
                      ScatterChart(report, 960), "</div><div class=\"narrow\">",
                      ScatterChart(report, 360), "</div>\n", Head("Families"),
                      Table(FamilyTable(report)), Head("Rows"), Table(RowTable(report)));
}

}  // namespace meshstep
