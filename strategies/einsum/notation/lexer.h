// Turns an exercise's expression into tokens, so that the parser sees one spelling: Markdown, HTML
// <sub>, LaTeX commands, Unicode operators, arrows and subscripts all become the same few tokens.
//   "$\textbf{A}[I, J_X] \cdot_J B[J, K] \to C$"  ->  A [ I , J _ X ] . _ J B [ J , K ] -> C

#ifndef MESHSTEP_STRATEGIES_EINSUM_NOTATION_LEXER_H_
#define MESHSTEP_STRATEGIES_EINSUM_NOTATION_LEXER_H_

#include <string>
#include <vector>

#include "sim/base/status.h"

namespace meshstep::einsum {

struct Token {
  enum class Kind {
    kName,      // letters and digits, starting with a letter; no underscore
    kNumber,    // digits, '.', exponent
    kOperator,  // . * @ and their other spellings
    kArrow,
    kNewline,
    kSymbol,  // one of [ ] { } ( ) , ; : = _ ^
    kEnd,
  };
  Kind kind;
  std::string text;      // name or number as written; "." and "->" for operator and arrow
  std::size_t position;  // in the expression, 0-based

  bool Is(char symbol) const { return kind == Kind::kSymbol && text[0] == symbol; }
};

inline constexpr std::size_t kMaxExpression = 65536;

// Ends with a kEnd token. Error: the expression is too long, or has a character that no spelling
// uses, with its place.
StatusOr<std::vector<Token>> Tokenize(const std::string& expression);

}  // namespace meshstep::einsum

#endif  // MESHSTEP_STRATEGIES_EINSUM_NOTATION_LEXER_H_
