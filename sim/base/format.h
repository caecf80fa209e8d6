// Numbers with the units a person reads. Three significant digits or so; never more than a column
// of a table needs.
//
//   FormatSeconds(0.01234)     "12.3 ms"
//   FormatBytes(65.7e9)        "61.2 GiB"
//   FormatFlops(1.23e18)       "1.23 EFLOP"
//   FormatCount(1048576)       "1,048,576"

#ifndef MESHSTEP_SIM_BASE_FORMAT_H_
#define MESHSTEP_SIM_BASE_FORMAT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace meshstep {

// `digits` significant digits, without exponent: 0.0123, 1.23, 12.3, 123, 1,234.
std::string FormatNumber(double value, int digits = 3);

// "0 s", "12.3 ps", "12.3 ns", "12.3 us", "12.3 ms", "12.3 s", "1,234 s"; a sign if negative.
std::string FormatSeconds(double seconds);
// The same with a sign always: "+1.90 s", "-12.3 ms".
std::string FormatSecondsDifference(double seconds);

// Binary units, for memory: "512 B", "1.50 KiB", "61.2 GiB".
std::string FormatBytes(double bytes);
// Decimal units, for what goes over a network: "512 B", "1.50 kB", "61.2 GB".
std::string FormatTraffic(double bytes);

// "1.23 PFLOP"; with "/s" appended by FormatFlopRate.
std::string FormatFlops(double flops);
std::string FormatFlopRate(double flops_per_s);

// Thousands separated by commas.
std::string FormatCount(std::int64_t count);

// A fraction as "58.1 %".
std::string FormatPercent(double fraction);

// `fraction` of `width` characters, at least one if it does not print as 0.0 %. fraction: range
// [0,1].
std::string Bar(double fraction, int width);

// Rows of cells as aligned columns, two spaces apart, each line indented by `indent` and without
// trailing spaces. `align` has one of '<' or '>' per column. Rows may be shorter than `align`.
std::string FormatTable(const std::vector<std::vector<std::string>>& rows, std::string_view align,
                        int indent);

// The same as a table of Markdown; the first row is the head.
std::string FormatMarkdown(const std::vector<std::vector<std::string>>& rows,
                           std::string_view align);

// Breaks `text` at spaces so that no line is longer than `width`; lines after the first are
// indented by `indent`. A word longer than a line stays whole.
std::string WrapText(std::string_view text, int width, int indent);

// Columns that `text` takes on a terminal: UTF-8 code points.
int DisplayWidth(std::string_view text);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_BASE_FORMAT_H_
