#include "strategies/plan/plan.h"

#include <algorithm>

#include "sim/base/checked.h"

namespace meshstep {
namespace {

const std::string& WholeName(const AxisRequest& axis) {
  return axis.part_of.empty() ? axis.name : axis.part_of;
}

bool Shards(const std::vector<Rule>& rules, const char* dim, AxisId axis) {
  return Apply(rules, {dim}).Uses(axis);
}

std::string ExpertName(const Plan& plan, AxisId axis) {
  if (Shards(plan.rules.experts, "E", axis)) return "expert";
  return Shards(plan.rules.experts, "F_e", axis) ? "expert-tensor" : "expert-data";
}

}  // namespace

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

std::vector<std::string> AxisNames(const Plan& plan, std::span<const AxisId> axes, bool experts) {
  std::vector<std::string> names;
  for (const AxisId axis : axes) {
    const std::string name =
        experts ? ExpertName(plan, axis) : WholeName(plan.axes[static_cast<std::size_t>(axis)]);
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

std::vector<AxisId> AxesNamed(const Plan& plan, std::string_view name, bool experts) {
  std::vector<AxisId> axes;
  if (experts && plan.rules.experts.empty()) return axes;
  for (AxisId axis = 0; axis < static_cast<AxisId>(plan.axes.size()); ++axis) {
    if (AxisNames(plan, {&axis, 1}, experts).front() == name) axes.push_back(axis);
  }
  return axes;
}

std::vector<std::pair<std::string, int>> Degrees(const Plan& plan) {
  std::vector<std::pair<std::string, int>> degrees;
  for (const AxisRequest& axis : plan.axes) {
    if (!degrees.empty() && degrees.back().first == WholeName(axis)) {
      degrees.back().second = SaturatingMultiply(degrees.back().second, axis.size);
    } else {
      degrees.emplace_back(WholeName(axis), axis.size);
    }
  }
  for (const auto& [name, dim] : {std::pair{"expert", "E"}, std::pair{"expert-tensor", "F_e"}}) {
    int size = 1;
    for (AxisId axis = 0; axis < static_cast<AxisId>(plan.axes.size()); ++axis) {
      if (Shards(plan.rules.experts, dim, axis)) size *= plan.axis_size(axis);
    }
    const bool listed =
        std::any_of(degrees.begin(), degrees.end(),
                    [name = name](const auto& degree) { return degree.first == name; });
    if (size > 1 && !listed) degrees.emplace_back(name, size);
  }
  return degrees;
}

std::vector<AxisId> FindAxes(const Plan& plan, std::string_view name) {
  std::vector<AxisId> parts;
  for (AxisId axis = static_cast<AxisId>(plan.axes.size()) - 1; axis >= 0; --axis) {
    const AxisRequest& request = plan.axes[static_cast<std::size_t>(axis)];
    if (request.name == name) return {axis};
    if (request.part_of == name) parts.push_back(axis);
  }
  return parts;
}

Sharding Spread(const Plan& plan, Sharding sharding, std::string_view dim) {
  const int at = sharding.Find(dim);
  for (AxisId axis = static_cast<AxisId>(plan.axes.size()) - 1; axis >= 0 && at >= 0; --axis) {
    if (axis == plan.pipeline || sharding.Uses(axis)) continue;
    sharding.dims[static_cast<std::size_t>(at)].axes.push_back(axis);
  }
  return sharding;
}

int RangeOf(const Plan& plan, int layer) {
  for (int i = static_cast<int>(plan.layer_ranges.size()) - 1; i >= 0; --i) {
    const LayerRange& range = plan.layer_ranges[static_cast<std::size_t>(i)];
    if (range.begin <= layer && layer < range.end) return i;
  }
  return -1;
}

Plan WithRange(const Plan& plan, const LayerRange& range) {
  Plan own = plan;
  own.precision = range.precision;
  own.recompute = range.recompute;
  own.recompute_modules = range.recompute_modules;
  own.recompute_keep = range.recompute_keep;
  own.offload = range.offload;
  return own;
}

}  // namespace meshstep
