#include "sim/report/html/html_parts.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "sim/report/html/svg.h"

namespace meshstep {
namespace {

constexpr double kWide = 1000, kNarrow = 358;  // pixels
constexpr std::size_t kLetters = 44;           // a wider table is a list of its rows on phones
constexpr std::size_t kSentence = 40;          // a longer cell wraps

// Of the longest row if every column is as wide as its longest cell, with the space between.
std::size_t LettersOf(const std::vector<TableRow>& rows) {
  std::size_t sum = 0;
  for (std::size_t c = 0; c < rows.front().size(); ++c) {
    std::size_t widest = 0;
    for (const TableRow& row : rows) {
      if (c < row.size()) widest = std::max(widest, row[c].size());
    }
    sum += widest + 3;
  }
  return sum;
}

}  // namespace

std::string Both(const std::function<std::string(double)>& draw) {
  return absl::StrCat("<div class=\"wide\">", draw(kWide), "</div><div class=\"narrow\">",
                      draw(kNarrow), "</div>\n");
}

std::string Key(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string out = "<div class=\"key\">";
  for (const auto& [style, name] : entries) {
    absl::StrAppend(&out, "<span><i class=\"b-", style, "\"></i>", EscapeHtml(name), "</span>");
  }
  return out + "</div>\n";
}

std::string Table(const std::vector<TableRow>& rows, const std::set<std::size_t>& left) {
  const bool many = !rows.empty() && LettersOf(rows) > kLetters;
  std::string out =
      absl::StrCat("<div class=\"scroll\"><table", many ? " class=\"stack\"" : "", ">\n");
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const char* cell = r == 0 ? "th" : "td";
    out += "<tr>";
    for (std::size_t c = 0; c < rows[r].size(); ++c) {
      absl::StrAppend(&out, "<", cell);
      // On phones a row is headed by its first cell; a figure needs its column's name.
      if (many && r > 0 && c < rows.front().size() && (c > 0 || !left.contains(0))) {
        absl::StrAppend(&out, " data-h=\"", EscapeHtml(rows.front()[c]), "\"");
      }
      // Sentences wrap; figures do not.
      const bool sentence = r > 0 && rows[r][c].size() > kSentence;
      if (sentence || left.contains(c))
        absl::StrAppend(&out, " class=\"", sentence ? "w l" : "l", "\"");
      absl::StrAppend(&out, ">", EscapeHtml(rows[r][c]), "</", cell, ">");
    }
    out += "</tr>\n";
  }
  return out + "</table></div>\n";
}

std::string Folded(const std::string& summary, const std::string& inside) {
  return absl::StrCat("<details><summary>", EscapeHtml(summary), "</summary>", inside,
                      "</details>\n");
}

std::string Head(const std::string& text) {
  return absl::StrCat("<h3>", EscapeHtml(text), "</h3>\n");
}

std::string Say(const std::string& text) { return absl::StrCat("<p>", EscapeHtml(text), "</p>\n"); }

std::string Card(const std::string& value, const std::string& what, bool bad) {
  return absl::StrCat("<div class=\"card", bad ? " bad" : "", "\"><b>", EscapeHtml(value),
                      "</b><span>", EscapeHtml(what), "</span></div>\n");
}

}  // namespace meshstep
