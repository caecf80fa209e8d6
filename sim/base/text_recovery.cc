#include "sim/base/text_recovery.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <vector>

namespace meshstep {
namespace {

constexpr int kTab = 8;

// Counts lines and columns along a text.
struct Cursor {
  std::size_t offset = 0;
  TextPosition at = {0, 0};

  void Pass(char c) {
    ++offset;
    if (c == '\n') {
      at = {at.line + 1, 0};
    } else {
      at.column += c == '\t' ? kTab - at.column % kTab : 1;
    }
  }
};

struct Token {
  std::size_t begin, end;
  TextPosition at, past;
};

bool IsWordChar(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '+';
}

// Length of the token at the beginning of `rest`: a quoted string, a word or number, or one sign.
std::size_t TokenLength(std::string_view rest) {
  std::size_t n = 1;
  if (rest[0] == '"' || rest[0] == '\'') {
    while (n < rest.size() && rest[n] != rest[0] && rest[n] != '\n') n += rest[n] == '\\' ? 2 : 1;
    return std::min(n + 1, rest.size());
  }
  if (IsWordChar(rest[0])) {
    while (n < rest.size() && IsWordChar(rest[n])) ++n;
  }
  return n;
}

std::vector<Token> Tokenize(std::string_view text) {
  std::vector<Token> tokens;
  Cursor cursor;
  while (cursor.offset < text.size()) {
    const char c = text[cursor.offset];
    if (c == '#') {
      while (cursor.offset < text.size() && text[cursor.offset] != '\n') cursor.Pass('#');
    } else if (std::isspace(static_cast<unsigned char>(c)) != 0) {
      cursor.Pass(c);
    } else {
      const std::size_t end = cursor.offset + TokenLength(text.substr(cursor.offset));
      tokens.push_back({cursor.offset, end, cursor.at, {}});
      while (cursor.offset < end) cursor.Pass(text[cursor.offset]);
      tokens.back().past = cursor.at;
    }
  }
  return tokens;
}

class Fields {
 public:
  explicit Fields(const std::string& text) : text_(text), tokens_(Tokenize(text)) {}

  std::size_t size() const { return tokens_.size(); }
  const Token& operator[](std::size_t i) const { return tokens_[i]; }

  // The token at or after a place.
  std::size_t At(TextPosition place) const {
    std::size_t i = 0;
    while (i < size() && tokens_[i].past <= place) ++i;
    return i;
  }

  bool Is(std::size_t i, std::string_view signs) const {
    return i < size() && signs.find(text_[tokens_[i].begin]) != std::string_view::npos;
  }

  // The "[" of a list of values that token i is in, else i.
  std::size_t ListAround(std::size_t i) const {
    for (std::size_t j = i; j-- > 0 && !Is(j, "{}<>;:]");) {
      if (Is(j, "[") && Is(j - 1, ":")) return j;
    }
    return i;
  }

  // The name of the field that has token i: i, or a name before it.
  std::size_t NameOf(std::size_t i) const {
    if (IsName(i - 1) && Is(i, ":={<}>")) return i - 1;
    i = ListAround(i);
    if (i > 0 && Is(i - 1, "-")) --i;
    return i > 1 && Is(i - 1, ":=") && IsName(i - 2) ? i - 2 : i;
  }

  // One past the field whose name is token i.
  std::size_t EndOfField(std::size_t i) const {
    if (!IsName(i)) return i + 1;
    ++i;
    if (Is(i, ":=")) ++i;
    if (Is(i, "}>]")) return i;
    if (Is(i, "{<[")) return EndOfBrackets(i);
    if (Is(i, "-")) ++i;
    ++i;
    while (Is(i, "\"'") && Is(i - 1, "\"'")) ++i;  // strings side by side are one string
    return std::min(i, size());
  }

 private:
  bool IsName(std::size_t i) const {
    return i < size() && !Is(i, ":={}<>[];,-\"'") && (i == 0 || !Is(i - 1, ":=-"));
  }

  std::size_t EndOfBrackets(std::size_t i) const {
    int depth = 0;
    for (; i < size(); ++i) {
      if (Is(i, "{<[")) ++depth;
      if (Is(i, "}>]") && --depth == 0) return i + 1;
    }
    return size();
  }

  const std::string& text_;
  std::vector<Token> tokens_;
};

}  // namespace

std::optional<TextPosition> RemoveField(TextPosition error, bool after, std::string* content) {
  const Fields fields(*content);
  std::size_t at = fields.At(error);
  if (after && at > 0) --at;
  if (at >= fields.size()) return std::nullopt;
  const std::size_t name = fields.NameOf(at);
  const std::size_t end = fields.EndOfField(name);
  for (std::size_t i = fields[name].begin; i < fields[end - 1].end; ++i) {
    char& c = (*content)[i];
    if (c != '\n' && c != '\t') c = ' ';
  }
  return name + 1 == at ? fields[name].at : fields[at].at;
}

}  // namespace meshstep
