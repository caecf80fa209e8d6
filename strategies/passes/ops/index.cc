// The lightning indexer (DeepSeek-V3.2, arXiv 2512.02556 §2.1). Every tensor rank does all of its
// heads, as they add up; where context ranks share the sequence its keys are gathered (H_i numbers of
// a position). Forward writes the scores and reads them again to choose. Backward trains the indexer
// on the keys that it chose, by the divergence from what attention makes of them: scores of queries
// and keys as attention sees them, and the two products of the gradients of q and k
// (NVIDIA/Megatron-LM megatron/core/transformer/experimental_attention_variant/dsa.py).

#include <algorithm>
#include <string>
#include <vector>

#include "sim/base/dtype.h"
#include "strategies/block/block_context.h"
#include "strategies/block/block_view.h"
#include "strategies/passes/ops/composite.h"
#include "strategies/passes/pass_builder.h"

namespace meshstep {
namespace {

Sharding Whole(Sharding sharding) {
  sharding.dims[static_cast<std::size_t>(sharding.Find("T"))].axes.clear();
  return sharding;
}

// Queries of this device times keys (entries of compressed ones) that one sees on average.
struct Pairs {
  double all = 0, chosen = 0;
};
Pairs PairsOf(const Op& op, const BlockView& pass) {
  const BlockContext& context = pass.context();
  Sharding positions = pass.Used(op.inputs[2]);
  positions.dims.pop_back();
  const double queries = context.LocalElements(positions);
  const double sequence = static_cast<double>(context.workload->sequence) / std::max(1, op.rate);
  if (context.workload->mode == Workload::Mode::kDecode) {
    return {queries * sequence, queries * std::min<double>(op.top_k, sequence)};
  }
  const double w = std::min(1.0, op.top_k / sequence);
  return {queries * sequence * (op.causal ? 0.5 : 1),
          queries * sequence * (op.causal ? w * (1 - w / 2) : w)};
}

int Kernel(const std::string& name, double flops, double bytes, const std::vector<int>& after,
           PassBuilder* pass) {
  const Dtype dtype = pass->context().plan->precision.activations;
  const Time time = flops > 0 ? pass->context().compute->Fused(Flops(flops), Bytes(bytes), dtype)
                              : pass->context().compute->Elementwise(Bytes(bytes));
  return pass->Compute(name, time, Flops(flops), after, false, Bytes(bytes));
}

double BytesOf(ArrayId array, const BlockView& pass) {
  return pass.LocalBytes(array, pass.Used(array));
}

double ScoreFlops(const BlockView& pass) {
  return 2 * pass.context().DimSize("I") * (pass.context().DimSize("H_i") + 1);
}

// Keys of all positions that a device holds, in the cache of decode.
double CachedKeys(const Op& op, const BlockView& pass) {
  const BlockContext& context = pass.context();
  double ranks = 1;
  for (const AxisId axis : context.plan->cache_axes) ranks *= context.plan->axis_size(axis);
  const double key = context.DimSize(pass.DimsOf(op.inputs[1]).back());
  return static_cast<double>(context.workload->sequence) / ranks * key *
         SizeOf(context.plan->precision.kv_cache).value();
}

}  // namespace

double IndexCacheBytes(const Op& op, const BlockView& pass) {
  const Plan& plan = *pass.context().plan;
  return plan.micro_batch_sequences * static_cast<double>(plan.micro_batches) *
         CachedKeys(op, pass);
}

Status IndexForward(const Op& op, PassBuilder* pass) {
  const ArrayId q = op.inputs[0], k = op.inputs[1], weights = op.inputs[2], keys = op.outputs[0];
  const bool decode = pass->context().workload->mode == Workload::Mode::kDecode;
  std::vector<int> after;
  for (const ArrayId input : op.inputs) {
    const Sharding used = pass->Used(input);
    ASSIGN_OR_RETURN(const int step,
                     pass->Bring({input, false}, input == k && !decode ? Whole(used) : used));
    after.push_back(step);
  }
  const Pairs pairs = PairsOf(op, *pass);
  const double scores = pairs.all * kFp32Bytes;
  const double read = decode ? pass->context().plan->micro_batch_sequences * CachedKeys(op, *pass)
                             : pass->LocalBytes(k, Whole(pass->Used(k)));
  int step = Kernel("index scores", pairs.all * ScoreFlops(*pass),
                    BytesOf(q, *pass) + BytesOf(weights, *pass) + read + scores, after, pass);
  step = Kernel("index choice", 0, scores + BytesOf(keys, *pass), {step}, pass);
  return pass->Finish({keys, false}, pass->Used(keys), step);
}

Status IndexBackward(const Op& op, PassBuilder* pass) {
  const ArrayId q = op.inputs[0], k = op.inputs[1], weights = op.inputs[2];
  ASSIGN_OR_RETURN(const int there, pass->Bring({k, false}, Whole(pass->Used(k))));
  const Pairs pairs = PairsOf(op, *pass);
  const BlockContext& context = pass->context();
  const double attention = 2 * context.DimSize("N") * context.DimSize("H_c");
  const double target = pairs.chosen * kFp32Bytes;
  int step = Kernel("index target", pairs.chosen * attention, target, {there}, pass);
  const double bytes = 2 * (BytesOf(q, *pass) + BytesOf(weights, *pass) +
                            pass->LocalBytes(k, Whole(pass->Used(k)))) +
                       2 * target;
  step = Kernel("index backward", 2 * pairs.chosen * ScoreFlops(*pass), bytes, {step}, pass);
  for (const ArrayId input : {q, k, weights}) {
    Sharding natural = pass->Used(input);
    if (input == k) {
      // Every rank of the sequence has a part of the gradient of all keys.
      const int t = natural.Find("T");
      const std::vector<AxisId> axes = natural.dims[static_cast<std::size_t>(t)].axes;
      natural = Whole(natural);
      natural.unreduced = axes;
    }
    RETURN_IF_ERROR(pass->Finish({input, true}, natural, step));
  }
  return absl::OkStatus();
}

}  // namespace meshstep
