#include "strategies/einsum/collective_formula.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "strategies/bounds/tiers.h"

namespace meshstep::einsum {
namespace {

using Op = ReshardStep::Op;

bool IsExchange(Op op) { return op == Op::kAllToAll || op == Op::kPermute; }

}  // namespace

std::string_view NameOf(CostModel model) {
  switch (model) {
    case CostModel::kChip:
      return "chip";
    case CostModel::kBook:
      return "book";
    case CostModel::kRing:
      return "ring";
    case CostModel::kNoWrap:
      return "no-wrap";
  }
  return "";
}

StatusOr<CostModel> ParseCostModel(const std::string& name) {
  for (CostModel model :
       {CostModel::kChip, CostModel::kBook, CostModel::kRing, CostModel::kNoWrap}) {
    if (name == NameOf(model)) return model;
  }
  return InvalidInput("cost model is \"" + name + "\", expected one of chip, book, ring, no-wrap");
}

double SentBytes(Op op, double chips, double volume) {
  const double others = (chips - 1) / chips;
  switch (op) {
    case Op::kAllGather:
    case Op::kReduceScatter:
      return volume * others;
    case Op::kAllReduce:
      return 2 * volume * others;
    case Op::kAllToAll:
      return volume * others / chips;
    case Op::kPermute:
      return volume / chips;
    case Op::kSlice:
      return 0;
  }
  return 0;
}

CollectiveFormula::CollectiveFormula(const Hardware& hardware, const MeshShape& mesh,
                                     CostModel model, std::optional<double> hop_latency,
                                     const std::vector<AxisId>& order)
    : hardware_(hardware),
      mesh_(mesh),
      model_(model),
      rings_(Rings(hardware, mesh)),
      locals_(LocalSizes(hardware, mesh, order)) {
  hop_latency_ = model == CostModel::kChip ? hardware.interconnect.latency.value() : 0;
  if (hop_latency) hop_latency_ = *hop_latency;
}

CollectiveFormula::Shape CollectiveFormula::ShapeOf(const std::vector<AxisId>& axes) const {
  Shape shape;
  for (AxisId axis : axes) {
    const auto a = static_cast<std::size_t>(axis);
    for (std::size_t i = 0; i < mesh_.axes[a].physical.size(); ++i) {
      const int size = mesh_.axes[a].physical[i];
      if (size == 1) continue;
      const bool ring =
          model_ == CostModel::kNoWrap ? false : model_ != CostModel::kChip || rings_[a][i];
      shape.chips *= size;
      ++shape.dims;
      shape.longest = std::max(shape.longest, size);
      shape.any_line = shape.any_line || !ring;
      shape.bandwidth += hardware_.link.value() * (ring ? 2 : 1);
      shape.hops += ring ? size / 2 : size - 1;
    }
  }
  return shape;
}

CollectiveTime CollectiveFormula::OnTorus(Op op, const Shape& shape, double volume) const {
  CollectiveTime time;
  const double sums = op == Op::kAllReduce ? 2 : 1;
  const std::string twice = sums == 2 ? "2 " : "";
  const std::string n = shape.dims > 1 ? " n" : "";
  if (IsExchange(op)) {
    // A line of D carries (D/2)^2 of the D^2 blocks over its middle link, a ring half of that.
    const double longest = shape.longest, link = hardware_.link.value() * (shape.any_line ? 1 : 2);
    time.bandwidth_s = volume * longest / (4 * shape.chips * link);
    time.formula = shape.dims > 1 ? "V D/(4 N W)" : "V/(4 W)";
    if (shape.any_line) time.formula = shape.dims > 1 ? "V D/(4 N w)" : "V/(4 w)";
  } else if (shape.any_line || model_ != CostModel::kBook) {
    time.bandwidth_s = sums * volume * (shape.chips - 1) / (shape.chips * shape.bandwidth);
    time.formula = twice + "V (N-1)/(N " + (shape.any_line ? "w" : "W") + n + ")";
  } else {
    time.bandwidth_s = sums * volume / shape.bandwidth;
    time.formula = twice + "V/" + (n.empty() ? "W" : "(W n)");
  }
  time.hops = sums * shape.hops;
  time.latency_s = time.hops * hop_latency_;
  if (time.latency_s > time.bandwidth_s) time.formula = twice + "hops x latency";
  return time;
}

// A group that spans domains moves the rest of the array over the scale-out links of its own chips.
CollectiveTime CollectiveFormula::OnSwitch(Op op, const std::vector<AxisId>& axes,
                                           const Shape& shape, double volume) const {
  double local = 1;
  for (AxisId axis : axes) local *= locals_[static_cast<std::size_t>(axis)];
  const Tiers tiers{static_cast<double>(hardware_.interconnect.domain_chips),
                    hardware_.link.value(), hardware_.scale_out.value(),
                    hardware_.interconnect.kind == Interconnect::Kind::kFullMesh};
  const TierGroup group{shape.chips, local};
  const bool book = model_ == CostModel::kBook;
  const WithinDomain within = book ? WithinDomain::kBook : WithinDomain::kExact;
  const double sums = op == Op::kAllReduce ? 2 : 1;
  const std::string twice = sums == 2 ? "2 " : "";
  CollectiveTime time;
  if (IsExchange(op)) {
    const TierTime tier = ExchangeTime(tiers, group, volume, within);
    time.bandwidth_s = tier.total();
    time.formula = tier.across > tier.within ? "V (N-D)/(N^2 w_out)"
                   : book                    ? "V/(N w)"
                                             : "V (N-1)/(N^2 w)";
  } else {
    const TierTime tier = GatherTime(tiers, group, sums * volume, within);
    time.bandwidth_s = tier.total();
    time.formula = twice + (tier.across > tier.within ? "V (M-1)/(M D w_out)"
                            : book                    ? "V/w"
                                                      : "V (N-1)/(N w)");
  }
  time.latency_s = sums * std::ceil(std::log2(shape.chips)) * hop_latency_;
  if (time.latency_s > time.bandwidth_s) time.formula = twice + "log2(N) x latency";
  return time;
}

CollectiveTime CollectiveFormula::Of(Op op, const std::vector<AxisId>& axes, double volume) const {
  const Shape shape = ShapeOf(axes);
  if (op == Op::kSlice || shape.chips == 1) return {};
  if (hardware_.link.value() <= 0) {
    const double unknown = std::numeric_limits<double>::quiet_NaN();
    return {unknown, unknown, 0, ""};
  }
  return hardware_.is_switch() ? OnSwitch(op, axes, shape, volume) : OnTorus(op, shape, volume);
}

}  // namespace meshstep::einsum
