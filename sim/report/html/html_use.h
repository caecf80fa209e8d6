// Colours for how busy a link is.

#ifndef MESHSTEP_SIM_REPORT_HTML_HTML_USE_H_
#define MESHSTEP_SIM_REPORT_HTML_HTML_USE_H_

#include <string>

namespace meshstep {

// The class of html_style.cc for a link that is busy for `use` of the step, and what the classes
// mean.
std::string UseStyle(double use);
std::string UseKey();

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_HTML_HTML_USE_H_
