#include "sim/base/format.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "sim/base/escape.h"

namespace meshstep {
namespace {

// Less would read as a bar beside "0.0 %".
constexpr double kLeastBar = 0.0005;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

struct Unit {
  double size;
  const char* name;
};

// The largest unit in which the value, as it will be printed, is at least 1.
template <std::size_t kCount>
std::string InUnits(double value, const std::array<Unit, kCount>& units) {
  if (!std::isfinite(value)) return FormatNumber(value);
  const double size = std::abs(value);
  // 999.5 prints as 1,000 with three digits: the next unit reads better.
  constexpr double kAlmostOne = 0.9995;
  const Unit* best = &units.back();
  for (const Unit& unit : units) {
    if (size >= kAlmostOne * unit.size) {
      best = &unit;
      break;
    }
  }
  return absl::StrCat(FormatNumber(value / best->size), " ", best->name);
}

std::string WithCommas(std::string digits) {
  const std::size_t start = digits.starts_with('-') ? 1 : 0;
  std::size_t end = digits.find('.');
  if (end == std::string::npos) end = digits.size();
  for (std::size_t i = end; i > start + 3; i -= 3) digits.insert(i - 3, 1, ',');
  return digits;
}

// Cells may be names and values of others: none of them begins a line or moves a cursor.
std::vector<std::vector<std::string>> Escaped(std::vector<std::vector<std::string>> cells) {
  for (std::vector<std::string>& row : cells) {
    for (std::string& cell : row) cell = EscapeControls(cell);
  }
  return cells;
}

}  // namespace

std::string FormatNumber(double value, int digits) {
  if (std::isnan(value)) return "not a number";
  if (std::isinf(value)) return value > 0 ? "infinite" : "-infinite";
  if (value == 0) return "0";
  // Magnitude after rounding to `digits`: 9.996 has two digits before the point.
  const double scale =
      std::pow(10, digits - 1 - static_cast<int>(std::floor(std::log10(std::abs(value)))));
  const double rounded = std::round(value * scale) / scale;
  const int before = static_cast<int>(std::floor(std::log10(std::abs(rounded)) + 1e-12)) + 1;
  return WithCommas(absl::StrFormat("%.*f", std::max(0, digits - before), rounded));
}

std::string FormatSeconds(double seconds) {
  static constexpr std::array<Unit, 5> kUnits = {
      {{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}, {1e-9, "ns"}, {1e-12, "ps"}}};
  if (seconds == 0) return "0 s";
  return InUnits(seconds, kUnits);
}

std::string FormatSecondsDifference(double seconds) {
  return absl::StrCat(seconds >= 0 ? "+" : "", FormatSeconds(seconds));
}

std::string FormatBytes(double bytes) {
  static constexpr std::array<Unit, 6> kUnits = {{{1125899906842624.0, "PiB"},
                                                  {1099511627776.0, "TiB"},
                                                  {1073741824.0, "GiB"},
                                                  {1048576.0, "MiB"},
                                                  {1024.0, "KiB"},
                                                  {1, "B"}}};
  return InUnits(bytes, kUnits);
}

std::string FormatTraffic(double bytes) {
  static constexpr std::array<Unit, 6> kUnits = {
      {{1e15, "PB"}, {1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}, {1, "B"}}};
  return InUnits(bytes, kUnits);
}

std::string FormatFlops(double flops) {
  static constexpr std::array<Unit, 8> kUnits = {{{1e21, "ZFLOP"},
                                                  {1e18, "EFLOP"},
                                                  {1e15, "PFLOP"},
                                                  {1e12, "TFLOP"},
                                                  {1e9, "GFLOP"},
                                                  {1e6, "MFLOP"},
                                                  {1e3, "kFLOP"},
                                                  {1, "FLOP"}}};
  return InUnits(flops, kUnits);
}

std::string FormatFlopRate(double flops_per_s) { return FormatFlops(flops_per_s) + "/s"; }

std::string FormatCount(std::int64_t count) { return WithCommas(absl::StrCat(count)); }

std::string FormatPercent(double fraction) { return absl::StrFormat("%.1f %%", 100 * fraction); }

std::string Bar(double fraction, int width) {
  if (!(fraction >= kLeastBar)) return "";
  const double length = std::round(std::min(fraction, 1.0) * width);
  return std::string(static_cast<std::size_t>(std::max(1.0, length)), '#');
}

int DisplayWidth(std::string_view text) {
  return static_cast<int>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string FormatTable(const std::vector<std::vector<std::string>>& cells, std::string_view align,
                        int indent) {
  const std::vector<std::vector<std::string>> rows = Escaped(cells);
  std::vector<int> width(align.size(), 0);
  for (const std::vector<std::string>& row : rows) {
    for (std::size_t c = 0; c < std::min(row.size(), align.size()); ++c) {
      width[c] = std::max(width[c], DisplayWidth(row[c]));
    }
  }
  std::string out;
  for (const std::vector<std::string>& row : rows) {
    std::string line(static_cast<std::size_t>(indent), ' ');
    for (std::size_t c = 0; c < std::min(row.size(), align.size()); ++c) {
      const std::string fill(static_cast<std::size_t>(width[c] - DisplayWidth(row[c])), ' ');
      absl::StrAppend(&line, c > 0 ? "  " : "", align[c] == '>' ? fill : "", row[c],
                      align[c] == '>' ? "" : fill);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    absl::StrAppend(&out, line, "\n");
  }
  return out;
}

std::string FormatMarkdown(const std::vector<std::vector<std::string>>& rows,
                           std::string_view align) {
  std::string text;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    text += '|';
    for (std::size_t c = 0; c < align.size(); ++c) {
      const std::string cell = c < rows[r].size() ? rows[r][c] : "";
      absl::StrAppend(&text, " ", absl::StrReplaceAll(EscapeControls(cell), {{"|", "\\|"}}), " |");
    }
    text += '\n';
    if (r > 0) continue;
    text += '|';
    for (const char side : align) text += side == '<' ? "---|" : "---:|";
    text += '\n';
  }
  return text;
}

std::string WrapText(std::string_view text, int width, int indent) {
  std::vector<std::string> words;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string word(text.substr(at, end - at));
    at = end + 1;
    if (word.empty()) continue;
    // A number stays with its unit.
    const bool unit = !words.empty() && IsDigit(words.back().back()) && !IsDigit(word.front());
    if (unit) {
      absl::StrAppend(&words.back(), " ", word);
    } else {
      words.push_back(word);
    }
  }
  std::string out;
  int column = 0;
  for (const std::string& word : words) {
    const int length = DisplayWidth(word);
    if (column > 0 && column + 1 + length > width) {
      absl::StrAppend(&out, "\n", std::string(static_cast<std::size_t>(indent), ' '));
      column = indent;
    } else if (column > 0) {
      out += ' ';
      ++column;
    }
    out += word;
    column += length;
  }
  return out;
}

}  // namespace meshstep
