// Where each mesh axis may sit while a product runs locally. A derivation of A . B -> C is a pair
// of operand shardings (a, b) under which LocalProduct is legal, the steps that bring A to a and B
// to b, and the steps from the local result to C. Enumerating the pairs therefore enumerates the
// derivations: gather before or after, which operand, slice for free, reduce after, push a slice of
// the output into the inputs.

#ifndef MESHSTEP_STRATEGIES_EINSUM_OPERAND_SHARDINGS_H_
#define MESHSTEP_STRATEGIES_EINSUM_OPERAND_SHARDINGS_H_

#include <vector>

#include "strategies/einsum/notation/book_rules.h"
#include "strategies/einsum/notation/expression.h"

namespace meshstep::einsum {

// All pairs in which every axis is on a dimension where one of the inputs or the output has it, or
// on none, at most `limit` of them. Every one is legal, and unreduced over what `output` wants.
// `truncated` is set if there are more.
std::vector<OperandShardings> AllShardings(const BinaryProduct& product, const Sharding* output,
                                           std::size_t limit, bool* truncated);

}  // namespace meshstep::einsum

#endif  // MESHSTEP_STRATEGIES_EINSUM_OPERAND_SHARDINGS_H_
