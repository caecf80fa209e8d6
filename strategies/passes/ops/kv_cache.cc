#include <algorithm>

#include "sim/base/dtype.h"
#include "strategies/block/block_context.h"
#include "strategies/block/block_view.h"
#include "strategies/passes/ops/attention_kernel.h"
#include "strategies/passes/ops/composite.h"
#include "strategies/passes/pass_builder.h"

namespace meshstep {
namespace {

double Product(const std::vector<AxisId>& axes, const Plan& plan) {
  double product = 1;
  for (const AxisId axis : axes) product *= plan.axis_size(axis);
  return product;
}

double Local(const Sharding& sharding, const std::string& dim, const BlockContext& context) {
  Sharding one;
  one.dims.push_back(sharding.dims[static_cast<std::size_t>(sharding.Find(dim))]);
  return context.LocalElements(one);
}

// Of one position on one device. Latent attention caches the compressed vector and the rotary key,
// which all heads share (arXiv 2405.04434 §2.1.2).
double CacheElements(const Op& op, const BlockView& pass) {
  const BlockContext& context = pass.context();
  if (const auto& mla = context.model->mla) return mla->kv_lora_rank + mla->qk_rope_head_dim;
  if (op.compressed) return context.DimSize("H");
  const double value = context.DimSize(pass.DimsOf(op.outputs[0]).back());
  return Local(pass.Used(op.inputs[1]), "K", context) * (context.DimSize("H") + value);
}

// Positions of one sequence that one device holds, and entries of compressed ones.
double CachedPositions(const Op& op, const BlockView& pass) {
  const BlockContext& context = pass.context();
  const auto sequence = static_cast<double>(context.workload->sequence);
  const int most = op.window > 0 ? op.window : op.chunk;
  double kept = most > 0 ? std::min<double>(most, sequence) : sequence;
  if (op.rate > 0) kept += sequence / op.rate;
  const std::vector<AxisId> axes = context.workload->mode == Workload::Mode::kDecode
                                       ? context.plan->cache_axes
                                       : SequenceAxes(op, pass);
  return kept / Product(axes, *context.plan);
}

// Share of the cached positions and entries that a query attends to.
double CompressedSeen(const Op& op, double sequence) {
  const double window = std::min<double>(op.window, sequence);
  const double entries = op.rate > 0 ? sequence / op.rate : 0;
  const double chosen = op.top_k > 0 ? std::min<double>(op.top_k, entries) : entries;
  return (window + chosen) / (window + entries);
}

// The kernel: one query of each head with all cached positions of its sequence. With latent
// attention the up-projections of keys and values are applied to the query and to the output, so
// that scores and outputs are of the cached vectors.
struct DecodeKernel {
  Flops flops;
  Bytes bytes;
};
DecodeKernel KernelOf(const Op& op, const BlockView& pass) {
  const BlockContext& context = pass.context();
  const Sharding q = pass.Used(op.inputs[0]);
  const double batch = Local(q, "B", context), heads = Local(q, "N", context);
  // Those that an indexer chooses are spread evenly over the devices.
  const double cached = CachedPositions(op, pass);
  const auto sequence = static_cast<double>(context.workload->sequence);
  const double share = cached / sequence;
  double positions = op.top_k > 0 ? std::min(cached, op.top_k * share) : cached;
  if (op.compressed) positions = cached * CompressedSeen(op, sequence);
  double score = context.DimSize("H"), value = context.DimSize(pass.DimsOf(op.outputs[0]).back());
  if (const auto& mla = context.model->mla) {
    score = mla->kv_lora_rank + mla->qk_rope_head_dim;
    value = mla->kv_lora_rank;
  }
  const Precision& precision = context.plan->precision;
  const Bytes cache = batch * positions * CacheElements(op, pass) * SizeOf(precision.kv_cache);
  const Bytes vectors = batch * heads * (score + value) * SizeOf(precision.activations);
  return {Flops(2 * batch * heads * positions * (score + value)), cache + vectors};
}

}  // namespace

double KvCacheBytes(const Op& op, const BlockView& pass) {
  const Plan& plan = *pass.context().plan;
  const double sequences = plan.micro_batch_sequences * static_cast<double>(plan.micro_batches);
  return sequences * CachedPositions(op, pass) * CacheElements(op, pass) *
         SizeOf(plan.precision.kv_cache).value();
}

Status CacheForward(const Op& op, PassBuilder* pass) {
  std::vector<int> after;
  const ArrayId beside = op.compressed ? op.inputs.back() : op.inputs[2];
  for (const ArrayId input : {op.inputs[1], beside}) {
    ASSIGN_OR_RETURN(const int step, pass->Bring({input, false}, pass->Used(input)));
    after.push_back(step);
  }
  const BlockContext& context = pass->context();
  const Sharding k = pass->Used(op.inputs[1]);
  double positions = Local(k, "B", context) * Local(k, "T", context);
  if (op.rate > 0) positions *= 1 + 1.0 / op.rate;
  const Precision& precision = context.plan->precision;
  const Bytes bytes = positions * CacheElements(op, *pass) *
                      (SizeOf(precision.activations) + SizeOf(precision.kv_cache));
  pass->Compute("cache keys and values", context.compute->Elementwise(bytes), Flops(), after, false,
                bytes);
  return absl::OkStatus();
}

Status DecodeAttention(const Op& op, PassBuilder* pass) {
  const ArrayId q = op.inputs[0], out = op.outputs[0];
  ASSIGN_OR_RETURN(const int ready, pass->Bring({q, false}, pass->Used(q)));
  const BlockContext& context = pass->context();
  const DecodeKernel kernel = KernelOf(op, *pass);
  const Time time =
      context.compute->Fused(kernel.flops, kernel.bytes, context.plan->precision.activations);
  int step = pass->Compute(op.name, time, kernel.flops, {ready}, false, kernel.bytes);
  if (const std::vector<AxisId>& axes = context.plan->cache_axes; !axes.empty()) {
    Sharding rows = pass->Used(out);
    rows.dims.pop_back();
    step = pass->Transfer(
        "log_sum_exp", Collective::kAllGather, axes,
        Bytes(Product(axes, *context.plan) * context.LocalElements(rows) * kFp32Bytes), {step});
    const Bytes scaled(2 * UsedBytes(out, *pass));
    step = pass->Compute("scale partial outputs", context.compute->Elementwise(scaled), Flops(),
                         {step}, false, scaled);
    step = pass->Transfer("attention_out", Collective::kAllReduce, axes,
                          Bytes(UsedBytes(out, *pass)), {step});
  }
  RETURN_IF_ERROR(pass->Finish({out, false}, pass->Used(out), step));
  for (std::size_t i = 1; i < op.outputs.size(); ++i) {
    pass->Define({op.outputs[i], false}, pass->Stored(op.outputs[i]), step);
  }
  return absl::OkStatus();
}

}  // namespace meshstep
