#include "strategies/einsum/notation/axes_by_dim.h"

#include <algorithm>
#include <utility>

namespace meshstep::einsum {

bool Contains(const Axes& axes, AxisId axis) {
  return std::find(axes.begin(), axes.end(), axis) != axes.end();
}

void AddOnce(Axes* axes, AxisId axis) {
  if (!Contains(*axes, axis)) axes->push_back(axis);
}

Axes AxesOf(const Sharding& sharding, const std::string& dim) {
  const int d = sharding.Find(dim);
  return d < 0 ? Axes{} : sharding.dims[static_cast<std::size_t>(d)].axes;
}

std::string DimOf(const Sharding& sharding, AxisId axis) {
  for (const ShardedDim& dim : sharding.dims) {
    if (Contains(dim.axes, axis)) return dim.name;
  }
  return "";
}

Sharding ShardedBy(const AxesByDim& table, const Sharding& operand, Axes unreduced) {
  Sharding placed;
  placed.unreduced = std::move(unreduced);
  for (const ShardedDim& dim : operand.dims) {
    const auto found = table.find(dim.name);
    placed.dims.push_back({dim.name, found == table.end() ? Axes{} : found->second});
  }
  return placed;
}

}  // namespace meshstep::einsum
