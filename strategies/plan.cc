#include "strategies/plan.h"

namespace meshstep {

Sharding Apply(const std::vector<Rule>& rules, const std::vector<std::string>& dims) {
  Sharding sharding;
  for (const std::string& dim : dims) sharding.dims.push_back({dim, {}});
  for (const Rule& rule : rules) {
    const int at = sharding.Find(rule.dim);
    if (at < 0) continue;
    for (const AxisId axis : rule.axes) {
      if (!sharding.Uses(axis)) sharding.dims[static_cast<std::size_t>(at)].axes.push_back(axis);
    }
  }
  return sharding;
}

}  // namespace meshstep
