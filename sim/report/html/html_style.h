// The style sheet and the script of HTML reports.

#ifndef MESHSTEP_SIM_REPORT_HTML_HTML_STYLE_H_
#define MESHSTEP_SIM_REPORT_HTML_HTML_STYLE_H_

#include <string_view>

namespace meshstep {

// Colours are those of Okabe and Ito, "Color Universal Design" (jfly.uni-koeln.de/color), which
// people with any colour vision tell apart. Dark pages follow prefers-color-scheme.
std::string_view HtmlStyle();
// Shows the text of data-t under the pointer.
std::string_view HtmlScript();

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_HTML_HTML_STYLE_H_
