// What the sections of an HTML report are made of.

#ifndef MESHSTEP_SIM_REPORT_HTML_HTML_PARTS_H_
#define MESHSTEP_SIM_REPORT_HTML_HTML_PARTS_H_

#include <cstddef>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace meshstep {

// A drawing for wide screens and one for phones; draw: of a width in pixels.
std::string Both(const std::function<std::string(double)>& draw);

// What colours mean: classes of html_style.cc and their names.
std::string Key(const std::vector<std::pair<std::string, std::string>>& entries);

using TableRow = std::vector<std::string>;
// The first row is the head. left: columns that hold words, the first beside others.
std::string Table(const std::vector<TableRow>& rows, const std::set<std::size_t>& left = {0});

// What opens when its summary is touched.
std::string Folded(const std::string& summary, const std::string& inside);
std::string Head(const std::string& text);
std::string Say(const std::string& text);
std::string Card(const std::string& value, const std::string& what, bool bad = false);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_HTML_HTML_PARTS_H_
