// A collective written as a call: AllGather_XY(A), ReduceScatter_{Y,J}(A), AllToAll_{Z->B}(A).

#ifndef MESHSTEP_STRATEGIES_EINSUM_NOTATION_COLLECTIVE_CALL_H_
#define MESHSTEP_STRATEGIES_EINSUM_NOTATION_COLLECTIVE_CALL_H_

#include <optional>
#include <string>

#include "strategies/einsum/notation/array_parser.h"
#include "strategies/einsum/notation/expression.h"

namespace meshstep::einsum {

// The collective of that name in any spelling ("all-gather"), if it is one.
std::optional<ReshardStep::Op> CollectiveOf(const std::string& name);

// Reads "XY", "{Y,J}", "{Z->B}", "X:I->J" or "Y,J" after the underscore into call->axes, from, to.
Status ParseCallSubscript(TokenStream* tokens, const ArrayParser& arrays, Statement* call);

// Fills in the axes that were left out, and the output from the input, axes and dimensions.
// `wanted`: the output that was written, if any (it tells the dimension of a ReduceScatter).
Status DeriveOutput(const MeshShape& mesh, const ShardedArray* wanted, Statement* call);

}  // namespace meshstep::einsum

#endif  // MESHSTEP_STRATEGIES_EINSUM_NOTATION_COLLECTIVE_CALL_H_
