// Reads an exercise in the notation of "How To Scale Your Model", in the spellings people use:
//
//   A[I_X, J_Y] · B[J_Y, K] -> C[I_X, K]              . * @ \cdot, with ._D, *D or ._LOCAL
//   In[B_X,D] * W_in[D_X,F] * W_out[F,D_X] -> Out[B_X,D]     a chain, left to right
//   AllGather_XY([B, D_{XY}])   ReduceScatter_{Y,J} : A[I_X,J]{U_Y} -> A[I_X,J_Y]
//   Q[B_Z, N_Y, H] = AllToAll_{Z->B}(Q[B, N_YZ, H])
//   int8[128, 2048] with A[I_XY, J]      A[B_X, D] * bf16 W[D, F] with B=1024, D=4096
//   Mesh({'X': 4, 'Y': 8}); A[I_X, J] -> A[I, J]
//
// Statements are separated by ";" or a new line. I_XY is two axes unless the mesh has one called
// XY. Case of axes matters only if the mesh has both.

#ifndef MESHSTEP_STRATEGIES_EINSUM_NOTATION_PARSER_H_
#define MESHSTEP_STRATEGIES_EINSUM_NOTATION_PARSER_H_

#include <string>

#include "strategies/einsum/notation/expression.h"

namespace meshstep::einsum {

// Error: one sentence that names the array, the dimension or axis, the rule it breaks and what to
// do, for the first problem found.
StatusOr<Expression> ParseExpression(const std::string& text, const MeshShape& mesh);

}  // namespace meshstep::einsum

#endif  // MESHSTEP_STRATEGIES_EINSUM_NOTATION_PARSER_H_
