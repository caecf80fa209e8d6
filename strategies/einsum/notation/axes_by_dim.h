// Mesh axes on the dimensions of an array: look-ups in a sharding, and a sharding from such a
// table.

#ifndef MESHSTEP_STRATEGIES_EINSUM_NOTATION_AXES_BY_DIM_H_
#define MESHSTEP_STRATEGIES_EINSUM_NOTATION_AXES_BY_DIM_H_

#include <map>
#include <string>
#include <vector>

#include "sim/base/ids.h"
#include "strategies/algebra/sharding.h"

namespace meshstep::einsum {

using Axes = std::vector<AxisId>;

// Axes by the name of the dimension they shard, major first.
using AxesByDim = std::map<std::string, Axes>;

bool Contains(const Axes& axes, AxisId axis);
void AddOnce(Axes* axes, AxisId axis);

// The axes of `dim`, none if the array does not have it.
Axes AxesOf(const Sharding& sharding, const std::string& dim);

// The dimension of `sharding` that `axis` shards, or "".
std::string DimOf(const Sharding& sharding, AxisId axis);

// The dimensions of `operand`, sharded as the table says.
Sharding ShardedBy(const AxesByDim& table, const Sharding& operand, Axes unreduced);

}  // namespace meshstep::einsum

#endif  // MESHSTEP_STRATEGIES_EINSUM_NOTATION_AXES_BY_DIM_H_
