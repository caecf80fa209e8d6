// A drawing as SVG text, sized in pixels, that scales with the page. Colours and fonts are CSS
// classes of sim/report/html/html_style.cc, so that one drawing serves light and dark pages.
//
//   Svg svg(360, 200, "Memory over the step");
//   svg.Rect(10, 10, 50, 20, "forward", "forward of micro-batch 0: 1.2 ms");
//   std::string text = svg.Take();

#ifndef MESHSTEP_SIM_REPORT_HTML_SVG_H_
#define MESHSTEP_SIM_REPORT_HTML_SVG_H_

#include <string>
#include <string_view>
#include <vector>

namespace meshstep {

// `text` with the characters that HTML gives a meaning replaced.
std::string EscapeHtml(std::string_view text);

class Svg {
 public:
  // `title` is what a screen reader says. Stretched: it fills the width it is given and keeps its
  // height in pixels.
  Svg(double width, double height, std::string_view title, bool stretched = false);

  double width() const { return width_; }
  double height() const { return height_; }

  // `style` is a class; `tip`, if not empty, is shown under the pointer.
  void Rect(double x, double y, double w, double h, std::string_view style,
            std::string_view tip = {});
  void Line(double x1, double y1, double x2, double y2, std::string_view style);
  void Circle(double x, double y, double r, std::string_view style, std::string_view tip = {});
  // anchor: "start", "middle" or "end".
  void Text(double x, double y, std::string_view text, std::string_view anchor = "start",
            std::string_view style = "t");
  void Path(const std::string& d, std::string_view style, std::string_view tip = {});

  std::string Take();

 private:
  void End(std::string_view tip);

  double width_, height_;
  std::string out_;
};

// A coordinate with at most one decimal.
std::string SvgNumber(double value);

// Round values that split [0, high] into 3 to 6 parts; the first is 0.
std::vector<double> Ticks(double high);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_HTML_SVG_H_
