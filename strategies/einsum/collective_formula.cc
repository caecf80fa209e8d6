#include "strategies/einsum/collective_formula.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/cost/collective_model.h"

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
                                     CostModel model, std::optional<double> hop_latency)
    : hardware_(hardware), mesh_(mesh), model_(model), rings_(Rings(hardware, mesh)) {
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
  } else if (shape.any_line || model_ == CostModel::kRing) {
    time.bandwidth_s = sums * volume * (shape.chips - 1) / (shape.chips * shape.bandwidth);
    time.formula = twice + "V (N-1)/(N " + (shape.any_line ? "w" : "W") + n + ")";
  } else {
    time.bandwidth_s = sums * volume / shape.bandwidth;
    time.formula = twice + "V/" + (n.empty() ? "W" : "(W n)");
  }
  time.latency_s = sums * shape.hops * hop_latency_;
  if (time.latency_s > time.bandwidth_s) time.formula = twice + "hops x latency";
  return time;
}

// Axes are laid out with the last one innermost. A group that spans domains moves the rest of the
// array over the scale-out links of its own chips.
CollectiveTime CollectiveFormula::OnSwitch(Op op, const std::vector<AxisId>& axes,
                                           const Shape& shape, double volume) const {
  double inner = 1;
  const AxisId last = *std::max_element(axes.begin(), axes.end());
  for (std::size_t a = mesh_.axes.size() - 1; a > static_cast<std::size_t>(last); --a) {
    inner *= mesh_.axes[a].size;
  }
  const double domain = std::max(1, hardware_.interconnect.domain_chips);
  const double local = std::clamp(std::floor(domain / inner), 1.0, shape.chips);
  const double domains = shape.chips / local;
  const double link = hardware_.link.value(), out = hardware_.scale_out.value();
  const bool book = model_ == CostModel::kBook;
  CollectiveTime time;
  const double sums = op == Op::kAllReduce ? 2 : 1;
  const std::string twice = sums == 2 ? "2 " : "";
  if (IsExchange(op)) {
    const double block = volume / (shape.chips * shape.chips);
    const double within = block * (book ? local : local - 1) / link;
    const double across = domains > 1 ? block * (shape.chips - local) / out : 0;
    time.bandwidth_s = std::max(within, across);
    time.formula = across > within ? "V (N-D)/(N^2 w_out)" : book ? "V/(N w)" : "V (N-1)/(N^2 w)";
  } else {
    const double within = local > 1 ? sums * volume * (book ? 1 : (local - 1) / local) / link : 0;
    const double across = domains > 1 ? sums * volume * (domains - 1) / (domains * local * out) : 0;
    time.bandwidth_s = std::max(within, across);
    time.formula = twice + (across > within ? "V (M-1)/(M D w_out)"
                            : book          ? "V/w"
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
    return {unknown, unknown, ""};
  }
  return hardware_.is_switch() ? OnSwitch(op, axes, shape, volume) : OnTorus(op, shape, volume);
}

}  // namespace meshstep::einsum
