#include "sim/report/html/svg.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace meshstep {

std::string EscapeHtml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string SvgNumber(double value) {
  std::string result = absl::StrFormat("%.1f", value);
  while (result.find('.') != std::string::npos && (result.back() == '0' || result.back() == '.')) {
    const bool point = result.back() == '.';
    result.pop_back();
    if (point) break;
  }
  return result == "-0" ? "0" : result;
}

Svg::Svg(double width, double height, std::string_view title, bool stretched)
    : width_(width), height_(height) {
  absl::StrAppend(&out_, "<svg viewBox=\"0 0 ", SvgNumber(width), " ", SvgNumber(height),
                  "\" role=\"img\" aria-label=\"", EscapeHtml(title), "\"");
  if (stretched) {
    absl::StrAppend(&out_, " preserveAspectRatio=\"none\" style=\"height:", SvgNumber(height),
                    "px\"");
  }
  out_ += ">\n";
}

void Svg::End(std::string_view tip) {
  if (!tip.empty()) absl::StrAppend(&out_, " data-t=\"", EscapeHtml(tip), "\"");
  out_ += "/>\n";
}

void Svg::Rect(double x, double y, double w, double h, std::string_view style,
               std::string_view tip) {
  absl::StrAppend(&out_, "<rect x=\"", SvgNumber(x), "\" y=\"", SvgNumber(y), "\" width=\"",
                  SvgNumber(w), "\" height=\"", SvgNumber(h), "\" class=\"", std::string(style),
                  "\"");
  End(tip);
}

void Svg::Line(double x1, double y1, double x2, double y2, std::string_view style) {
  absl::StrAppend(&out_, "<line x1=\"", SvgNumber(x1), "\" y1=\"", SvgNumber(y1), "\" x2=\"",
                  SvgNumber(x2), "\" y2=\"");
  absl::StrAppend(&out_, SvgNumber(y2), "\" class=\"", std::string(style), "\"/>\n");
}

void Svg::Circle(double x, double y, double r, std::string_view style, std::string_view tip) {
  absl::StrAppend(&out_, "<circle cx=\"", SvgNumber(x), "\" cy=\"", SvgNumber(y), "\" r=\"",
                  SvgNumber(r), "\" class=\"", std::string(style), "\"");
  End(tip);
}

void Svg::Text(double x, double y, std::string_view text, std::string_view anchor,
               std::string_view style) {
  absl::StrAppend(&out_, "<text x=\"", SvgNumber(x), "\" y=\"", SvgNumber(y), "\" text-anchor=\"",
                  std::string(anchor), "\" class=\"", std::string(style), "\">");
  absl::StrAppend(&out_, EscapeHtml(text), "</text>\n");
}

void Svg::Path(const std::string& d, std::string_view style, std::string_view tip) {
  absl::StrAppend(&out_, "<path d=\"", d, "\" class=\"", std::string(style), "\"");
  End(tip);
}

std::string Svg::Take() {
  out_ += "</svg>\n";
  return std::move(out_);
}

std::vector<double> Ticks(double high) {
  if (!(high > 0)) return {0};
  const double unit = std::pow(10, std::floor(std::log10(high)));
  double step = unit;
  for (const double factor : {2.0, 1.0, 0.5, 0.25, 0.2, 0.1}) {
    step = factor * unit;
    if (high / step >= 3) break;
  }
  std::vector<double> ticks;
  for (int i = 0; i * step <= high * 1.0001; ++i) ticks.push_back(i * step);
  return ticks;
}

}  // namespace meshstep
