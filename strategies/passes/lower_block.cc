#include "strategies/passes/lower_block.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "strategies/block/block_context.h"
#include "strategies/block/block_view.h"
#include "strategies/framework/fused_experts.h"
#include "strategies/framework/kernel_sums.h"
#include "strategies/passes/block_memory.h"
#include "strategies/passes/block_parameters.h"
#include "strategies/passes/ops/composite.h"
#include "strategies/passes/ops/ring_matmul.h"
#include "strategies/passes/pass_builder.h"
#include "strategies/passes/projections.h"
#include "strategies/passes/recompute.h"
#include "strategies/passes/split_backward.h"
#include "strategies/passes/table_kernels.h"
#include "strategies/passes/weight_gradient.h"

namespace meshstep {
namespace {

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
  BlockLowering(const Block& block, const BlockContext& context, Recompute recompute)
      : block_(block), context_(context), recompute_(recompute) {}
  StatusOr<LoweredBlock> Lower();

 private:
  StatusOr<BlockPass> Forward(const Again* only);
  Status ForwardOp(const Op& op, PassBuilder* pass);
  Status MatmulForward(const Op& op, PassBuilder* pass);
  void DefineFused(const std::vector<ArrayId>& arrays, bool gradient, int step, PassBuilder* pass);
  Status ElementwiseForward(const Op& op, PassBuilder* pass);
  StatusOr<BlockPass> Backward();
  Status BackwardOp(const Op& op, PassBuilder* pass);
  Status MatmulBackward(const Op& op, PassBuilder* pass);
  Status ElementwiseBackward(const Op& op, PassBuilder* pass);

  const Block& block_;
  const BlockContext& context_;
  const Recompute recompute_;
};

// C[m, n] = x[m, k] · W[k, n] for each weight; one kernel with the widths summed, or one for each.
Status BlockLowering::MatmulForward(const Op& op, PassBuilder* pass) {
  const ArrayId x = op.inputs[0];
  const Sharding used = pass->Operand(op);
  pass->CastWeights(op);
  pass->Cast(op, op.name + " cast", {{x, false}});
  MatmulShape shape;
  shape.n = 0;
  std::vector<Sharding> natural;
  std::vector<double> widths;
  for (std::size_t i = 0; i < op.weights.size(); ++i) {
    const Sharding weight = pass->Factor(op, op.weights[i]);
    ASSIGN_OR_RETURN(Sharding product, LocalProduct(used, weight, pass->DimsOf(op.outputs[i])));
    natural.push_back(std::move(product));
    shape.k = Elements(used, weight, true, context_);
    shape.m = Elements(used, weight, false, context_);
    widths.push_back(Elements(weight, used, false, context_));
    shape.n += widths.back();
  }
  if (op.kind == Op::Kind::kExperts) shape = ByExpert(op, *pass, shape);
  shape.precise = context_.plan->precision.SumsForwardPrecisely();
  const Dtype dtype = pass->TypeOf(op);
  const Bytes result = SizeOf(context_.plan->precision.activations);
  // Quantised weights are read as they are stored and widened inside the kernel.
  const bool as_stored = pass->Used(op.weights[0]) == pass->Stored(op.weights[0]);
  if (context_.workload->forward_only() && as_stored) {
    shape.weight = SizeOf(context_.plan->precision.Stored(pass->IsMatmulWeight(op.weights[0])));
  }
  const std::vector<MatmulShape> products = ProductsOf(op, shape, widths, *context_.plan);
  const MatmulKernel kernel{op.name, products, dtype, result};
  std::vector<int> steps;
  if (const MatmulRing ring = GatherRing(op, {x, false}, used, *pass); ring.parts > 1) {
    steps.push_back(GatherMatmul(kernel, ring, {x, false, pass->IsNarrow(op)}, used, {}, pass));
  } else {
    ASSIGN_OR_RETURN(const int ready, pass->BringOperand(op, {x, false}, used));
    const ArrayKey out{op.outputs[0], false};
    if (const MatmulRing sums = ScatterRing(op, out, natural[0], *pass);
        sums.parts > 1 && op.outputs.size() == 1) {
      pass->Define(out, pass->Stored(out.array), MatmulScatter(kernel, sums, {ready}, pass));
      return absl::OkStatus();
    }
    for (const MatmulShape& one : products) {
      const int step =
          pass->Compute(op.name, MatmulTime(op, one, dtype, result, *pass),
                        MeanFlops(op, *pass, one), {ready}, true, one.bytes(dtype, result));
      steps.push_back(step);
    }
  }
  for (std::size_t i = 0; i < op.outputs.size(); ++i) {
    const int step = steps.size() > 1 ? steps[i] : steps[0];
    RETURN_IF_ERROR(pass->Finish({op.outputs[i], false}, natural[i], step));
  }
  return absl::OkStatus();
}

// Results of an elementwise op that the kernel of `step` makes beside its own, quantised already.
void BlockLowering::DefineFused(const std::vector<ArrayId>& arrays, bool gradient, int step,
                                PassBuilder* pass) {
  for (const ArrayId array : arrays) {
    pass->Define({array, gradient}, pass->Stored(array), step);
    if (!context_.plan->precision.quantised()) continue;
    pass->Define({array, gradient, true}, pass->Stored(array), step);
  }
}

Status BlockLowering::ElementwiseForward(const Op& op, PassBuilder* pass) {
  std::vector<int> after;
  double bytes = 0;
  for (const ArrayId input : op.inputs) {
    const Sharding wanted = pass->ElementwiseOperand(op, input);
    ASSIGN_OR_RETURN(const int step, pass->Bring({input, false}, wanted));
    after.push_back(step);
    bytes += pass->LocalBytes(input, wanted);
  }
  // Where the matmul does not run again its activation is made by itself.
  const bool with_matmul = pass->StepOf({op.inputs[0], false}) >= 0;
  if (with_matmul && IsFusedActivation(op, *pass)) {
    DefineFused(op.outputs, false, after.back(), pass);
    return absl::OkStatus();
  }
  bool only_narrow = false;
  const double cast = pass->CastInNorm(op, &only_narrow);
  bytes += cast;
  for (const ArrayId output : op.outputs) bytes += only_narrow ? 0 : pass->StoredBytes(output);
  KernelSum kernels = KernelsInstead(op, false, *pass);
  kernels.bytes += kernels.kernels == 0 ? bytes : cast;
  if (kernels.kernels == 0) kernels.kernels = kernels.host_ops = 1;
  const int step = pass->Compute(op.name, TimeOf(kernels, *context_.compute), Flops(), after,
                                 !op.weights.empty(), Bytes(kernels.bytes));
  pass->SetHostOps(step, kernels.host_ops);
  if (HostWaitsBefore(op, *pass)) pass->HostReadsBefore(step, step);
  for (const ArrayId output : op.outputs) {
    pass->Define({output, false}, pass->Stored(output), step);
    if (cast > 0) pass->Define({output, false, true}, pass->Stored(output), step);
  }
  return absl::OkStatus();
}

Status BlockLowering::ForwardOp(const Op& op, PassBuilder* pass) {
  switch (op.kind) {
    case Op::Kind::kMatmul:
    case Op::Kind::kExperts:
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
      return DispatchForward(op, pass);
    case Op::Kind::kCombine:
      return CombineForward(op, pass);
    case Op::Kind::kChunked:
      return ChunkedForward(op, pass);
    case Op::Kind::kIndex:
      return IndexForward(op, pass);
  }
  return absl::InternalError("unknown op");
}

// only: what to run again; arrays made by other ops are there already.
StatusOr<BlockPass> BlockLowering::Forward(const Again* only) {
  PassBuilder pass(block_, context_);
  if (block_.input >= 0) {
    const Sharding stored = pass.Stored(block_.input);
    int made = only == nullptr ? PassBuilder::kInput : PassBuilder::kReady;
    if (!context_.broadcast.empty()) {
      made = pass.Transfer("last position", Collective::kBroadcast, context_.broadcast,
                           Bytes(pass.LocalBytes(block_.input, stored)), {made});
    }
    pass.Define({block_.input, false}, stored, made);
  }
  if (only != nullptr) pass.CountLaunches(0, HostOpsOf(*context_.plan, OpRole::kCheckpoint));
  const char* graph = nullptr;
  for (std::size_t i = 0; i < block_.ops.size(); ++i) {
    const Op& op = block_.ops[i];
    if (only == nullptr || only->ops.contains(i)) {
      const int first = pass.steps();
      const Op again = only == nullptr ? op : WithProducts(op, only->arrays);
      AddTableKernels(again, false, KernelRow::Place::kBefore, &pass);
      if (const Status status = ForwardOp(again, &pass); !status.ok()) {
        return InvalidInput(absl::StrCat(op.name, ": ", std::string(status.message())));
      }
      AddTableKernels(again, false, KernelRow::Place::kAfter, &pass);
      CountHostOps(again, false, first, &graph, &pass);
      for (const ArrayId output : op.outputs) {
        const ArrayKey kept{output, false};
        if (!pass.IsDefined(kept)) pass.Define(kept, pass.Stored(output), PassBuilder::kReady);
      }
      continue;
    }
    // Its weight gradient reads the narrow copy of what is made again.
    const bool made_again = !op.inputs.empty() && only->arrays.contains(op.inputs[0]);
    if (made_again && !context_.plan->precision.CastsPerProduct()) {
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
  const Sharding used = pass->Operand(op);
  MatmulShape shape;
  shape.n = 0;
  std::vector<int> after;
  Sharding natural, gathered;
  MatmulRing ring;
  std::vector<double> widths;
  std::vector<ArrayKey> gradients;
  std::vector<std::pair<ArrayKey, Sharding>> transposed = {{{x, false}, used}};
  for (const ArrayId output : op.outputs) gradients.push_back({output, true});
  pass->CastWeights(op);
  pass->TransposeWeights(op);
  pass->Cast(op, op.name + " gradient cast", gradients);
  pass->Cast(op, op.name + " cast", {{x, false}});
  for (std::size_t i = 0; i < op.weights.size(); ++i) {
    const Sharding weight = pass->Factor(op, op.weights[i]);
    ASSIGN_OR_RETURN(const Sharding out, LocalProduct(used, weight, pass->DimsOf(op.outputs[i])));
    const ArrayKey dy{op.outputs[i], true};
    gathered = WithoutSums(out);
    transposed.emplace_back(dy, gathered);
    if (op.outputs.size() == 1) ring = GatherRing(op, dy, gathered, *pass);
    if (ring.parts == 1) {
      ASSIGN_OR_RETURN(const int step, pass->BringOperand(op, dy, gathered));
      after.push_back(step);
    }
    ASSIGN_OR_RETURN(natural, LocalProduct(WithoutSums(out), weight, pass->DimsOf(x)));
    shape.k = Elements(used, weight, true, context_);
    shape.m = Elements(used, weight, false, context_);
    widths.push_back(Elements(weight, used, false, context_));
    shape.n += widths.back();
  }
  if (op.kind == Op::Kind::kExperts) shape = ByExpert(op, *pass, shape);
  // x is gathered beside the dx kernel, dx reduced beside the dw kernel, as Megatron does (arXiv
  // 2205.05198 §4.2.2); DTensor saves what forward gathered.
  pass->KeepGathered(op, {x, false, pass->IsNarrow(op)}, used);
  ASSIGN_OR_RETURN(const int x_there, pass->BringOperand(op, {x, false}, used));
  const Dtype dtype = pass->TypeOf(op);
  const Bytes result = SizeOf(context_.plan->precision.activations);
  const std::vector<MatmulShape> products = ProductsOf(op, shape, widths, *context_.plan);
  const std::vector<MatmulShape> dx = InputGradients(products);
  const MatmulKernel kernel{op.name + " dx", dx, dtype, result};
  if (ring.parts > 1) {
    const ArrayKey dy{op.outputs[0], true, pass->IsNarrow(op)};
    const int step = GatherMatmul(kernel, ring, dy, gathered, {}, pass);
    ASSIGN_OR_RETURN(const int there, pass->Bring(dy, gathered));
    after.push_back(there);
    RETURN_IF_ERROR(pass->Finish({x, true}, natural, step));
  } else if (const MatmulRing sums = ScatterRing(op, {x, true}, natural, *pass);
             sums.parts > 1 && dx.size() == 1 && context_.plan->kernels.dtensor) {
    // Only PyTorch splits it, and not a collective on a sum of products (torch/_inductor/fx_passes/
    // micro_pipeline_tp.py: no producer matmul). TransformerEngine's userbuffers scatter it whole
    // beside dw (module/base.py initialize_ub: method "bulk" of qkv_wgrad and fc1_wgrad).
    pass->Define({x, true}, pass->Stored(x), MatmulScatter(kernel, sums, after, pass));
  } else {
    const bool leaves = !(natural == pass->Stored(x));
    int step = -1;
    for (const MatmulShape& one : dx) {
      const int before = step;
      step = pass->Compute(kernel.name, MatmulTime(op, one, dtype, result, *pass),
                           MeanFlops(op, *pass, one), after, true, one.bytes(dtype, result));
      if (before >= 0) step = AddProduct(op, WithoutSums(natural), leaves, step, pass);
    }
    RETURN_IF_ERROR(pass->Finish({x, true}, natural, step));
  }
  after.push_back(x_there);
  pass->TransposeGathered(op, transposed, after);
  for (const MatmulShape& one : WeightGradients(products)) WeightGradient(op, one, after, pass);
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
  if (IsFusedActivation(op, *pass)) {
    DefineFused(op.inputs, true, after.front(), pass);
    return absl::OkStatus();
  }
  // A sum hands its gradient on to every term.
  const bool only_adds = HandsGradientOn(op.role);
  int step = after.front();
  KernelSum kernels = KernelsInstead(op, true, *pass);
  if (!only_adds && kernels.kernels == 0) {
    for (const ArrayId saved : op.saved) bytes += pass->StoredBytes(saved);
    for (const ArrayId input : op.inputs) bytes += pass->StoredBytes(input);
    kernels = {.bytes = bytes, .kernels = 1, .host_ops = 1};
  }
  if (kernels.kernels > 0) {
    step = pass->Compute(op.name + " backward", TimeOf(kernels, *context_.compute), Flops(), after,
                         false, Bytes(kernels.bytes));
    pass->SetHostOps(step, kernels.host_ops);
  }
  for (const ArrayId input : op.inputs) {
    const Sharding used = pass->ElementwiseOperand(op, input);
    if (used == pass->Stored(input)) {
      pass->Define({input, true}, used, step);
    } else {
      RETURN_IF_ERROR(pass->Finish({input, true}, pass->SummedOver(op, used), step));
    }
  }
  return absl::OkStatus();
}

Status BlockLowering::BackwardOp(const Op& op, PassBuilder* pass) {
  switch (op.kind) {
    case Op::Kind::kMatmul:
    case Op::Kind::kExperts:
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
      return DispatchBackward(op, pass);
    case Op::Kind::kCombine:
      return CombineBackward(op, pass);
    case Op::Kind::kChunked:
      return ChunkedBackward(op, pass);
    case Op::Kind::kIndex:
      return IndexBackward(op, pass);
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
    if (!pass.IsNarrow(op) || context_.plan->precision.CastsPerProduct()) continue;
    const ArrayKey saved{op.inputs[0], false, true};
    if (!pass.IsDefined(saved)) pass.Define(saved, pass.Stored(saved.array), PassBuilder::kReady);
  }
  if (block_.output >= 0) {
    pass.Define({block_.output, true}, pass.Stored(block_.output), PassBuilder::kInput);
  }
  const char* graph = nullptr;
  for (auto op = block_.ops.rbegin(); op != block_.ops.rend(); ++op) {
    const int first = pass.steps();
    AddTableKernels(*op, true, KernelRow::Place::kBefore, &pass);
    if (const Status status = BackwardOp(*op, &pass); !status.ok()) {
      return InvalidInput(absl::StrCat(op->name, " backward: ", std::string(status.message())));
    }
    AddTableKernels(*op, true, KernelRow::Place::kAfter, &pass);
    CountHostOps(*op, true, first, &graph, &pass);
  }
  const bool has_input = block_.input >= 0 && pass.IsDefined({block_.input, true});
  return pass.Take(has_input ? pass.StepOf({block_.input, true}) : -1);
}

StatusOr<LoweredBlock> BlockLowering::Lower() {
  LoweredBlock lowered;
  const Again again = RunsAgain(block_, recompute_, *context_.plan);
  RETURN_IF_ERROR(LowerParameters(block_, context_, &lowered));
  CountActivations(PassBuilder(block_, context_), again, &lowered);
  CountOffload(PassBuilder(block_, context_), &lowered);
  ASSIGN_OR_RETURN(lowered.forward, Forward(nullptr));
  if (!again.ops.empty()) {
    ASSIGN_OR_RETURN(lowered.recompute, Forward(&again));
  }
  if (context_.workload->forward_only()) return lowered;
  ASSIGN_OR_RETURN(lowered.backward, Backward());
  SplitBackward halves = Split(lowered.backward);
  lowered.backward_input = std::move(halves.input);
  lowered.backward_weight = std::move(halves.weight);
  return lowered;
}

}  // namespace

StatusOr<LoweredBlock> LowerBlock(const Block& block, const BlockContext& context,
                                  Recompute recompute) {
  BlockContext own = context;
  if (block.model) own.model = block.model.get();
  return BlockLowering(block, own, recompute).Lower();
}

StatusOr<LoweredBlock> LowerBlock(const Block& block, const BlockContext& context) {
  return LowerBlock(block, context, context.plan->recompute);
}

}  // namespace meshstep
