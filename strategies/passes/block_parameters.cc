#include "strategies/passes/block_parameters.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "strategies/block/block_context.h"
#include "strategies/block/block_view.h"
#include "strategies/framework/kernel_sums.h"
#include "strategies/passes/block_memory.h"
#include "strategies/passes/optimizer_state.h"
#include "strategies/passes/pass_builder.h"

namespace meshstep {
namespace {

// The sharding in which backward leaves the gradient of a parameter: as the parameter is used, with
// partial sums over the axes that shard the contracted dimensions (batch and sequence).
Sharding GradientOf(ArrayId parameter, const BlockView& pass) {
  Sharding gradient = pass.Used(parameter);
  for (const Op& op : pass.block().ops) {
    const bool weight =
        std::find(op.weights.begin(), op.weights.end(), parameter) != op.weights.end();
    const bool bias = std::find(op.biases.begin(), op.biases.end(), parameter) != op.biases.end();
    if (!weight && !bias) continue;
    // Elementwise ops work on the stored layout of their result, others on the used one of the
    // input.
    const Sharding where = op.inputs.empty()                   ? pass.Used(op.outputs[0])
                           : op.kind == Op::Kind::kElementwise ? pass.Stored(op.inputs[0])
                                                               : pass.Operand(op);
    for (const ShardedDim& dim : where.dims) {
      if (gradient.Find(dim.name) >= 0) continue;
      for (const AxisId axis : dim.axes) {
        if (!gradient.Uses(axis)) gradient.unreduced.push_back(axis);
      }
    }
  }
  return gradient;
}

// Some of the axes tell sequences apart.
bool SumsReplicas(const std::vector<AxisId>& axes, const Plan& plan) {
  const Sharding batch = Apply(plan.rules.compute, {"B"});
  return std::any_of(axes.begin(), axes.end(), [&](AxisId axis) { return batch.Uses(axis); });
}

// Adds `bytes` to the transfer of the same collective and axes, if there is one.
void Coalesce(const TransferSpec& spec, std::vector<TransferSpec>* list) {
  for (TransferSpec& there : *list) {
    if (there.collective == spec.collective && there.axes == spec.axes &&
        there.experts == spec.experts) {
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

// One table serves embedding and head where every stage that holds the head holds the embedding too:
// without a pipeline, and where its parts go up the stages and down again.
bool HoldsTableOnce(const Plan& plan) {
  if (plan.stages == 1) return true;
  const Pipeline shape = plan.pipeline_shape();
  for (int stage = 0; stage < plan.stages; ++stage) {
    bool embedding = false, head = false;
    for (int chunk = 0; chunk < plan.order->Chunks(stage, shape); ++chunk) {
      const auto part = static_cast<std::size_t>(plan.order->PartOf({stage, chunk}, shape));
      embedding = embedding || plan.parts[part].embedding;
      head = head || plan.parts[part].head;
    }
    if (head && !embedding) return false;
  }
  return true;
}

// As a framework stores them: projections of the same input are one, their biases another.
double ParameterArrays(const Op& op) {
  const bool matmul = op.kind == Op::Kind::kMatmul || op.kind == Op::Kind::kExperts;
  return !matmul ? static_cast<double>(op.weights.size()) : op.biases.empty() ? 1 : 2;
}

}  // namespace

Status LowerParameters(const Block& block, const BlockContext& context, LoweredBlock* lowered) {
  const PassBuilder pass(block, context);
  const Plan& p = *context.plan;
  std::vector<TransferSpec> gathers, reduces, last_reduces, regathers;
  bool gathered = false;
  for (std::size_t a = 0; a < block.arrays.size(); ++a) {
    const auto id = static_cast<ArrayId>(a);
    if (!block.arrays[a].parameter) continue;
    const Sharding stored = pass.Stored(id), used = pass.Used(id);
    const Sharding updated = pass.Updated(id);
    const bool matmul = pass.IsMatmulWeight(id), experts = pass.IsRouted(id);
    ASSIGN_OR_RETURN(const std::vector<ReshardStep> bring, Reshard(stored, used));
    for (const ReshardStep& s : bring) {
      if (s.op == ReshardStep::Op::kSlice) continue;
      Coalesce({CollectiveOf(s.op), s.axes, Role::kParameters,
                TransferBytes(s, context, SizeOf(p.precision.Gathered(matmul)).value()), experts},
               &gathers);
      gathered = true;
    }
    lowered->gathered_parameters += context.LocalElements(used);
    const double whole = stored == used ? 0 : context.LocalElements(used);
    lowered->gather_copy_bytes +=
        SumOf(p, OpRole::kGatheredParameter, whole, SizeOf(p.precision.Gathered(matmul)).value())
            .bytes;
    if (block.arrays[a].shared && HoldsTableOnce(p)) continue;
    CountParameter(pass, id, lowered);
    lowered->parameters += context.LocalElements(stored);
    if (context.workload->forward_only()) continue;
    bool late = false;
    ASSIGN_OR_RETURN(const std::vector<ReshardStep> reduce, Reshard(GradientOf(id, pass), updated));
    for (const ReshardStep& s : reduce) {
      // Which part of the state a device updates is free: what the sums leave there, without moving
      // it to where the order of the axes would have it.
      if (s.op == ReshardStep::Op::kSlice || s.op == ReshardStep::Op::kPermute) continue;
      // Sums over the axes that store the parameters leave at once: the whole gradient would not
      // fit.
      const bool at_once =
          !p.accumulate_unsharded && s.op == ReshardStep::Op::kReduceScatter &&
          std::all_of(s.axes.begin(), s.axes.end(), [&](AxisId axis) { return stored.Uses(axis); });
      Coalesce({CollectiveOf(s.op), s.axes, Role::kGradients,
                TransferBytes(s, context, SizeOf(p.precision.reduce).value()), experts},
               at_once ? &reduces : &last_reduces);
      late = late || (!at_once && SumsReplicas(s.axes, p));
    }
    // Gradients that are kept whole between micro-batches are kept in their own type.
    const Dtype made = p.accumulate_unsharded ? p.precision.gradients : p.precision.activations;
    lowered->reduce_copy_bytes +=
        SumOf(p, OpRole::kReducedGradient, whole, SizeOf(made).value()).bytes;
    ASSIGN_OR_RETURN(const std::vector<ReshardStep> back, Reshard(updated, stored));
    for (const ReshardStep& s : back) {
      if (s.op == ReshardStep::Op::kSlice) continue;
      Coalesce({CollectiveOf(s.op), s.axes, Role::kParameters,
                TransferBytes(s, context, SizeOf(p.precision.Stored(matmul)).value()), experts},
               &regathers);
    }
    lowered->optimizer += context.LocalElements(updated);
    CountOptimizer(pass, id, lowered);
    const double gradients = context.LocalElements(p.accumulate_unsharded ? used
                                                   : p.zero_stage >= 2    ? updated
                                                                          : stored);
    lowered->gradients += gradients;
    if (late) lowered->late_gradients += gradients;
  }
  for (const Op& op : block.ops) lowered->parameter_arrays += ParameterArrays(op);
  if (!gathered) lowered->gathered_parameters = lowered->gathered_bytes = 0;
  lowered->gathers = InternAll(gathers, context.transfers);
  lowered->reduces = InternAll(reduces, context.transfers);
  lowered->last_reduces = InternAll(last_reduces, context.transfers);
  lowered->regathers = InternAll(regathers, context.transfers);
  return absl::OkStatus();
}

}  // namespace meshstep
