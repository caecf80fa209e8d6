// Where each mesh axis sits while a product runs locally. A plan for A . B -> C is a layout (a, b)
// under which LocalProduct is legal, the steps that bring A to a and B to b, and the steps from
// the local result to C. Enumerating layouts therefore enumerates plans: gather before or after,
// which operand, slice for free, reduce after, push a slice of the output into the inputs.

#ifndef MESHSTEP_STRATEGIES_EINSUM_LAYOUT_H_
#define MESHSTEP_STRATEGIES_EINSUM_LAYOUT_H_

#include <functional>
#include <vector>

#include "strategies/einsum/expression.h"

namespace meshstep::einsum {

struct Layout {
  Sharding left, right;
  bool operator==(const Layout&) const = default;
};

// Bytes (or anything that grows with them) of an array; NaN if not known.
using Weight = std::function<double(const Array&)>;

// The plan of chapter 3, in its order: gather contracting dimensions that do not match, gather one
// of two free dimensions that share an axis (the one whose axis the output does not keep there,
// else the smaller array), then multiply. `output` may be null.
//   In[B_X,D] . W[D_X,F] -> Tmp[B_X,F]: W is gathered over X.
Layout BookLayout(const BinaryProduct& product, const Sharding* output, const Weight& weight);

// All layouts in which every axis is on a dimension where one of the inputs or the output has it,
// or on none, at most `limit` of them. Every one is legal, and unreduced over what `output` wants.
// `truncated` is set if there are more.
std::vector<Layout> AllLayouts(const BinaryProduct& product, const Sharding* output,
                               std::size_t limit, bool* truncated);

// The sharding a product has if nothing is asked of it: that of the book's layout, sums
// outstanding.
Array NaturalOutput(const BinaryProduct& product, const std::string& name, const Weight& weight);

}  // namespace meshstep::einsum

#endif  // MESHSTEP_STRATEGIES_EINSUM_LAYOUT_H_
