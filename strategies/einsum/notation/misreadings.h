// Readings of an expression that are legal and likely not what a person meant. Each is one sentence
// with the reading and the likely meaning. Dimensions that have a size were meant.
//
//   A[IX,J] beside an axis X          IX is one dimension; I over X is I_X
//   A[I_X,Y,J] beside an axis Y       Y is a dimension; I over X and Y is I_XY
//   A[I,J] . B[L,K] -> C[I,K]         J and L are summed on their own; one of them is the other
//   A[B,I,J] . W[B,J,K]               B is contracted; a batch dimension is in a written output

#ifndef MESHSTEP_STRATEGIES_EINSUM_NOTATION_MISREADINGS_H_
#define MESHSTEP_STRATEGIES_EINSUM_NOTATION_MISREADINGS_H_

#include <string>
#include <vector>

#include "strategies/einsum/notation/expression.h"

namespace meshstep::einsum {

std::vector<std::string> LikelyMisreadings(const Expression& expression);

}  // namespace meshstep::einsum

#endif  // MESHSTEP_STRATEGIES_EINSUM_NOTATION_MISREADINGS_H_
