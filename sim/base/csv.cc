#include "sim/base/csv.h"

#include <algorithm>
#include <boost/locale/utf.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sim/base/escape.h"

namespace meshstep {
namespace {

// Reads records one by one; a record may span lines inside quotes.
class CsvReader {
 public:
  explicit CsvReader(const std::string& content) : content_(content) {
    // Spreadsheets begin UTF-8 with a byte order mark.
    if (content_.starts_with("\xEF\xBB\xBF")) at_ = 3;
  }

  bool done() const { return at_ >= content_.size(); }
  int line() const { return line_; }

  // False if a quote is not closed.
  bool Next(std::vector<std::string>* record) {
    record->assign(1, "");
    bool quoted = false;
    while (at_ < content_.size()) {
      const char c = content_[at_++];
      if (c == '\n') ++line_;
      if (quoted) {
        if (c != '"') {
          record->back() += c;
        } else if (at_ < content_.size() && content_[at_] == '"') {
          record->back() += content_[at_++];
        } else {
          quoted = false;
        }
      } else if (c == '"') {
        quoted = true;
      } else if (c == ',') {
        record->emplace_back();
      } else if (c == '\n') {
        return true;
      } else if (c != '\r') {
        record->back() += c;
      }
    }
    return !quoted;
  }

 private:
  const std::string& content_;
  std::size_t at_ = 0;
  int line_ = 1;
};

bool IsUtf8(const std::string& text) {
  using Utf8 = boost::locale::utf::utf_traits<char>;
  for (auto at = text.begin(); at != text.end();) {
    if (!boost::locale::utf::is_valid_codepoint(Utf8::decode(at, text.end()))) return false;
  }
  return true;
}

}  // namespace

bool CsvTable::Has(const std::string& column) const {
  return std::find(columns.begin(), columns.end(), column) != columns.end();
}

const std::string& CsvTable::At(std::size_t row, const std::string& column) const {
  static const std::string kEmpty;
  const auto found = std::find(columns.begin(), columns.end(), column);
  if (found == columns.end()) return kEmpty;
  return rows[row][static_cast<std::size_t>(found - columns.begin())];
}

StatusOr<CsvTable> ParseCsv(const std::string& name, const std::string& content) {
  if (!IsUtf8(content)) return InvalidInput(name + ": is not UTF-8");
  CsvReader reader(content);
  CsvTable table;
  while (!reader.done()) {
    const int line = reader.line();
    std::vector<std::string> record;
    if (!reader.Next(&record)) {
      return InvalidInput(absl::StrCat(name, ":", line, ": a quoted field does not end"));
    }
    if (record.size() == 1 && record.front().empty()) continue;
    if (table.columns.empty()) {
      table.columns = std::move(record);
      continue;
    }
    if (record.size() != table.columns.size()) {
      return InvalidInput(absl::StrCat(name, ":", line, ": has ", record.size(),
                                       " fields, expected ", table.columns.size(),
                                       " as in the header"));
    }
    table.rows.push_back(std::move(record));
    table.lines.push_back(line);
  }
  if (table.columns.empty()) return InvalidInput(absl::StrCat(name, ": is empty"));
  return table;
}

std::string WriteCsv(const std::vector<std::vector<std::string>>& records) {
  std::string text;
  for (const std::vector<std::string>& record : records) {
    for (std::size_t i = 0; i < record.size(); ++i) {
      if (i > 0) text += ',';
      const std::string field = EscapeControls(record[i]);
      if (field.find_first_of(",\"") == std::string::npos) {
        text += field;
        continue;
      }
      text += '"';
      for (const char c : field) text.append(c == '"' ? 2 : 1, c);
      text += '"';
    }
    text += '\n';
  }
  return text;
}

}  // namespace meshstep
