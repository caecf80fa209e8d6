// The tokens of an expression with the position of the parser in them.

#ifndef MESHSTEP_STRATEGIES_EINSUM_NOTATION_TOKEN_STREAM_H_
#define MESHSTEP_STRATEGIES_EINSUM_NOTATION_TOKEN_STREAM_H_

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/status.h"
#include "strategies/einsum/notation/lexer.h"

namespace meshstep::einsum {

class TokenStream {
 public:
  // `tokens` ends with kEnd.
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& Peek(std::size_t ahead = 0) const {
    return tokens_[std::min(at_ + ahead, tokens_.size() - 1)];
  }
  const Token& Next() {
    const Token& token = Peek();
    if (at_ + 1 < tokens_.size()) ++at_;
    return token;
  }
  bool AtEnd() const { return Peek().kind == Token::Kind::kEnd; }
  bool IsName(std::size_t ahead = 0) const { return Peek(ahead).kind == Token::Kind::kName; }
  bool IsSymbol(char symbol, std::size_t ahead = 0) const { return Peek(ahead).Is(symbol); }

  bool Take(char symbol) {
    if (!Peek().Is(symbol)) return false;
    Next();
    return true;
  }
  bool Take(Token::Kind kind) {
    if (Peek().kind != kind) return false;
    Next();
    return true;
  }
  void SkipNewlines() {
    while (Take(Token::Kind::kNewline)) {
    }
  }

  std::size_t position() const { return at_; }
  void Rewind(std::size_t position) { at_ = position; }

  // "expected WHAT at character 17, found "x"".
  Status Expected(const std::string& what) const {
    const Token& token = Peek();
    const std::string found = token.kind == Token::Kind::kEnd ? "the end"
                              : token.kind == Token::Kind::kNewline
                                  ? "a new line"
                                  : "\"" + token.text.substr(0, 40) + "\"";
    return InvalidInput("expected " + what + " at character " + std::to_string(token.position + 1) +
                        " of the expression, found " + found);
  }

 private:
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
};

}  // namespace meshstep::einsum

#endif  // MESHSTEP_STRATEGIES_EINSUM_NOTATION_TOKEN_STREAM_H_
