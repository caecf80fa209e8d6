#include "strategies/block_plan.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "strategies/block_memory.h"
#include "strategies/ops/composite.h"
#include "strategies/pass_builder.h"
#include "strategies/split_backward.h"
#include "strategies/weight_gradient.h"

namespace meshstep {
namespace {

// Megatron pads the vocabulary so that every shard has a multiple of this (arXiv 1909.08053 §3).
constexpr double kVocabMultiple = 128;

Sharding WithoutSums(Sharding sharding) {
  sharding.unreduced.clear();
  return sharding;
}

// Local elements of the dimensions of `a` that `b` has too (shared) or has not.
double Elements(const Sharding& a, const Sharding& b, bool shared, const BlockContext& context) {
  Sharding part;
  for (const ShardedDim& dim : a.dims) {
    if ((b.Find(dim.name) >= 0) == shared) part.dims.push_back(dim);
  }
  return context.LocalElements(part);
}

class BlockLowering {
 public:
  BlockLowering(const Block& block, const BlockContext& context)
      : block_(block), context_(context) {}
  StatusOr<BlockPlan> Lower();

 private:
  StatusOr<BlockPass> Forward(const Again* only);
  Status ForwardOp(const Op& op, PassBuilder* pass);
  Status MatmulForward(const Op& op, PassBuilder* pass);
  Status ElementwiseForward(const Op& op, PassBuilder* pass);
  StatusOr<BlockPass> Backward();
  Status BackwardOp(const Op& op, PassBuilder* pass);
  Status MatmulBackward(const Op& op, PassBuilder* pass);
  Status ElementwiseBackward(const Op& op, PassBuilder* pass);

  Status LowerParameters(BlockPlan* plan);
  Sharding GradientOf(ArrayId parameter) const;

  const Block& block_;
  const BlockContext& context_;
};

// C[m, n] = x[m, k] · W[k, n] for each weight; one kernel with the widths summed.
Status BlockLowering::MatmulForward(const Op& op, PassBuilder* pass) {
  const ArrayId x = op.inputs[0];
  const Sharding used = pass->Used(x);
  pass->CastWeights(op);
  pass->Cast(op, op.name + " cast", {{x, false}});
  ASSIGN_OR_RETURN(const int ready, pass->BringOperand(op, {x, false}, used));
  MatmulShape shape;
  shape.n = 0;
  std::vector<Sharding> natural;
  for (std::size_t i = 0; i < op.weights.size(); ++i) {
    const Sharding weight = pass->Used(op.weights[i]);
    ASSIGN_OR_RETURN(Sharding product, LocalProduct(used, weight, pass->DimsOf(op.outputs[i])));
    natural.push_back(std::move(product));
    shape.k = Elements(used, weight, true, context_);
    shape.m = Elements(used, weight, false, context_);
    shape.n += Elements(weight, used, false, context_);
  }
  const Dtype dtype = pass->TypeOf(op);
  const Bytes result = SizeOf(context_.plan->precision.activations);
  const int step = pass->Compute(op.name, context_.compute->Matmul(shape, dtype, result),
                                 shape.flops(), {ready}, true, shape.bytes(dtype, result));
  for (std::size_t i = 0; i < op.outputs.size(); ++i) {
    RETURN_IF_ERROR(pass->Finish({op.outputs[i], false}, natural[i], step));
  }
  return absl::OkStatus();
}

Status BlockLowering::ElementwiseForward(const Op& op, PassBuilder* pass) {
  std::vector<int> after;
  double bytes = 0;
  for (const ArrayId input : op.inputs) {
    ASSIGN_OR_RETURN(const int step, pass->Bring({input, false}, pass->Stored(input)));
    after.push_back(step);
    bytes += pass->StoredBytes(input);
  }
  bool only_narrow = false;
  const double cast = pass->CastInNorm(op, &only_narrow);
  bytes += cast;
  for (const ArrayId output : op.outputs) bytes += only_narrow ? 0 : pass->StoredBytes(output);
  const int step = pass->Compute(op.name, context_.compute->Elementwise(Bytes(bytes)), Flops(),
                                 after, !op.weights.empty(), Bytes(bytes));
  for (const ArrayId output : op.outputs) {
    pass->Define({output, false}, pass->Stored(output), step);
    if (cast > 0) pass->Define({output, false, true}, pass->Stored(output), step);
  }
  return absl::OkStatus();
}

Status BlockLowering::ForwardOp(const Op& op, PassBuilder* pass) {
  switch (op.kind) {
    case Op::Kind::kMatmul:
      return MatmulForward(op, pass);
    case Op::Kind::kElementwise:
      return ElementwiseForward(op, pass);
    case Op::Kind::kAttention:
      return AttentionForward(op, pass);
    case Op::Kind::kEmbedding:
      return EmbeddingForward(op, pass);
    case Op::Kind::kLoss:
      return LossForward(op, pass);
    case Op::Kind::kDispatch:
    case Op::Kind::kExperts:
    case Op::Kind::kCombine:
      return InvalidInput("layers with routed experts are not simulated");
  }
  return absl::InternalError("unknown op");
}

// only: what to run again; arrays made by other ops are there already.
StatusOr<BlockPass> BlockLowering::Forward(const Again* only) {
  PassBuilder pass(block_, context_);
  if (block_.input >= 0) {
    pass.Define({block_.input, false}, pass.Stored(block_.input),
                only == nullptr ? PassBuilder::kInput : PassBuilder::kReady);
  }
  for (std::size_t i = 0; i < block_.ops.size(); ++i) {
    const Op& op = block_.ops[i];
    if (only == nullptr || only->ops.contains(i)) {
      if (const Status status = ForwardOp(op, &pass); !status.ok()) {
        return InvalidInput(absl::StrCat(op.name, ": ", std::string(status.message())));
      }
      continue;
    }
    // Its weight gradient reads the narrow copy of what is made again.
    if (!op.inputs.empty() && only->arrays.contains(op.inputs[0])) {
      pass.Cast(op, op.name + " cast", {{op.inputs[0], false}});
    }
    for (const ArrayId output : op.outputs) {
      pass.Define({output, false}, pass.Stored(output), PassBuilder::kReady);
    }
  }
  int output = -1;
  if (only == nullptr && block_.output >= 0) output = pass.StepOf({block_.output, false});
  return pass.Take(output);
}

// dx[m, k] = dy[m, n] · W[n, k] and dW[k, n] = x[k, m] · dy[m, n].
Status BlockLowering::MatmulBackward(const Op& op, PassBuilder* pass) {
  const ArrayId x = op.inputs[0];
  const Sharding used = pass->Used(x);
  MatmulShape shape;
  shape.n = 0;
  std::vector<int> after;
  Sharding natural;
  std::vector<ArrayKey> gradients;
  for (const ArrayId output : op.outputs) gradients.push_back({output, true});
  pass->CastWeights(op);
  pass->Cast(op, op.name + " gradient cast", gradients);
  for (std::size_t i = 0; i < op.weights.size(); ++i) {
    const Sharding weight = pass->Used(op.weights[i]);
    ASSIGN_OR_RETURN(const Sharding out, LocalProduct(used, weight, pass->DimsOf(op.outputs[i])));
    ASSIGN_OR_RETURN(const int step,
                     pass->BringOperand(op, {op.outputs[i], true}, WithoutSums(out)));
    after.push_back(step);
    ASSIGN_OR_RETURN(natural, LocalProduct(WithoutSums(out), weight, pass->DimsOf(x)));
    shape.k = Elements(used, weight, true, context_);
    shape.m = Elements(used, weight, false, context_);
    shape.n += Elements(weight, used, false, context_);
  }
  // x is gathered beside the dx kernel, dx reduced beside the dw kernel, as Megatron does (arXiv
  // 2205.05198 §4.2.2).
  ASSIGN_OR_RETURN(const int x_there, pass->BringOperand(op, {x, false}, used));
  const Dtype dtype = pass->TypeOf(op);
  const Bytes result = SizeOf(context_.plan->precision.activations);
  const MatmulShape dx{.m = shape.m, .n = shape.k, .k = shape.n};
  const int step = pass->Compute(op.name + " dx", context_.compute->Matmul(dx, dtype, result),
                                 dx.flops(), after, true, dx.bytes(dtype, result));
  RETURN_IF_ERROR(pass->Finish({x, true}, natural, step));
  after.push_back(x_there);
  const MatmulShape dw{.m = shape.k, .n = shape.n, .k = shape.m};
  WeightGradient(op, dw, after, pass);
  return absl::OkStatus();
}

Status BlockLowering::ElementwiseBackward(const Op& op, PassBuilder* pass) {
  std::vector<int> after;
  double bytes = 0;
  for (const ArrayId output : op.outputs) {
    // Dropout masks have no gradient.
    if (!pass->IsDefined({output, true})) continue;
    after.push_back(pass->StepOf({output, true}));
    bytes += pass->StoredBytes(output);
  }
  // A sum hands its gradient on to every term.
  const bool only_adds =
      op.saved.empty() && op.weights.empty() && op.inputs.size() > 1 && op.outputs.size() == 1;
  int step = after.front();
  if (!only_adds) {
    for (const ArrayId saved : op.saved) bytes += pass->StoredBytes(saved);
    for (const ArrayId input : op.inputs) bytes += pass->StoredBytes(input);
    step = pass->Compute(op.name + " backward", context_.compute->Elementwise(Bytes(bytes)),
                         Flops(), after, false, Bytes(bytes));
  }
  for (const ArrayId input : op.inputs) pass->Define({input, true}, pass->Stored(input), step);
  return absl::OkStatus();
}

Status BlockLowering::BackwardOp(const Op& op, PassBuilder* pass) {
  switch (op.kind) {
    case Op::Kind::kMatmul:
      return MatmulBackward(op, pass);
    case Op::Kind::kElementwise:
      return ElementwiseBackward(op, pass);
    case Op::Kind::kAttention:
      return AttentionBackward(op, pass);
    case Op::Kind::kEmbedding:
      return EmbeddingBackward(op, pass);
    case Op::Kind::kLoss:
      return LossBackward(op, pass);
    case Op::Kind::kDispatch:
    case Op::Kind::kExperts:
    case Op::Kind::kCombine:
      return InvalidInput("layers with routed experts are not simulated");
  }
  return absl::InternalError("unknown op");
}

StatusOr<BlockPass> BlockLowering::Backward() {
  PassBuilder pass(block_, context_);
  for (std::size_t a = 0; a < block_.arrays.size(); ++a) {
    const auto id = static_cast<ArrayId>(a);
    if (!block_.arrays[a].parameter) {
      pass.Define({id, false}, pass.Stored(id), PassBuilder::kReady);
    }
  }
  for (const Op& op : block_.ops) {
    if (!pass.IsNarrow(op)) continue;
    const ArrayKey saved{op.inputs[0], false, true};
    if (!pass.IsDefined(saved)) pass.Define(saved, pass.Stored(saved.array), PassBuilder::kReady);
  }
  if (block_.output >= 0) {
    pass.Define({block_.output, true}, pass.Stored(block_.output), PassBuilder::kInput);
  }
  for (auto op = block_.ops.rbegin(); op != block_.ops.rend(); ++op) {
    if (const Status status = BackwardOp(*op, &pass); !status.ok()) {
      return InvalidInput(absl::StrCat(op->name, " backward: ", std::string(status.message())));
    }
  }
  const bool has_input = block_.input >= 0 && pass.IsDefined({block_.input, true});
  return pass.Take(has_input ? pass.StepOf({block_.input, true}) : -1);
}

// The sharding in which backward leaves the gradient of a parameter: as the parameter is used, with
// partial sums over the axes that shard the contracted dimensions (batch and sequence).
Sharding BlockLowering::GradientOf(ArrayId parameter) const {
  const PassBuilder pass(block_, context_);
  Sharding gradient = pass.Used(parameter);
  for (const Op& op : block_.ops) {
    const bool weight =
        std::find(op.weights.begin(), op.weights.end(), parameter) != op.weights.end();
    const bool bias = std::find(op.biases.begin(), op.biases.end(), parameter) != op.biases.end();
    if (!weight && !bias) continue;
    // Elementwise ops work on the stored layout of their result, others on the used one of the
    // input.
    const ArrayId data = op.inputs.empty() ? op.outputs[0] : op.inputs[0];
    const Sharding where = op.kind == Op::Kind::kElementwise ? pass.Stored(data) : pass.Used(data);
    for (const ShardedDim& dim : where.dims) {
      if (gradient.Find(dim.name) >= 0) continue;
      for (const AxisId axis : dim.axes) {
        if (!gradient.Uses(axis)) gradient.unreduced.push_back(axis);
      }
    }
  }
  return gradient;
}

// Adds `bytes` to the transfer of the same collective and axes, if there is one.
void Coalesce(const TransferSpec& spec, std::vector<TransferSpec>* list) {
  for (TransferSpec& there : *list) {
    if (there.collective == spec.collective && there.axes == spec.axes) {
      there.bytes += spec.bytes;
      return;
    }
  }
  list->push_back(spec);
}

std::vector<int> InternAll(const std::vector<TransferSpec>& specs, TransferTable* table) {
  std::vector<int> ids;
  ids.reserve(specs.size());
  for (const TransferSpec& spec : specs) ids.push_back(table->Intern(spec));
  return ids;
}

Status BlockLowering::LowerParameters(BlockPlan* plan) {
  const PassBuilder pass(block_, context_);
  const Plan& p = *context_.plan;
  std::vector<TransferSpec> gathers, reduces, last_reduces, regathers;
  bool gathered = false;
  for (std::size_t a = 0; a < block_.arrays.size(); ++a) {
    const auto id = static_cast<ArrayId>(a);
    if (!block_.arrays[a].parameter) continue;
    const Sharding stored = pass.Stored(id), used = pass.Used(id);
    const Sharding updated = Apply(p.rules.optimizer, pass.DimsOf(id));
    const bool matmul = IsMatmulWeight(block_, id);
    ASSIGN_OR_RETURN(const std::vector<ReshardStep> bring, Reshard(stored, used));
    for (const ReshardStep& s : bring) {
      if (s.op == ReshardStep::Op::kSlice) continue;
      Coalesce({CollectiveOf(s.op), s.axes, Role::kParameters,
                TransferBytes(s, context_, SizeOf(p.precision.Gathered(matmul)).value())},
               &gathers);
      gathered = true;
    }
    plan->gathered_parameters += context_.LocalElements(used);
    // One table serves embedding and head where one stage holds both.
    if (block_.arrays[a].shared && p.stages == 1) continue;
    ASSIGN_OR_RETURN(const std::vector<ReshardStep> reduce, Reshard(GradientOf(id), updated));
    for (const ReshardStep& s : reduce) {
      if (s.op == ReshardStep::Op::kSlice) continue;
      // Sums over the axes that store the parameters leave at once: the whole gradient would not
      // fit.
      const bool at_once =
          !p.accumulate_unsharded && s.op == ReshardStep::Op::kReduceScatter &&
          std::all_of(s.axes.begin(), s.axes.end(), [&](AxisId axis) { return stored.Uses(axis); });
      Coalesce({CollectiveOf(s.op), s.axes, Role::kGradients,
                TransferBytes(s, context_, SizeOf(p.precision.reduce).value())},
               at_once ? &reduces : &last_reduces);
    }
    ASSIGN_OR_RETURN(const std::vector<ReshardStep> back, Reshard(updated, stored));
    for (const ReshardStep& s : back) {
      if (s.op == ReshardStep::Op::kSlice) continue;
      Coalesce({CollectiveOf(s.op), s.axes, Role::kParameters,
                TransferBytes(s, context_, SizeOf(p.precision.Stored(matmul)).value())},
               &regathers);
    }
    CountParameter(pass, id, plan);
    plan->parameters += context_.LocalElements(stored);
    plan->optimizer += context_.LocalElements(updated);
    plan->gradients += context_.LocalElements(p.accumulate_unsharded ? used
                                              : p.zero_stage >= 2    ? updated
                                                                     : stored);
  }
  if (!gathered) plan->gathered_parameters = plan->gathered_bytes = 0;
  plan->gathers = InternAll(gathers, context_.transfers);
  plan->reduces = InternAll(reduces, context_.transfers);
  plan->last_reduces = InternAll(last_reduces, context_.transfers);
  plan->regathers = InternAll(regathers, context_.transfers);
  return absl::OkStatus();
}

StatusOr<BlockPlan> BlockLowering::Lower() {
  BlockPlan plan;
  const Again again = RunsAgain(block_, context_.plan->recompute);
  RETURN_IF_ERROR(LowerParameters(&plan));
  CountActivations(PassBuilder(block_, context_), again, &plan);
  ASSIGN_OR_RETURN(plan.forward, Forward(nullptr));
  if (!again.ops.empty()) {
    ASSIGN_OR_RETURN(plan.recompute, Forward(&again));
  }
  ASSIGN_OR_RETURN(plan.backward, Backward());
  SplitBackward halves = Split(plan.backward);
  plan.backward_input = std::move(halves.input);
  plan.backward_weight = std::move(halves.weight);
  return plan;
}

}  // namespace

std::string_view NameOf(Role role) {
  switch (role) {
    case Role::kActivations:
      return "activations";
    case Role::kParameters:
      return "parameters";
    case Role::kGradients:
      return "gradients";
    case Role::kPipeline:
      return "activations between stages";
  }
  return "";
}

int TransferTable::Intern(const TransferSpec& spec) {
  const auto [it, added] = index_.emplace(spec, size());
  if (added) specs_.push_back(spec);
  return it->second;
}

double BlockContext::DimSize(const std::string& dim) const {
  const double size = static_cast<double>(meshstep::DimSize(*model, dim, 1, workload->sequence));
  if (dim == "B") return plan->micro_batch_sequences * plan->replicas;
  if (dim != "K" && dim != "V") return size;
  double shards = 1;
  for (const ShardedDim& d : Apply(plan->rules.compute, {dim}).dims) {
    for (const AxisId axis : d.axes) shards *= plan->axis_size(axis);
  }
  if (dim == "K") return std::max(size, shards);
  const double multiple = kVocabMultiple * shards;
  return std::ceil(size / multiple) * multiple;
}

double BlockContext::LocalElements(const Sharding& sharding) const {
  double elements = 1;
  for (const ShardedDim& dim : sharding.dims) {
    double size = DimSize(dim.name);
    for (const AxisId axis : dim.axes) size /= plan->axis_size(axis);
    elements *= size;
  }
  return elements;
}

StatusOr<BlockPlan> LowerBlock(const Block& block, const BlockContext& context) {
  return BlockLowering(block, context).Lower();
}

}  // namespace meshstep
