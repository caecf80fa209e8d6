#include "strategies/algebra/sharding.h"

#include <algorithm>
#include <utility>

#include "sim/base/check.h"

namespace meshstep {
namespace {

using Axes = std::vector<AxisId>;

bool Contains(const Axes& axes, AxisId axis) {
  return std::find(axes.begin(), axes.end(), axis) != axes.end();
}

// The dimension that `axis` shards, or -1.
int DimOf(const Sharding& sharding, AxisId axis) {
  for (std::size_t d = 0; d < sharding.dims.size(); ++d) {
    if (Contains(sharding.dims[d].axes, axis)) return static_cast<int>(d);
  }
  return -1;
}

bool SamePlaces(const Axes& a, const Axes& b) {
  return a.size() == b.size() &&
         std::all_of(a.begin(), a.end(), [&](AxisId axis) { return Contains(b, axis); });
}

std::string JoinAxes(const Axes& axes, std::span<const std::string> names) {
  const bool letters = std::all_of(axes.begin(), axes.end(), [&](AxisId a) {
    return names[static_cast<std::size_t>(a)].size() == 1;
  });
  std::string joined;
  for (AxisId a : axes) {
    joined += (letters || joined.empty() ? "" : ",") + names[static_cast<std::size_t>(a)];
  }
  return letters || axes.size() == 1 ? joined : "{" + joined + "}";
}

// Walks from one sharding to another and records the steps.
class Resharder {
 public:
  Resharder(const Sharding& from, const Sharding& to) : now_(from), to_(to) {}

  std::vector<ReshardStep> Run() && {
    Sum();
    Exchange();
    for (std::size_t d = 0; d < now_.dims.size(); ++d) GatherLeaving(d);
    for (std::size_t d = 0; d < now_.dims.size(); ++d) SliceComing(d);
    for (std::size_t d = 0; d < now_.dims.size(); ++d) {
      if (now_.dims[d].axes != to_.dims[d].axes) Permute(d, to_.dims[d].axes);
    }
    return std::move(steps_);
  }

 private:
  using Op = ReshardStep::Op;

  Axes& axes(std::size_t d) { return now_.dims[d].axes; }
  const std::string& name(std::size_t d) const { return now_.dims[d].name; }

  void Record(Op op, Axes axes, std::string from, std::string to, Sharding after) {
    steps_.push_back({op, std::move(axes), std::move(from), std::move(to), now_, after});
    now_ = std::move(after);
  }

  // ReduceScatters come before the AllReduce, which then moves fewer bytes.
  void Sum() {
    auto is_summed = [&](AxisId axis) { return !Contains(to_.unreduced, axis); };
    for (std::size_t d = 0; d < to_.dims.size(); ++d) {
      Axes scattered;
      for (AxisId axis : to_.dims[d].axes) {
        if (Contains(now_.unreduced, axis)) scattered.push_back(axis);
      }
      if (scattered.empty()) continue;
      Sharding after = now_;
      std::erase_if(after.unreduced, [&](AxisId a) { return Contains(scattered, a); });
      after.dims[d].axes.insert(after.dims[d].axes.end(), scattered.begin(), scattered.end());
      Record(Op::kReduceScatter, scattered, "", name(d), std::move(after));
    }
    Axes reduced;
    std::copy_if(now_.unreduced.begin(), now_.unreduced.end(), std::back_inserter(reduced),
                 is_summed);
    if (reduced.empty()) return;
    Sharding after = now_;
    std::erase_if(after.unreduced, is_summed);
    Record(Op::kAllReduce, reduced, "", "", std::move(after));
  }

  // Dimension that the target shards by `axis` if that is another one than d, else -1.
  int MovesTo(std::size_t d, AxisId axis) const {
    const int target = DimOf(to_, axis);
    return target == static_cast<int>(d) ? -1 : target;
  }

  // Moves the minor axes of d that go to one and the same other dimension; false if there are none.
  bool ExchangeMinor(std::size_t d) {
    const Axes& own = axes(d);
    const int target = own.empty() ? -1 : MovesTo(d, own.back());
    if (target < 0) return false;
    std::size_t first = own.size();
    while (first > 0 && MovesTo(d, own[first - 1]) == target) --first;
    const Axes moved(own.begin() + static_cast<std::ptrdiff_t>(first), own.end());
    Sharding after = now_;
    after.dims[d].axes.resize(first);
    Axes& destination = after.dims[static_cast<std::size_t>(target)].axes;
    destination.insert(destination.end(), moved.begin(), moved.end());
    Record(Op::kAllToAll, moved, name(d), name(static_cast<std::size_t>(target)), after);
    return true;
  }

  // What keeps an axis that moves from being minor is either leaving the array (then it is gathered
  // first) or staying on this dimension (then the order is changed, which moves one local block).
  void Exchange() {
    for (std::size_t d = 0; d < now_.dims.size(); ++d) {
      while (std::any_of(axes(d).begin(), axes(d).end(),
                         [&](AxisId a) { return MovesTo(d, a) >= 0; })) {
        if (ExchangeMinor(d)) continue;
        if (DimOf(to_, axes(d).back()) < 0) {
          GatherFrom(d, FirstOfMinorLeaving(d));
          continue;
        }
        Axes order = axes(d);
        std::stable_partition(order.begin(), order.end(),
                              [&](AxisId a) { return MovesTo(d, a) < 0; });
        Permute(d, order);
      }
    }
  }

  std::size_t FirstOfMinorLeaving(std::size_t d) {
    std::size_t first = axes(d).size();
    while (first > 0 && DimOf(to_, axes(d)[first - 1]) < 0) --first;
    return first;
  }

  void GatherFrom(std::size_t d, std::size_t first) {
    const Axes gathered(axes(d).begin() + static_cast<std::ptrdiff_t>(first), axes(d).end());
    Sharding after = now_;
    after.dims[d].axes.resize(first);
    Record(Op::kAllGather, gathered, name(d), "", std::move(after));
  }

  void GatherLeaving(std::size_t d) {
    const auto leaving =
        std::find_if(axes(d).begin(), axes(d).end(), [&](AxisId a) { return DimOf(to_, a) < 0; });
    if (leaving == axes(d).end()) return;
    GatherFrom(d, static_cast<std::size_t>(leaving - axes(d).begin()));
  }

  void SliceComing(std::size_t d) {
    Axes coming;
    for (AxisId axis : to_.dims[d].axes) {
      if (!Contains(axes(d), axis)) coming.push_back(axis);
    }
    if (coming.empty()) return;
    Sharding after = now_;
    after.dims[d].axes.insert(after.dims[d].axes.end(), coming.begin(), coming.end());
    Record(Op::kSlice, coming, "", name(d), std::move(after));
  }

  void Permute(std::size_t d, const Axes& order) {
    CHECK(SamePlaces(axes(d), order));
    Sharding after = now_;
    after.dims[d].axes = order;
    Record(Op::kPermute, order, name(d), name(d), std::move(after));
  }

  Sharding now_;
  const Sharding& to_;
  std::vector<ReshardStep> steps_;
};

// CheckSharding without names of axes.
Status CheckLegal(const Sharding& sharding) {
  Axes seen;
  for (std::size_t d = 0; d < sharding.dims.size(); ++d) {
    const ShardedDim& dim = sharding.dims[d];
    if (sharding.Find(dim.name) != static_cast<int>(d)) {
      return InvalidInput("dim " + dim.name + " repeated in one array");
    }
    for (AxisId axis : dim.axes) {
      if (Contains(seen, axis)) return InvalidInput("a mesh axis is used twice in one array");
      if (Contains(sharding.unreduced, axis)) {
        return InvalidInput("a mesh axis is both sharded and unreduced in one array");
      }
      seen.push_back(axis);
    }
  }
  return absl::OkStatus();
}

// The rules for the unreduced axes of one operand: the product is linear in it, so the sum can
// wait, but only if the other operand is the same on all chips of those axes.
Status CheckDeferredSums(const Sharding& partial, const Sharding& other) {
  for (AxisId axis : partial.unreduced) {
    if (other.Uses(axis)) {
      return InvalidInput(
          "one operand is unreduced over a mesh axis that the other is sharded or unreduced over: "
          "reduce it before the product");
    }
  }
  return absl::OkStatus();
}

Status CheckOperands(const Sharding& a, const Sharding& b, std::span<const std::string> out) {
  for (const ShardedDim& dim : a.dims) {
    const int in_b = b.Find(dim.name);
    if (in_b >= 0) {
      if (dim.axes == b.dims[static_cast<std::size_t>(in_b)].axes) continue;
      const bool contracted = std::find(out.begin(), out.end(), dim.name) == out.end();
      return InvalidInput(
          "dimension " + dim.name + " is sharded differently in the two operands: " +
          (contracted ? "gather one of them first (case 2)" : "slice or gather one of them first"));
    }
    for (AxisId axis : dim.axes) {
      const int other = DimOf(b, axis);
      if (other < 0) continue;
      return InvalidInput("dimensions " + dim.name + " and " +
                          b.dims[static_cast<std::size_t>(other)].name +
                          " of the two operands share a mesh axis: gather one of them first (case "
                          "4)");
    }
  }
  RETURN_IF_ERROR(CheckDeferredSums(a, b));
  return CheckDeferredSums(b, a);
}

}  // namespace

int Sharding::Find(std::string_view dim) const {
  for (std::size_t d = 0; d < dims.size(); ++d) {
    if (dims[d].name == dim) return static_cast<int>(d);
  }
  return -1;
}

bool Sharding::Uses(AxisId axis) const {
  return Contains(unreduced, axis) || DimOf(*this, axis) >= 0;
}

std::string_view NameOf(ReshardStep::Op op) {
  switch (op) {
    case ReshardStep::Op::kAllGather:
      return "AllGather";
    case ReshardStep::Op::kReduceScatter:
      return "ReduceScatter";
    case ReshardStep::Op::kAllReduce:
      return "AllReduce";
    case ReshardStep::Op::kAllToAll:
      return "AllToAll";
    case ReshardStep::Op::kSlice:
      return "Slice";
    case ReshardStep::Op::kPermute:
      return "Permute";
  }
  return "";
}

StatusOr<std::vector<ReshardStep>> Reshard(const Sharding& from, const Sharding& to) {
  RETURN_IF_ERROR(CheckLegal(from));
  RETURN_IF_ERROR(CheckLegal(to));
  bool same_dims = from.dims.size() == to.dims.size();
  for (std::size_t d = 0; same_dims && d < from.dims.size(); ++d) {
    same_dims = from.dims[d].name == to.dims[d].name;
  }
  if (!same_dims) return InvalidInput("a change of sharding keeps the dimensions and their order");
  for (AxisId axis : to.unreduced) {
    if (!Contains(from.unreduced, axis)) {
      return InvalidInput("an array that is summed over a mesh axis cannot become unreduced again");
    }
  }
  return Resharder(from, to).Run();
}

double ShardCount(const Sharding& sharding, std::span<const int> axis_sizes) {
  double count = 1;
  for (const ShardedDim& dim : sharding.dims) {
    for (AxisId axis : dim.axes) count *= axis_sizes[static_cast<std::size_t>(axis)];
  }
  return count;
}

Status CheckSharding(std::string_view array, const Sharding& sharding,
                     std::span<const std::string> axis_names) {
  const std::string in_array = " in " + std::string(array);
  Axes seen;
  auto named = [&](AxisId axis) { return "axis " + axis_names[static_cast<std::size_t>(axis)]; };
  for (std::size_t d = 0; d < sharding.dims.size(); ++d) {
    const ShardedDim& dim = sharding.dims[d];
    if (sharding.Find(dim.name) != static_cast<int>(d)) {
      return InvalidInput("dim " + dim.name + " repeated" + in_array +
                          ": name each dimension of an array once");
    }
    for (AxisId axis : dim.axes) {
      CHECK(axis >= 0 && static_cast<std::size_t>(axis) < axis_names.size());
      if (Contains(seen, axis)) {
        return InvalidInput(named(axis) + " used twice" + in_array +
                            ": a mesh axis shards at most one dimension of an array, so drop it "
                            "from one of them");
      }
      if (Contains(sharding.unreduced, axis)) {
        return InvalidInput(named(axis) + " both sharded and unreduced" + in_array +
                            ": a ReduceScatter turns one into the other, so keep only one");
      }
      seen.push_back(axis);
    }
  }
  for (std::size_t i = 0; i < sharding.unreduced.size(); ++i) {
    const auto begin = sharding.unreduced.begin();
    if (std::count(begin, sharding.unreduced.end(), sharding.unreduced[i]) > 1) {
      return InvalidInput(named(sharding.unreduced[i]) + " unreduced twice" + in_array +
                          ": name each axis of {U} once");
    }
  }
  return absl::OkStatus();
}

StatusOr<Sharding> LocalProduct(const Sharding& a, const Sharding& b,
                                std::span<const std::string> out) {
  RETURN_IF_ERROR(CheckLegal(a));
  RETURN_IF_ERROR(CheckLegal(b));
  RETURN_IF_ERROR(CheckOperands(a, b, out));
  Sharding result;
  for (const std::string& name : out) {
    const int in_a = a.Find(name), in_b = b.Find(name);
    if (in_a < 0 && in_b < 0) return InvalidInput("output dim " + name + " absent from inputs");
    if (result.Find(name) >= 0) return InvalidInput("dim " + name + " repeated in the output");
    result.dims.push_back(in_a >= 0 ? a.dims[static_cast<std::size_t>(in_a)]
                                    : b.dims[static_cast<std::size_t>(in_b)]);
  }
  auto add_unreduced = [&](const Axes& axes) {
    for (AxisId axis : axes) {
      if (!Contains(result.unreduced, axis)) result.unreduced.push_back(axis);
    }
  };
  for (const Sharding* operand : {&a, &b}) {
    add_unreduced(operand->unreduced);
    for (const ShardedDim& dim : operand->dims) {
      if (result.Find(dim.name) < 0) add_unreduced(dim.axes);
    }
  }
  return result;
}

std::string ToString(const Sharding& sharding, std::span<const std::string> axis_names) {
  std::string text = "[";
  for (std::size_t d = 0; d < sharding.dims.size(); ++d) {
    const ShardedDim& dim = sharding.dims[d];
    text += (d == 0 ? "" : ",") + dim.name;
    if (!dim.axes.empty()) text += "_" + JoinAxes(dim.axes, axis_names);
  }
  text += "]";
  if (!sharding.unreduced.empty()) text += "{U_" + JoinAxes(sharding.unreduced, axis_names) + "}";
  return text;
}

}  // namespace meshstep
