// Reads one array of an expression: "bf16 W_in[D_X, F_{YZ}]{U_Q}", "[B, D_XY]", "int8[128, 2048]".

#ifndef MESHSTEP_STRATEGIES_EINSUM_NOTATION_ARRAY_PARSER_H_
#define MESHSTEP_STRATEGIES_EINSUM_NOTATION_ARRAY_PARSER_H_

#include <optional>
#include <string>
#include <vector>

#include "strategies/einsum/notation/expression.h"
#include "strategies/einsum/notation/token_stream.h"

namespace meshstep::einsum {

class ArrayParser {
 public:
  // Sizes written inside the brackets ("B=1024", "128") go to expression->sizes.
  ArrayParser(TokenStream* tokens, Expression* expression)
      : tokens_(*tokens), expression_(*expression) {}

  StatusOr<ShardedArray> Parse();

  // Splits "XY" into axes of the mesh, the longest names first. Error: the axis that is not there.
  StatusOr<std::vector<AxisId>> SplitAxes(const std::string& text) const;

  // "{U_X}" after an array or a collective's closing parenthesis, if it is there.
  StatusOr<std::vector<AxisId>> ParseUnreduced();
  bool AtUnreduced() const;

  // One subscript after "_": a name or braces around several. Names as they were written.
  StatusOr<std::vector<std::string>> ParseSubscript();

 private:
  StatusOr<std::string> ParseName();
  StatusOr<ShardedDim> ParseDim(const std::string& array);
  // Gives a dimension written as a number a name that `before` does not have (Written()).
  void NameOnce(const Sharding& before, ShardedDim* dim);
  Status SetSize(const std::string& dim, const Token& token);
  std::optional<std::vector<AxisId>> Match(const std::string& text, bool any_case) const;
  std::string UnknownPart(const std::string& text) const;

  TokenStream& tokens_;
  Expression& expression_;
};

}  // namespace meshstep::einsum

#endif  // MESHSTEP_STRATEGIES_EINSUM_NOTATION_ARRAY_PARSER_H_
