// Bytes and FLOPs in the letters of an expression, as the book writes them: "2BDF/(XY)".

#ifndef MESHSTEP_STRATEGIES_EINSUM_FORMULA_H_
#define MESHSTEP_STRATEGIES_EINSUM_FORMULA_H_

#include <string>
#include <vector>

#include "strategies/einsum/answer.h"

namespace meshstep::einsum {

// Bytes of one chip's block of an array.
std::string LocalBytesFormula(const ShardedArray& array, Dtype dtype, const MeshShape& mesh);

// V of a collective, or the FLOPs per chip of a product; "" for a slice.
std::string AmountFormula(const Step& step, const MeshShape& mesh);

// FLOPs of the products of a derivation, on one chip or of one copy of the work.
std::string FlopsFormula(const std::vector<Step>& steps, const MeshShape& mesh, bool per_chip);

// Which of the four cases of chapter 3 a product is, one sentence per dimension that matters.
std::vector<std::string> Cases(const BinaryProduct& product, const MeshShape& mesh);

}  // namespace meshstep::einsum

#endif  // MESHSTEP_STRATEGIES_EINSUM_FORMULA_H_
