// How "How To Scale Your Model", chapter 3, multiplies two sharded arrays: which of them is
// gathered before the local product. It also gives the output that an expression leaves out.

#ifndef MESHSTEP_STRATEGIES_EINSUM_NOTATION_BOOK_RULES_H_
#define MESHSTEP_STRATEGIES_EINSUM_NOTATION_BOOK_RULES_H_

#include <functional>
#include <string>

#include "strategies/algebra/sharding.h"
#include "strategies/einsum/notation/expression.h"

namespace meshstep::einsum {

// How the operands of a product are sharded when it runs locally; LocalProduct takes them.
struct OperandShardings {
  Sharding left, right;
  bool operator==(const OperandShardings&) const = default;
};

// Bytes (or anything that grows with them) of an array; NaN if not known.
using Weight = std::function<double(const ShardedArray&)>;

// The rules of chapter 3, in its order: gather contracting dimensions that do not match, gather one
// of two free dimensions that share an axis (the one whose axis the output does not keep there,
// else the smaller array), then multiply. `output` may be null.
//   In[B_X,D] . W[D_X,F] -> Tmp[B_X,F]: W is gathered over X.
OperandShardings BookShardings(const BinaryProduct& product, const Sharding* output,
                               const Weight& weight);

// The sharding a product has if nothing is asked of it: that of BookShardings, sums outstanding.
ShardedArray NaturalOutput(const BinaryProduct& product, const std::string& name,
                           const Weight& weight);

}  // namespace meshstep::einsum

#endif  // MESHSTEP_STRATEGIES_EINSUM_NOTATION_BOOK_RULES_H_
