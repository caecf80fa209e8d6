#include "strategies/einsum/notation/lexer.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

namespace meshstep::einsum {
namespace {

using Kind = Token::Kind;

// A spelling and the tokens it stands for, written one character each: '.' operator, '>' arrow,
// 'n' newline, ' ' nothing, else the symbol itself.
struct Spelling {
  std::string_view text;
  std::string_view tokens;
};

// Longer spellings come before those they start with. LaTeX commands that end in a letter must not
// be followed by one.
constexpr std::array<Spelling, 89> kSpellings = {{
    {"\\longrightarrow", ">"},
    {"\\Longrightarrow", ">"},
    {"\\rightarrow", ">"},
    {"\\Rightarrow", ">"},
    {"\\implies", ">"},
    {"\\mapsto", ">"},
    {"\\to", ">"},
    {"\\cdot", "."},
    {"\\times", "."},
    {"\\ast", "."},
    {"\\bullet", "."},
    {"\\odot", "."},
    {"\\left", " "},
    {"\\right", " "},
    {"\\bigl", " "},
    {"\\bigr", " "},
    {"\\big", " "},
    {"\\quad", " "},
    {"\\qquad", " "},
    {"\\displaystyle", " "},
    {"\\lbrace", "{"},
    {"\\rbrace", "}"},
    {"\\lbrack", "["},
    {"\\rbrack", "]"},
    {"\\\\{", "{"},
    {"\\\\}", "}"},
    {"\\\\", " "},
    {"\\{", "{"},
    {"\\}", "}"},
    {"\\[", "["},
    {"\\]", "]"},
    {"\\(", " "},
    {"\\)", " "},
    {"\\_", "_"},
    {"\\*", "."},
    {"\\,", " "},
    {"\\;", " "},
    {"\\:", " "},
    {"\\!", " "},
    {"\\ ", " "},
    {"\\$", " "},
    {"\\.", "."},
    {"<sub>", "_{"},
    {"</sub>", "}"},
    {"<b>", " "},
    {"</b>", " "},
    {"<strong>", " "},
    {"</strong>", " "},
    {"<em>", " "},
    {"</em>", " "},
    {"<i>", " "},
    {"</i>", " "},
    {"<code>", " "},
    {"</code>", " "},
    {"<br>", "n"},
    {"<br/>", "n"},
    {"&rarr;", ">"},
    {"&middot;", "."},
    {"&nbsp;", " "},
    {"-->", ">"},
    {"->", ">"},
    {"=>", ">"},
    {"**", " "},
    {"\u2192", ">"},
    {"\u27f6", ">"},
    {"\u21d2", ">"},
    {"\u27f9", ">"},
    {"\u21a6", ">"},
    {"\u00b7", "."},
    {"\u22c5", "."},
    {"\u2219", "."},
    {"\u2022", "."},
    {"\u00d7", "."},
    {"\u2217", "."},
    {"\u2218", "."},
    {"\u2299", "."},
    {"\u2018", " "},
    {"\u2019", " "},
    {"\u201c", " "},
    {"\u201d", " "},
    {"\u00a0", " "},
    {"\u2009", " "},
    {"\u202f", " "},
    {"\u200b", " "},
    {"\u2032", " "},
    {"\ufeff", " "},
    {"\uff0c", ","},
    {"\uff3b", "["},
    {"\uff3d", "]"},
}};

// Unicode subscripts and the letters they stand for.
constexpr std::array<Spelling, 31> kSubscripts = {{
    {"\u2080", "0"}, {"\u2081", "1"}, {"\u2082", "2"}, {"\u2083", "3"}, {"\u2084", "4"},
    {"\u2085", "5"}, {"\u2086", "6"}, {"\u2087", "7"}, {"\u2088", "8"}, {"\u2089", "9"},
    {"\u2090", "a"}, {"\u2091", "e"}, {"\u2092", "o"}, {"\u2093", "x"}, {"\u2095", "h"},
    {"\u2096", "k"}, {"\u2097", "l"}, {"\u2098", "m"}, {"\u2099", "n"}, {"\u209a", "p"},
    {"\u209b", "s"}, {"\u209c", "t"}, {"\u1d62", "i"}, {"\u1d63", "r"}, {"\u1d64", "u"},
    {"\u1d65", "v"}, {"\u1d66", "b"}, {"\u1d67", "y"}, {"\u1d68", "r"}, {"\u2c7c", "j"},
    {"\u1d69", "f"},
}};

// Commands whose argument is only set in another font.
constexpr std::array<std::string_view, 13> kFonts = {
    "\\textbf", "\\textit", "\\textrm",  "\\texttt",     "\\text",         "\\mathbf", "\\mathrm",
    "\\mathit", "\\mathsf", "\\mathcal", "\\boldsymbol", "\\operatorname", "\\bf"};

bool IsLetter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
bool IsDigit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

class Lexer {
 public:
  explicit Lexer(const std::string& text) : text_(text) {}

  StatusOr<std::vector<Token>> Run() {
    while (at_ < text_.size()) {
      if (!(Skip() || Font() || Spelled() || Subscript() || Name() || Number() || Brace() ||
            Symbol())) {
        return InvalidInput("character " + std::to_string(at_ + 1) + " of the expression (" +
                            Excerpt() + ") has no meaning here; remove it");
      }
    }
    Add(Kind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  std::string_view Rest() const { return std::string_view(text_).substr(at_); }

  std::string Excerpt() const {
    const char c = text_[at_];
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7f) {
      return "code " + std::to_string(static_cast<unsigned char>(c));
    }
    return std::string("\"") + c + "\"";
  }

  void Add(Kind kind, std::string text) { tokens_.push_back({kind, std::move(text), at_}); }

  void AddCode(char code) {
    if (code == '.') {
      Add(Kind::kOperator, ".");
    } else if (code == '>') {
      Add(Kind::kArrow, "->");
    } else if (code == 'n') {
      Add(Kind::kNewline, "\n");
    } else if (code == '{' || code == '}') {
      AddBrace(code);
    } else if (code != ' ') {
      Add(Kind::kSymbol, std::string(1, code));
    }
  }

  // Braces that only hold the argument of a font command are not tokens.
  void AddBrace(char brace) {
    if (brace == '{') {
      visible_.push_back(true);
    } else if (!visible_.empty()) {
      const bool visible = visible_.back();
      visible_.pop_back();
      if (!visible) return;
    }
    Add(Kind::kSymbol, std::string(1, brace));
  }

  bool Skip() {
    const char c = text_[at_];
    if (c == '\n') {
      AddCode('n');
    } else if (c != ' ' && c != '\t' && c != '\r' && c != '$' && c != '\'' && c != '"' &&
               c != '`' && c != '?') {
      return false;
    }
    ++at_;
    return true;
  }

  bool Font() {
    for (std::string_view font : kFonts) {
      if (Rest().substr(0, font.size()) != font || ContinuesCommand(font)) continue;
      at_ += font.size();
      while (at_ < text_.size() && text_[at_] == ' ') ++at_;
      if (at_ < text_.size() && text_[at_] == '{') {
        visible_.push_back(false);
        ++at_;
      }
      return true;
    }
    return false;
  }

  // "\top" is not "\to" and a "p".
  bool ContinuesCommand(std::string_view command) const {
    return command.size() > 1 && command[0] == '\\' && IsLetter(command.back()) &&
           at_ + command.size() < text_.size() && IsLetter(text_[at_ + command.size()]);
  }

  bool Spelled() {
    for (const Spelling& spelling : kSpellings) {
      if (Rest().substr(0, spelling.text.size()) != spelling.text) continue;
      if (ContinuesCommand(spelling.text)) continue;
      for (char code : spelling.tokens) AddCode(code);
      at_ += spelling.text.size();
      return true;
    }
    return false;
  }

  bool Subscript() {
    std::string letters;
    const std::size_t start = at_;
    while (true) {
      const auto found = std::find_if(
          kSubscripts.begin(), kSubscripts.end(),
          [&](const Spelling& s) { return Rest().substr(0, s.text.size()) == s.text; });
      if (found == kSubscripts.end()) break;
      letters += found->tokens;
      at_ += found->text.size();
    }
    if (letters.empty()) return false;
    tokens_.push_back({Kind::kSymbol, "_", start});
    tokens_.push_back({IsLetter(letters[0]) ? Kind::kName : Kind::kNumber, letters, start});
    return true;
  }

  // A hyphen between letters belongs to a name: "all-gather".
  bool Name() {
    if (!IsLetter(text_[at_])) return false;
    std::size_t end = at_;
    auto hyphen = [&](std::size_t i) {
      return text_[i] == '-' && i + 1 < text_.size() && IsLetter(text_[i + 1]);
    };
    while (end < text_.size() && (IsLetter(text_[end]) || IsDigit(text_[end]) || hyphen(end))) {
      ++end;
    }
    Add(Kind::kName, text_.substr(at_, end - at_));
    at_ = end;
    return true;
  }

  bool Number() {
    if (!IsDigit(text_[at_])) return false;
    std::size_t end = at_;
    auto is_point = [&](std::size_t i) {
      return text_[i] == '.' && i + 1 < text_.size() && IsDigit(text_[i + 1]);
    };
    auto exponent = [&](std::size_t i) {
      if (text_[i] != 'e' && text_[i] != 'E') return false;
      const std::size_t sign = i + 1 < text_.size() && (text_[i + 1] == '+' || text_[i + 1] == '-');
      return i + 1 + sign < text_.size() && IsDigit(text_[i + 1 + sign]);
    };
    while (end < text_.size() && (IsDigit(text_[end]) || is_point(end) || exponent(end))) {
      end += exponent(end) ? 2 : 1;
    }
    Add(Kind::kNumber, text_.substr(at_, end - at_));
    at_ = end;
    return true;
  }

  bool Brace() {
    if (text_[at_] != '{' && text_[at_] != '}') return false;
    AddBrace(text_[at_]);
    ++at_;
    return true;
  }

  bool Symbol() {
    const char c = text_[at_];
    if (c == '*' || c == '@' || c == '.') {
      Add(Kind::kOperator, ".");
    } else if (std::string_view("[](),;:=_^").find(c) != std::string_view::npos) {
      Add(Kind::kSymbol, std::string(1, c));
    } else {
      return false;
    }
    ++at_;
    return true;
  }

  const std::string& text_;
  std::size_t at_ = 0;
  std::vector<bool> visible_;  // per open brace
  std::vector<Token> tokens_;
};

}  // namespace

StatusOr<std::vector<Token>> Tokenize(const std::string& expression) {
  if (expression.size() > kMaxExpression) {
    return InvalidInput("the expression is " + std::to_string(expression.size()) +
                        " characters long, expected at most " + std::to_string(kMaxExpression));
  }
  return Lexer(expression).Run();
}

}  // namespace meshstep::einsum
