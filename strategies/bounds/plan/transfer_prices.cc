#include "strategies/bounds/plan/transfer_prices.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/index.h"

namespace meshstep {
namespace {

constexpr std::size_t kMostKept = 1 << 18;  // some fifty megabytes

// The phases of a group on links that nobody else uses, in whole picoseconds below.
std::int64_t IdleTime(const UnitGroup& group, const StepUnits& units) {
  std::int64_t ps = 0;
  for (const CostPhase& phase : group.cost.phases) {
    double slowest = 0;
    for (const LinkDemand& demand : phase.demands) {
      const BytesPerSecond capacity = units.links()[Index(demand.link)].capacity;
      slowest = std::max(slowest, demand.bytes.value() / capacity.value());
    }
    ps += phase.latency.ps();
    ps += std::max<std::int64_t>(0, static_cast<std::int64_t>(std::floor(slowest * 1e12)) - 1);
  }
  return ps;
}

StatusOr<TransferPrice> PriceOf(int transfer, int stages, const StepUnits& units) {
  constexpr double kNone = std::numeric_limits<double>::infinity();
  TransferPrice least{std::numeric_limits<std::int64_t>::max(), kNone};
  for (int stage = 0; stage < stages; ++stage) {
    ASSIGN_OR_RETURN(const std::vector<UnitGroup> groups, units.Groups(transfer, stage));
    for (const UnitGroup& group : groups) {
      least.ps = std::min(least.ps, IdleTime(group, units));
      const bool takes = group.cost.algorithm != nullptr;
      least.channels = std::min(least.channels, takes ? group.cost.units : 0);
    }
  }
  return least.channels == kNone ? TransferPrice() : least;
}

bool StaysInNode(const TransferSpec& spec, const Mesh& mesh) {
  return std::ranges::none_of(mesh.GroupOf(spec.axes, 0).dims, [](const Group::Dim& dim) {
    return dim.kind == Level::Kind::kNetwork;
  });
}

}  // namespace

TransferPrices::Key TransferPrices::KeyOf(int transfer, const PreparedStep& step,
                                          bool tensor_first) {
  const Plan& plan = step.scenario().plan;
  Key key{step.priced(), 0, 0, step.transfers()[transfer]};
  constexpr AxisId kTensor = 0, kContext = 1;
  std::vector<AxisId> named;
  for (const AxisId axis : key.spec.axes) {
    const std::string& name = plan.axes[Index(axis)].name;
    if (name != "tensor" && name != "context") return key;
    named.push_back(name == "tensor" ? kTensor : kContext);
  }
  const bool alike = tensor_first && !key.spec.experts && key.spec.role == Role::kActivations &&
                     StaysInNode(key.spec, *key.mesh->placed->mesh);
  if (!alike) return key;
  key.mesh = nullptr;
  key.spec.axes = std::move(named);
  for (const AxisRequest& axis : plan.axes) {
    if (axis.name == "tensor") key.tensor = axis.size;
    if (axis.name == "context") key.context = axis.size;
  }
  return key;
}

StatusOr<TransferPrice> TransferPrices::Of(int transfer, const PreparedStep& step,
                                           bool tensor_first, std::optional<StepUnits>* units) {
  const Plan& plan = step.scenario().plan;
  const auto price = [&] {
    if (!*units) units->emplace(step.UnitsForPrices());
    return PriceOf(transfer, plan.stages, **units);
  };
  // Where the plan names algorithms, prices depend on it too.
  if (!plan.collectives.empty()) return price();
  const Key key = KeyOf(transfer, step, tensor_first);
  const auto there = kept_.find(key);
  if (there != kept_.end()) return there->second;
  ASSIGN_OR_RETURN(const TransferPrice least, price());
  if (kept_.size() >= kMostKept) kept_.clear();
  kept_.emplace(key, least);
  return least;
}

}  // namespace meshstep
