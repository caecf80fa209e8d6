#include <algorithm>

#include "strategies/block/block_context.h"
#include "strategies/block/block_view.h"
#include "strategies/passes/ops/attention_kernel.h"
#include "strategies/passes/ops/composite.h"
#include "strategies/passes/ops/unfused_attention.h"
#include "strategies/passes/pass_builder.h"

namespace meshstep {
namespace {

// Positions that a query sees at most, 0: all. What an indexer chooses is as many as a window would
// leave.
int MostSeen(const Op& op) { return op.top_k > 0 ? op.top_k : op.window; }

// Share of the T × T square that a kernel computes.
double VisibleFraction(const Op& op, const SequenceSplit& split) {
  if (split.square) return 1;
  if (op.chunk > 0) return std::min<double>(op.chunk, split.length) / split.length / 2;
  return VisibleShare(split.length, MostSeen(op), op.causal, split.packing);
}

// Queries at a diagonal side of the part that a kernel computes, over all: those with later keys
// hidden, and those with earlier ones hidden. Between documents both sides are cut once more.
double EdgesOf(const Op& op, double length) {
  const int most = MostSeen(op);
  const double window = most > 0 ? std::min<double>(most, length) : length;
  const double hidden = 1 - window / length;
  return hidden + (op.causal ? 1 : hidden);
}

double Edges(const Op& op, double sequence, const Packing* packing) {
  if (packing == nullptr) return EdgesOf(op, sequence);
  double edges = 2;
  for (const auto& [length, documents] : packing->lengths()) {
    edges += documents * length / sequence * EdgesOf(op, length);
  }
  return edges;
}

// Keys and values are needed at every position.
Sharding WholeSequence(Sharding sharding) {
  const int at = sharding.Find("T");
  sharding.dims[static_cast<std::size_t>(at)].axes.clear();
  return sharding;
}

// A rank's queries with all keys.
KernelCost CostWithAllKeys(const Op& op, const BlockView& pass, bool backward) {
  const BlockContext& context = pass.context();
  AttentionShape shape = LocalShape(op, pass, backward);
  const SequenceSplit split = SplitOf(op, pass);
  if (split.ranks == 1) {
    shape.visible = VisibleFraction(op, split);
    return CostOf(shape, context);
  }
  KernelCost cost;
  for (int rank = 0; rank < split.ranks; ++rank) {
    const AttentionWork work = split.WithAll(rank);
    shape.keys = work.keys;
    shape.visible = work.pairs / (shape.queries * shape.keys);
    const KernelCost one = CostOf(shape, context);
    cost.time = std::max(cost.time, one.time);
    cost.hbm_bytes = std::max(cost.hbm_bytes, one.hbm_bytes);
    cost.flops += one.flops / split.ranks;
  }
  return cost;
}

// Where an indexer chooses the keys all of them are gathered: one compressed vector a position.
bool IsRing(const Op& op, const BlockView& pass) {
  if (op.top_k > 0) return false;
  const ContextMethod method = pass.context().plan->context_method;
  return (method == ContextMethod::kRing || method == ContextMethod::kGatheredRing) &&
         !SequenceAxes(op, pass).empty();
}

bool IsUlysses(const Op& op, const BlockView& pass) {
  return pass.context().plan->context_method == ContextMethod::kUlysses &&
         !SequenceAxes(op, pass).empty() && op.top_k == 0;
}

// Operands without what chooses keys; each once.
std::vector<ArrayId> Operands(const Op& op) {
  std::vector<ArrayId> operands = {op.inputs[0], op.inputs[1]};
  if (op.inputs[2] != op.inputs[1]) operands.push_back(op.inputs[2]);
  return operands;
}

}  // namespace

std::vector<AxisId> SequenceAxes(const Op& op, const BlockView& pass) {
  const Sharding q = pass.Used(op.inputs[0]);
  return q.dims[static_cast<std::size_t>(q.Find("T"))].axes;
}

SequenceSplit SplitOf(const Op& op, const BlockView& pass) {
  const BlockContext& context = pass.context();
  SequenceSplit split;
  split.length = context.DimSize("T");
  for (const AxisId axis : SequenceAxes(op, pass)) split.ranks *= context.plan->axis_size(axis);
  split.balanced = context.plan->context_balanced;
  split.causal = op.causal;
  const int most = MostSeen(op);
  split.window = most < split.length ? most : 0;
  split.chunk = op.chunk;
  split.square = context.plan->unfused_attention;
  split.packing = context.workload->packing.get();
  split.by_document = context.plan->context_splits_documents;
  return split;
}

AttentionShape LocalShape(const Op& op, const BlockView& pass, bool backward) {
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
  // Latent attention: a key per head, or one for all.
  const char* kv = k.Find("K") >= 0 ? "K" : "N";
  shape.kv_heads = k.Find(kv) >= 0 ? local(k, kv) : 1;
  if (context.plan->kernels.repeated_heads) shape.kv_heads = shape.heads;
  shape.queries = local(q, "T");
  shape.keys = context.DimSize("T");
  shape.head_dim = context.DimSize(pass.DimsOf(op.inputs[0]).back());
  shape.value_dim = context.DimSize(pass.DimsOf(op.outputs[0]).back());
  const Packing* const packing = context.workload->packing.get();
  shape.edges = Edges(op, shape.keys, packing);
  if (packing != nullptr) shape.document = packing->MeanLength();
  shape.backward = backward;
  return shape;
}

KernelCost CostOf(const AttentionShape& shape, const BlockContext& context) {
  const Dtype dtype = context.plan->precision.activations;
  const Flops flops = ComputeModel::AttentionFlops(shape);
  if (context.model->indexer || context.model->compressed) {
    // No kernel of chosen or compressed keys is measured: at the rate of matmuls (FlashMLA's sparse prefill says
    // 640 TFLOP/s on H800, deepseek-ai/FlashMLA README).
    const Bytes bytes = ComputeModel::AttentionBytes(shape, dtype);
    return {context.compute->Fused(ComputeModel::AttentionKernelFlops(shape), bytes, dtype), flops,
            bytes};
  }
  if (context.plan->unfused_attention) {
    const UnfusedAttentionCost cost = UnfusedAttention(shape, context);
    return {cost.time, flops, cost.hbm_bytes};
  }
  return {context.compute->Attention(shape, dtype), flops,
          ComputeModel::AttentionBytes(shape, dtype)};
}

double UsedBytes(ArrayId array, const BlockView& pass) {
  return pass.LocalBytes(array, pass.Used(array));
}

double HeadCopies(const Op& op, const BlockView& pass) {
  if (!pass.context().plan->kernels.repeated_heads || op.top_k > 0 || op.compressed) return 1;
  const double per_position = UsedBytes(op.inputs[0], pass) / UsedBytes(op.inputs[1], pass);
  return std::max(1.0, per_position);
}

double KernelBytes(const Op& op, std::size_t input, const BlockView& pass) {
  return UsedBytes(op.inputs[input], pass) * (input == 0 ? 1 : HeadCopies(op, pass));
}

int RepeatHeads(const Op& op, int after, PassBuilder* pass) {
  const double copies = HeadCopies(op, *pass);
  if (copies == 1) return after;
  for (std::size_t i = 1; i < 3; ++i) {
    const Bytes bytes(UsedBytes(op.inputs[i], *pass) * (1 + copies));
    after = pass->Compute("repeat heads", pass->context().compute->Elementwise(bytes), Flops(),
                          {after}, false, bytes);
  }
  return after;
}

int SumHeads(const Op& op, int after, PassBuilder* pass) {
  const double copies = HeadCopies(op, *pass);
  if (copies == 1) return after;
  for (std::size_t i = 1; i < 3; ++i) {
    const Bytes bytes(UsedBytes(op.inputs[i], *pass) * (1 + copies));
    after = pass->Compute("sum heads", pass->context().compute->Elementwise(bytes), Flops(),
                          {after}, false, bytes);
  }
  return after;
}

double AttentionBuffers(const Op& op, const BlockView& pass) {
  if (op.compressed) return CompressedBuffers(op, pass);
  const std::vector<AxisId> axes = SequenceAxes(op, pass);
  const double kv = KernelBytes(op, 1, pass) + KernelBytes(op, 2, pass);
  // With their gradients.
  const double arrays = pass.context().workload->forward_only() ? 1 : 2;
  if (axes.empty()) return HeadCopies(op, pass) > 1 ? arrays * kv : 0;
  if (pass.context().plan->context_method == ContextMethod::kGatheredRing) {
    // All of them, beside two buffers of gradients.
    const double gradients =
        (arrays - 1) * 2 * kAccumulatorBytes / pass.ElementBytes({op.inputs[1], false});
    return (SplitOf(op, pass).ranks + gradients) * kv;
  }
  if (IsRing(op, pass)) {
    // One buffer in use and one that fills, beside the rank's own; outputs or, in backward, the
    // gradients of queries add up in fp32.
    const ArrayId out = op.outputs[0];
    return 2 * arrays * kv +
           UsedBytes(out, pass) * kAccumulatorBytes / pass.ElementBytes({out, false});
  }
  if (!IsUlysses(op, pass)) return arrays * SplitOf(op, pass).ranks * kv;
  const double heads = UsedBytes(op.inputs[0], pass) + UsedBytes(op.outputs[0], pass);
  return heads + KvReplicas(op, pass) * kv;
}

// Keys and values of the whole sequence are gathered (Llama 3, arXiv 2407.21783 §3.3.2) unless they
// are there.
Status AttentionForward(const Op& op, PassBuilder* pass) {
  const Workload& workload = *pass->context().workload;
  if (workload.forward_only()) RETURN_IF_ERROR(CacheForward(op, pass));
  if (workload.mode == Workload::Mode::kDecode) return DecodeAttention(op, pass);
  if (op.compressed) return CompressedForward(op, pass);
  if (IsRing(op, *pass)) return RingForward(op, pass);
  if (IsUlysses(op, *pass)) return UlyssesForward(op, pass);
  std::vector<int> after;
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    const Sharding used = pass->Used(op.inputs[i]);
    const bool by_query = i == 0 || i == 3;
    ASSIGN_OR_RETURN(const int step,
                     pass->Bring({op.inputs[i], false}, by_query ? used : WholeSequence(used)));
    after.push_back(i == 2 ? RepeatHeads(op, step, pass) : step);
  }
  const KernelCost cost = CostWithAllKeys(op, *pass, false);
  const int step = pass->Compute(op.name, cost.time, cost.flops, after, false, cost.hbm_bytes);
  for (const ArrayId output : op.outputs) {
    RETURN_IF_ERROR(pass->Finish({output, false}, pass->Used(output), step));
  }
  return absl::OkStatus();
}

Status AttentionBackward(const Op& op, PassBuilder* pass) {
  if (op.compressed) return CompressedBackward(op, pass);
  if (IsRing(op, *pass)) return RingBackward(op, pass);
  if (IsUlysses(op, *pass)) return UlyssesBackward(op, pass);
  ASSIGN_OR_RETURN(const int incoming,
                   pass->Bring({op.outputs[0], true}, pass->Used(op.outputs[0])));
  std::vector<int> after = {incoming};
  const std::vector<ArrayId> operands = Operands(op);
  for (std::size_t i = 1; i < operands.size(); ++i) {
    ASSIGN_OR_RETURN(const int step,
                     pass->Bring({operands[i], false}, WholeSequence(pass->Used(operands[i]))));
    after.push_back(step);
  }
  const KernelCost cost = CostWithAllKeys(op, *pass, true);
  const int kernel =
      pass->Compute(op.name + " backward", cost.time, cost.flops, after, false, cost.hbm_bytes);
  const int step = SumHeads(op, kernel, pass);
  for (std::size_t i = 0; i < operands.size(); ++i) {
    Sharding natural = pass->Used(operands[i]);
    if (i > 0) {
      // Every query shard holds a partial gradient of all keys.
      const int t = natural.Find("T");
      natural.unreduced = natural.dims[static_cast<std::size_t>(t)].axes;
      natural = [&] {
        Sharding whole = WholeSequence(natural);
        whole.unreduced = natural.unreduced;
        return whole;
      }();
      // One key for all heads: every shard of the heads has a part of its gradient.
      if (natural.Find("K") < 0 && natural.Find("N") < 0) {
        const Sharding q = pass->Used(op.inputs[0]);
        const std::vector<AxisId>& heads = q.dims[static_cast<std::size_t>(q.Find("N"))].axes;
        natural.unreduced.insert(natural.unreduced.end(), heads.begin(), heads.end());
      }
    }
    RETURN_IF_ERROR(pass->Finish({operands[i], true}, natural, step));
  }
  return absl::OkStatus();
}

}  // namespace meshstep
