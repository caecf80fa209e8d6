#include "strategies/einsum/reshard_variants.h"

#include <algorithm>
#include <utility>

namespace meshstep::einsum {
namespace {

using Op = ReshardStep::Op;
using Steps = std::vector<ReshardStep>;
using Axes = std::vector<AxisId>;

// `from` with the slices of `to` done that are possible right away: on dimensions whose axes begin
// those of the target, by axes that nothing in the array uses.
Sharding SlicedFirst(const Sharding& from, const Sharding& to) {
  Sharding sliced = from;
  for (std::size_t d = 0; d < from.dims.size(); ++d) {
    const Axes& now = from.dims[d].axes;
    const Axes& wanted = to.dims[d].axes;
    if (now.size() > wanted.size() || !std::equal(now.begin(), now.end(), wanted.begin())) continue;
    for (std::size_t i = now.size(); i < wanted.size() && !from.Uses(wanted[i]); ++i) {
      sliced.dims[d].axes.push_back(wanted[i]);
    }
  }
  return sliced;
}

// `from` with the axes that leave each dimension moved behind those that stay.
Sharding LeavingMinor(const Sharding& from, const Sharding& to) {
  Sharding ordered = from;
  for (std::size_t d = 0; d < from.dims.size(); ++d) {
    const Axes& wanted = to.dims[d].axes;
    std::stable_partition(ordered.dims[d].axes.begin(), ordered.dims[d].axes.end(), [&](AxisId a) {
      return std::find(wanted.begin(), wanted.end(), a) != wanted.end();
    });
  }
  return ordered;
}

// Gathers of different dimensions that follow each other, joined into one over all their axes.
Steps Joined(const Steps& steps) {
  Steps joined;
  for (const ReshardStep& step : steps) {
    const bool join =
        !joined.empty() && step.op == Op::kAllGather && joined.back().op == Op::kAllGather;
    if (!join) {
      joined.push_back(step);
      continue;
    }
    ReshardStep& last = joined.back();
    last.axes.insert(last.axes.end(), step.axes.begin(), step.axes.end());
    if (last.from != step.from) last.from.clear();
    last.after = step.after;
  }
  return joined;
}

bool Same(const Steps& a, const Steps& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.op == y.op && x.axes == y.axes && x.before == y.before && x.after == y.after;
  });
}

}  // namespace

StatusOr<std::vector<Steps>> ReshardVariants(const Sharding& from, const Sharding& to) {
  std::vector<Steps> variants;
  auto add = [&](Steps steps) {
    for (const Steps& known : variants) {
      if (Same(known, steps)) return;
    }
    variants.push_back(std::move(steps));
  };
  auto add_via = [&](const Sharding& between) -> Status {
    ASSIGN_OR_RETURN(Steps steps, Reshard(from, between));
    ASSIGN_OR_RETURN(const Steps rest, Reshard(between, to));
    steps.insert(steps.end(), rest.begin(), rest.end());
    add(Joined(steps));
    add(std::move(steps));
    return absl::OkStatus();
  };
  ASSIGN_OR_RETURN(Steps direct, Reshard(from, to));
  add(direct);
  if (direct.size() < 2) return variants;
  add(Joined(direct));
  const Sharding sliced = SlicedFirst(from, to);
  RETURN_IF_ERROR(add_via(sliced));
  RETURN_IF_ERROR(add_via(LeavingMinor(from, to)));
  RETURN_IF_ERROR(add_via(LeavingMinor(sliced, to)));
  return variants;
}

}  // namespace meshstep::einsum
