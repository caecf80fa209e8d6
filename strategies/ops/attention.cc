#include <algorithm>

#include "strategies/ops/composite.h"
#include "strategies/ops/unfused_attention.h"

namespace meshstep {
namespace {

// Share of the T × T square that a causal or windowed kernel computes: a query at position i sees
// min(i + 1, window) keys; to leading order 1/2 for causal, w/T (1 - w/2T) for a causal window.
double VisibleFraction(const Op& op, double sequence, bool unfused) {
  if (unfused) return 1;
  const double window = op.window > 0 ? std::min<double>(op.window, sequence) : sequence;
  const double w = window / sequence;
  return op.causal ? w * (1 - w / 2) : std::min(1.0, 2 * w - w * w);
}

AttentionShape ShapeOf(const Op& op, const PassBuilder& pass, bool backward) {
  const BlockContext& context = pass.context();
  const Sharding q = pass.Used(op.inputs[0]);
  const Sharding k = pass.Used(op.inputs[1]);
  const auto local = [&](const Sharding& sharding, const std::string& dim) {
    Sharding one;
    const int at = sharding.Find(dim);
    CHECK_GE(at, 0) << dim << " ";
    one.dims.push_back(sharding.dims[static_cast<std::size_t>(at)]);
    return context.LocalElements(one);
  };
  AttentionShape shape;
  shape.batch = local(q, "B");
  shape.heads = local(q, "N");
  shape.kv_heads = local(k, "K");
  shape.queries = local(q, "T");
  shape.keys = context.DimSize("T");
  shape.head_dim = context.DimSize("H");
  shape.visible = VisibleFraction(op, shape.keys, context.plan->unfused_attention);
  shape.backward = backward;
  return shape;
}

// Keys and values are needed at every position.
Sharding WholeSequence(Sharding sharding) {
  const int at = sharding.Find("T");
  sharding.dims[static_cast<std::size_t>(at)].axes.clear();
  return sharding;
}

Time KernelTime(const AttentionShape& shape, const BlockContext& context) {
  return context.plan->unfused_attention
             ? UnfusedAttention(shape, context).time
             : context.compute->Attention(shape, context.plan->precision.activations);
}

Bytes KernelBytes(const AttentionShape& shape, const BlockContext& context) {
  return context.plan->unfused_attention
             ? UnfusedAttention(shape, context).hbm_bytes
             : ComputeModel::AttentionBytes(shape, context.plan->precision.activations);
}

}  // namespace

Flops AttentionModelFlops(const Op& op, const Model& model, double batch, double sequence,
                          bool unfused, bool full) {
  AttentionShape shape;
  shape.batch = batch;
  shape.heads = model.heads;
  shape.queries = shape.keys = sequence;
  shape.head_dim = model.head_dim;
  shape.visible = full ? 1 : VisibleFraction(op, sequence, unfused);
  return ComputeModel::AttentionFlops(shape);
}

Status AttentionForward(const Op& op, PassBuilder* pass) {
  std::vector<int> after;
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    const Sharding used = pass->Used(op.inputs[i]);
    ASSIGN_OR_RETURN(const int step,
                     pass->Bring({op.inputs[i], false}, i == 0 ? used : WholeSequence(used)));
    after.push_back(step);
  }
  const AttentionShape shape = ShapeOf(op, *pass, false);
  const int step = pass->Compute(op.name, KernelTime(shape, pass->context()),
                                 ComputeModel::AttentionFlops(shape), after, false,
                                 KernelBytes(shape, pass->context()));
  for (const ArrayId output : op.outputs) {
    RETURN_IF_ERROR(pass->Finish({output, false}, pass->Used(output), step));
  }
  return absl::OkStatus();
}

Status AttentionBackward(const Op& op, PassBuilder* pass) {
  ASSIGN_OR_RETURN(const int incoming,
                   pass->Bring({op.outputs[0], true}, pass->Used(op.outputs[0])));
  std::vector<int> after = {incoming};
  for (std::size_t i = 1; i < 3; ++i) {
    ASSIGN_OR_RETURN(const int step,
                     pass->Bring({op.inputs[i], false}, WholeSequence(pass->Used(op.inputs[i]))));
    after.push_back(step);
  }
  const AttentionShape shape = ShapeOf(op, *pass, true);
  const int step = pass->Compute(op.name + " backward", KernelTime(shape, pass->context()),
                                 ComputeModel::AttentionFlops(shape), after, false,
                                 KernelBytes(shape, pass->context()));
  for (std::size_t i = 0; i < 3; ++i) {
    Sharding natural = pass->Used(op.inputs[i]);
    if (i > 0) {
      // Every query shard holds a partial gradient of all keys.
      const int t = natural.Find("T");
      natural.unreduced = natural.dims[static_cast<std::size_t>(t)].axes;
      natural = [&] {
        Sharding whole = WholeSequence(natural);
        whole.unreduced = natural.unreduced;
        return whole;
      }();
    }
    RETURN_IF_ERROR(pass->Finish({op.inputs[i], true}, natural, step));
  }
  return absl::OkStatus();
}

}  // namespace meshstep
