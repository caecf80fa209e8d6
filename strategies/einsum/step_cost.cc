#include "strategies/einsum/step_cost.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "strategies/einsum/answer.h"
#include "strategies/einsum/formula.h"
#include "strategies/einsum/reshard_variants.h"

namespace meshstep::einsum {
namespace {

using Op = ReshardStep::Op;
constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

std::string DimText(const ReshardStep& step) {
  switch (step.op) {
    case Op::kAllGather:
    case Op::kPermute:
      return step.from;
    case Op::kReduceScatter:
    case Op::kSlice:
      return step.to;
    case Op::kAllToAll:
      return step.from + "->" + step.to;
    case Op::kAllReduce:
      return "";
  }
  return "";
}

// Less bytes or seconds first; what is not known does not count.
double Known(double value) { return std::isnan(value) ? 0 : value; }

}  // namespace

StepCost::StepCost(const Expression& expression, const SolveOptions& options)
    : expression_(expression),
      options_(options),
      collectives_(options.hardware ? *options.hardware : no_hardware_, expression.mesh,
                   options.model, options.hop_latency, options.order) {}

double StepCost::LocalBytes(const ShardedArray& array) const {
  return LocalElements(array.sharding, expression_.mesh, expression_.sizes) *
         meshstep::SizeOf(DtypeOf(array)).value();
}

// False if a change of order only concerns axes of size 1.
bool StepCost::Reorders(const ReshardStep& reshard) const {
  auto order = [&](const Sharding& sharding) {
    std::vector<AxisId> axes =
        sharding.dims[static_cast<std::size_t>(sharding.Find(reshard.from))].axes;
    std::erase_if(axes, [&](AxisId a) {
      return expression_.mesh.axes[static_cast<std::size_t>(a)].size == 1;
    });
    return axes;
  };
  return order(reshard.before) != order(reshard.after);
}

Step StepCost::Move(const ShardedArray& array, const ReshardStep& reshard) const {
  const MeshShape& mesh = expression_.mesh;
  Step step;
  step.reshard = reshard;
  step.array = array.name;
  step.from = ToString(ShardedArray{array.name, reshard.before, {}}, mesh);
  step.to = ToString(ShardedArray{array.name, reshard.after, {}}, mesh);
  step.dim = DimText(reshard);
  for (AxisId axis : reshard.axes) {
    const int size = mesh.axes[static_cast<std::size_t>(axis)].size;
    if (size > 1) step.axes.push_back(axis);
    step.chips *= size;
  }
  if (reshard.op == Op::kPermute && !Reorders(reshard)) step.axes.clear();
  const bool sums = reshard.op == Op::kAllReduce || reshard.op == Op::kReduceScatter;
  ShardedArray before{array.name, reshard.before, array.dtype};
  if (sums && options_.reduce_dtype) before.dtype = options_.reduce_dtype;
  step.dtype = DtypeOf(before);
  if (reshard.op == Op::kSlice || step.axes.empty()) return step;
  step.volume = LocalBytes(before) * (sums ? 1 : step.chips);
  step.sent = SentBytes(reshard.op, step.chips, step.volume);
  const CollectiveTime time = collectives_.Of(reshard.op, step.axes, step.volume);
  step.seconds = time.total();
  step.hops = time.hops;
  step.latency_s = time.latency_s > time.bandwidth_s ? time.latency_s : 0;
  step.formula = time.formula;
  return step;
}

ArrayMemory StepCost::MemoryOf(const ShardedArray& array) const {
  ArrayMemory memory;
  memory.array = ToString(array, expression_.mesh);
  memory.name = array.name;
  double elements = 1;
  for (const ShardedDim& dim : array.sharding.dims) {
    memory.local_shape.push_back(LocalElements({{dim}, {}}, expression_.mesh, expression_.sizes));
    elements *= einsum::SizeOf(dim.name, expression_.sizes);
  }
  memory.bytes_per_chip = LocalBytes(array);
  memory.formula = LocalBytesFormula(array, DtypeOf(array), expression_.mesh);
  memory.bytes_all_chips = memory.bytes_per_chip * expression_.mesh.Chips();
  const double shards = ShardCount(array.sharding, expression_.mesh.Sizes());
  memory.fraction = 1 / shards;
  memory.copies = expression_.mesh.Chips() / shards;
  memory.bytes_one_copy = elements * meshstep::SizeOf(DtypeOf(array)).value();
  return memory;
}

Step StepCost::Product(const BinaryProduct& product, const ShardedArray& result) const {
  const MeshShape& mesh = expression_.mesh;
  Step step;
  step.is_product = true;
  step.product = product;
  step.result = result.sharding;
  step.array = result.name;
  step.from = ToString(product.left, mesh) + " . " + ToString(product.right, mesh);
  step.to = ToString(result, mesh);
  // Every dimension of the local product: those of the operands as they are sharded here.
  Sharding all = product.left.sharding;
  for (const ShardedDim& dim : product.right.sharding.dims) {
    if (all.Find(dim.name) < 0) all.dims.push_back(dim);
  }
  step.flops = LocalElements(all, mesh, expression_.sizes) * (product.contracted.empty() ? 1 : 2);
  step.hbm_bytes = LocalBytes(product.left) + LocalBytes(product.right) + LocalBytes(result);
  // Narrow weights are widened to multiply with wide activations (sharding_rules, section 4).
  const Dtype left = DtypeOf(product.left), right = DtypeOf(product.right);
  step.dtype = meshstep::SizeOf(right) > meshstep::SizeOf(left) ? right : left;
  const double peak = options_.hardware ? options_.hardware->peak(step.dtype).value() : 0;
  step.seconds = peak > 0 ? step.flops / peak : kUnknown;
  step.formula = "FLOPs/C";
  return step;
}

StatusOr<std::vector<std::vector<Step>>> StepCost::Ways(const ShardedArray& array,
                                                        const Sharding& to) const {
  ASSIGN_OR_RETURN(const auto variants, ReshardVariants(array.sharding, to));
  std::vector<std::vector<Step>> ways;
  for (const std::vector<ReshardStep>& variant : variants) {
    std::vector<Step> steps;
    for (const ReshardStep& reshard : variant) steps.push_back(Move(array, reshard));
    ways.push_back(std::move(steps));
  }
  return ways;
}

StatusOr<std::vector<Step>> StepCost::Direct(const ShardedArray& array, const Sharding& to) const {
  ASSIGN_OR_RETURN(const std::vector<ReshardStep> direct, Reshard(array.sharding, to));
  std::vector<Step> steps;
  for (const ReshardStep& reshard : direct) steps.push_back(Move(array, reshard));
  return steps;
}

StatusOr<std::vector<Step>> StepCost::Cheapest(const ShardedArray& array,
                                               const Sharding& to) const {
  ASSIGN_OR_RETURN(std::vector<std::vector<Step>> ways, Ways(array, to));
  auto cost = [](const std::vector<Step>& steps) {
    double seconds = 0, sent = 0;
    for (const Step& step : steps) {
      seconds += Known(step.seconds);
      sent += Known(step.sent);
    }
    return std::make_tuple(seconds, sent, steps.size());
  };
  return *std::min_element(ways.begin(), ways.end(),
                           [&](const auto& a, const auto& b) { return cost(a) < cost(b); });
}

}  // namespace meshstep::einsum
