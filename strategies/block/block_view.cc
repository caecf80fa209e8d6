#include "strategies/block/block_view.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "strategies/block/block_context.h"

namespace meshstep {

Collective CollectiveOf(ReshardStep::Op op) {
  switch (op) {
    case ReshardStep::Op::kAllGather:
      return Collective::kAllGather;
    case ReshardStep::Op::kReduceScatter:
      return Collective::kReduceScatter;
    case ReshardStep::Op::kAllReduce:
      return Collective::kAllReduce;
    case ReshardStep::Op::kAllToAll:
      return Collective::kAllToAll;
    case ReshardStep::Op::kPermute:
      return Collective::kPermute;
    case ReshardStep::Op::kSlice:
      break;
  }
  CHECK(false) << "a slice is not a collective ";
  return Collective::kPermute;
}

Bytes TransferBytes(const ReshardStep& step, const BlockContext& context, double element_bytes) {
  const Sharding& whole = step.op == ReshardStep::Op::kAllGather ? step.after : step.before;
  return Bytes(context.LocalElements(whole) * element_bytes);
}

const std::vector<std::string>& BlockView::DimsOf(ArrayId array) const {
  return block_.arrays[static_cast<std::size_t>(array)].dims;
}

Sharding BlockView::Stored(ArrayId array) const {
  const Rules& rules = context_.plan->rules;
  const std::vector<std::string>& dims = DimsOf(array);
  const Array& a = block_.arrays[static_cast<std::size_t>(array)];
  if (a.parameter) return Apply(IsRouted(array) ? rules.expert_parameters : rules.parameters, dims);
  switch (a.place) {
    case Place::kInner:
      break;
    case Place::kResidual:
      return Apply(rules.residual, dims);
    case Place::kRouted:
      // Between ops the ranks of one expert share its tokens; within, they share its width.
      return std::find(dims.begin(), dims.end(), "F_e") != dims.end()
                 ? Used(array)
                 : Spread(*context_.plan, Used(array), "B");
    case Place::kChunked:
      return Chunked(array);
  }
  return Apply(rules.compute, dims);
}

Sharding BlockView::Used(ArrayId array) const {
  const Rules& rules = context_.plan->rules;
  return Apply(IsRouted(array) ? rules.experts : rules.compute, DimsOf(array));
}

Sharding BlockView::Chunked(ArrayId array) const {
  Sharding sharding = Used(array);
  const Plan& plan = *context_.plan;
  const int t = sharding.Find("T");
  // What no head has (compressed keys) stays with its positions.
  const bool stream = block_.arrays[static_cast<std::size_t>(array)].place == Place::kResidual;
  if (plan.context_method != ContextMethod::kUlysses || t < 0 || stream) return sharding;
  std::vector<AxisId> axes = std::move(sharding.dims[static_cast<std::size_t>(t)].axes);
  sharding.dims[static_cast<std::size_t>(t)].axes.clear();
  double ranks = 1;
  for (const AxisId axis : axes) ranks *= plan.axis_size(axis);
  for (const char* heads : {"M", "G"}) {
    const int at = sharding.Find(heads);
    if (at < 0) continue;
    Sharding one;
    one.dims = {sharding.dims[static_cast<std::size_t>(at)]};
    if (std::fmod(context_.LocalElements(one), ranks) != 0) continue;
    std::vector<AxisId>& by = sharding.dims[static_cast<std::size_t>(at)].axes;
    by.insert(by.end(), axes.begin(), axes.end());
  }
  return sharding;
}

Sharding BlockView::Updated(ArrayId parameter) const {
  const Rules& rules = context_.plan->rules;
  return Apply(IsRouted(parameter) ? rules.expert_optimizer : rules.optimizer, DimsOf(parameter));
}

Sharding BlockView::Operand(const Op& op) const {
  const auto is_stream = [&](ArrayId array) {
    return block_.arrays[static_cast<std::size_t>(array)].place == Place::kResidual;
  };
  const ArrayId input = op.inputs[0];
  if (op.kind != Op::Kind::kMatmul || !is_stream(input) ||
      !std::all_of(op.outputs.begin(), op.outputs.end(), is_stream)) {
    return Used(input);
  }
  Sharding sharding = Stored(input);
  for (ShardedDim& dim : sharding.dims) {
    if (dim.name != "B" && dim.name != "T") dim.axes.clear();
  }
  return sharding;
}

Sharding BlockView::ElementwiseOperand(const Op& op, ArrayId input) const {
  const auto place = [&](ArrayId a) { return block_.arrays[static_cast<std::size_t>(a)].place; };
  const bool leaves = place(input) == Place::kResidual && place(op.outputs[0]) == Place::kInner;
  return leaves ? Used(input) : Stored(input);
}

Sharding BlockView::SummedOver(const Op& op, Sharding input) const {
  for (const ShardedDim& dim : Stored(op.outputs[0]).dims) {
    for (const AxisId axis : dim.axes) {
      if (input.Find(dim.name) < 0 && !input.Uses(axis)) input.unreduced.push_back(axis);
    }
  }
  return input;
}

Sharding BlockView::Factor(const Op& op, ArrayId weight) const {
  Sharding sharding = Used(weight);
  if (op.kind == Op::Kind::kExperts) {
    std::erase_if(sharding.dims, [](const ShardedDim& dim) { return dim.name == "E"; });
  }
  return sharding;
}

bool BlockView::IsRouted(ArrayId array) const {
  return block_.arrays[static_cast<std::size_t>(array)].place == Place::kRouted;
}

double BlockView::Load(ArrayId array) const {
  const Plan& plan = *context_.plan;
  if (!IsRouted(array) || block_.arrays[static_cast<std::size_t>(array)].parameter) return 1;
  return plan.capacity_factor > 0 ? plan.capacity_factor : plan.expert_imbalance;
}

double BlockView::ElementBytes(ArrayKey key) const {
  const Precision& precision = context_.plan->precision;
  if (key.narrow) return precision.OperandBytes();
  const double bytes = block_.arrays[static_cast<std::size_t>(key.array)].element_bytes;
  return bytes > 0 ? bytes : SizeOf(precision.activations).value();
}

double BlockView::LocalBytes(ArrayId array, const Sharding& sharding) const {
  return context_.LocalElements(sharding) * Load(array) * ElementBytes({array, false});
}

bool BlockView::IsMatmulWeight(ArrayId parameter) const {
  return std::any_of(block_.ops.begin(), block_.ops.end(), [&](const Op& op) {
    return op.big_matmul && !context_.plan->precision.IsWide(op.role) &&
           std::find(op.weights.begin(), op.weights.end(), parameter) != op.weights.end();
  });
}

Dtype BlockView::TypeOf(const Op& op) const {
  const Precision& precision = context_.plan->precision;
  const bool narrow = op.big_matmul && !precision.IsWide(op.role);
  return narrow ? precision.compute : precision.activations;
}

bool BlockView::IsNarrow(const Op& op) const {
  const Precision& precision = context_.plan->precision;
  return op.big_matmul && precision.quantised() && !precision.IsWide(op.role);
}

double BlockView::CastBytes(ArrayId array) const {
  const Precision& precision = context_.plan->precision;
  const int versions =
      TransposesGathered(array, Used(array))
          ? 1
          : precision.OperandVersions(context_.compute->narrow_matmuls_one_layout());
  return context_.LocalElements(Stored(array)) * Load(array) * precision.OperandBytes() * versions;
}

bool BlockView::TransposesGathered(ArrayId array, const Sharding& sharding) const {
  return context_.plan->precision.one_scale() && context_.compute->narrow_matmuls_one_layout() &&
         context_.LocalElements(sharding) > context_.LocalElements(Stored(array));
}

double BlockView::CastInNorm(const Op& op, bool* only_narrow) const {
  *only_narrow = false;
  if (!IsNorm(op.role) || !context_.plan->precision.FusesCastIntoNorm()) return 0;
  bool narrow = false, wide = false;
  const ArrayId output = op.outputs[0];
  for (const Op& reader : block_.ops) {
    if (std::find(reader.inputs.begin(), reader.inputs.end(), output) == reader.inputs.end()) {
      continue;
    }
    (IsNarrow(reader) ? narrow : wide) = true;
  }
  *only_narrow = narrow && !wide;
  return narrow ? CastBytes(output) : 0;
}

bool BlockView::KeepsGathered(const Op& op) const {
  const Plan& plan = *context_.plan;
  const bool megatron = plan.expert_dispatch == ExpertDispatch::kAllToAll ||
                        plan.expert_dispatch == ExpertDispatch::kDeepEp ||
                        plan.expert_dispatch == ExpertDispatch::kHybridEp;
  return plan.kernels.dtensor || (op.kind == Op::Kind::kExperts && megatron);
}

int BlockView::WeightVersions() const {
  if (context_.workload->forward_only()) return 1;
  return context_.plan->precision.WeightVersions(context_.compute->narrow_matmuls_one_layout());
}

double BlockView::StoredBytes(ArrayId array) const { return LocalBytes(array, Stored(array)); }

double BlockView::CastsOf(const Op& op) const {
  const Plan& plan = *context_.plan;
  const bool each = op.kind == Op::Kind::kExperts && plan.kernels.each_expert &&
                    plan.precision.scaling != Scaling::kTensor;
  const double parts = each ? context_.LocalElements(Apply(plan.rules.experts, {"E"})) : 1;
  return plan.precision.CastKernels() * parts;
}

}  // namespace meshstep
