#include "strategies/passes/block_memory.h"

#include <algorithm>
#include <string_view>

#include "strategies/block/block_context.h"
#include "strategies/block/block_view.h"
#include "strategies/framework/kernel_sums.h"
#include "strategies/model/op_role.h"
#include "strategies/passes/ops/attention_kernel.h"
#include "strategies/passes/ops/composite.h"
#include "strategies/passes/recompute.h"

namespace meshstep {
namespace {

// As wide as the vocabulary.
bool Has(ArrayId array, const std::string& dim, const BlockView& pass) {
  const std::vector<std::string>& dims = pass.DimsOf(array);
  return std::find(dims.begin(), dims.end(), dim) != dims.end();
}

bool IsLogits(ArrayId array, const BlockView& pass) { return Has(array, "V", pass); }

// What activations of MLPs and experts read.
std::set<ArrayId> ActivationInputs(const BlockView& pass) {
  std::set<ArrayId> inputs;
  for (const Op& op : pass.block().ops) {
    const bool mlp = op.role == OpRole::kActivation || op.role == OpRole::kGatedActivation;
    if (mlp || IsExpertActivation(op.role)) inputs.insert(op.inputs.begin(), op.inputs.end());
  }
  return inputs;
}

// The op with the most operands and results that are not kept.
void CountWorkspace(const BlockView& pass, const std::set<ArrayKey>& needed,
                    LoweredBlock* lowered) {
  for (const Op& op : pass.block().ops) {
    double bytes = 0, logits = 0;
    const auto add = [&](const ArrayKey& key) {
      // Elementwise ops work where arrays are stored.
      const bool elementwise = op.kind == Op::Kind::kElementwise;
      const Sharding used = elementwise ? pass.Stored(key.array) : pass.Used(key.array);
      if (needed.contains(key) && used == pass.Stored(key.array)) return;
      const double size = pass.context().LocalElements(used) * pass.ElementBytes(key);
      bytes += size;
      if (IsLogits(key.array, pass)) logits += size;
    };
    for (const ArrayId a : op.inputs) add({a, false, pass.IsNarrow(op)});
    bool only_narrow = false;
    pass.CastInNorm(op, &only_narrow);
    const bool unwritten = op.kind == Op::Kind::kLoss && KeepsLogits(*pass.context().plan);
    for (const ArrayId a : op.outputs) {
      if (!unwritten) add({a, false, only_narrow});
    }
    if (op.kind == Op::Kind::kAttention) bytes += AttentionBuffers(op, pass);
    if (op.kind == Op::Kind::kChunked) bytes += ChunkedBuffers(op, pass);
    const double held = pass.context().workload->forward_only() ? 0 : HeldBytes(op, pass);
    bytes += held;
    if (op.kind == Op::Kind::kLoss) logits += held;
    if (bytes <= lowered->workspace_bytes) continue;
    lowered->workspace_bytes = bytes;
    lowered->workspace_logits_bytes = logits;
  }
}

// Qi et al., arXiv 2401.10241 table 1 (M_W): a block of F = 4 D needs 32 s b h bytes for the
// gradients of its weights.
void CountWeightHalf(const BlockView& pass, LoweredBlock* lowered) {
  std::set<ArrayKey> inputs;
  for (const Op& op : pass.block().ops) {
    const bool projects = op.kind == Op::Kind::kMatmul || op.kind == Op::Kind::kExperts;
    if (!projects && op.kind != Op::Kind::kEmbedding) continue;
    for (const ArrayId a : op.inputs) {
      const ArrayKey key{a, false, pass.IsNarrow(op)};
      if (!inputs.insert(key).second) continue;
      lowered->weight_half_bytes +=
          pass.context().LocalElements(pass.Stored(a)) * pass.Load(a) * pass.ElementBytes(key);
    }
    // Narrow products read narrow gradients.
    for (const ArrayId a : op.outputs) {
      lowered->weight_half_bytes += pass.context().LocalElements(pass.Stored(a)) * pass.Load(a) *
                                    pass.ElementBytes({a, true, pass.IsNarrow(op)});
    }
  }
}

}  // namespace

// Casts happen once a step: whole where a parameter is stored whole, its shard where it is gathered
// in the matmuls' type.
void CountParameter(const BlockView& pass, ArrayId id, LoweredBlock* lowered) {
  const BlockContext& context = pass.context();
  const Precision& p = context.plan->precision;
  const bool matmul = pass.IsMatmulWeight(id);
  const double stored = context.LocalElements(pass.Stored(id));
  const double used = context.LocalElements(pass.Used(id));
  const double stored_type = SizeOf(p.Stored(matmul)).value();
  const double gathered_type = SizeOf(p.Gathered(matmul)).value();
  const bool gathered = !(pass.Stored(id) == pass.Used(id));
  lowered->parameter_bytes += stored * stored_type;
  lowered->gathered_bytes += used * gathered_type;
  if (!matmul || !p.quantised()) return;
  const bool cast_after = gathered && p.gather != p.compute;
  if (cast_after) {
    lowered->gathered_bytes += used * p.WeightBytes();
    return;
  }
  // A weight stored in the matmuls' type is one of the versions.
  const bool is_one = p.parameters == p.compute;
  const int versions = (gathered ? 1 : pass.WeightVersions()) - (is_one ? 1 : 0);
  lowered->parameter_bytes += stored * versions * p.WeightBytes();
  if (versions > 0) {
    lowered->cast_bytes += stored * (p.CastKernels() * stored_type + versions * p.WeightBytes());
  }
}

// What is kept. An array is kept if backward needs it and no op that runs again makes it; the
// block's input is kept unless the block before keeps it as its output. A narrow matmul saves the
// narrow copy of its input, one version (TransformerEngine's Linear), beside the wide one where
// another op saves that.
void CountActivations(const BlockView& pass, const Again& again, LoweredBlock* lowered) {
  std::set<ArrayKey> needed, made_again, gathered;
  const std::set<ArrayId> narrowed = ActivationInputs(pass);
  if (pass.context().workload->forward_only()) {
    for (const Op& op : pass.block().ops) {
      if (op.kind == Op::Kind::kAttention) lowered->kv_cache_bytes += KvCacheBytes(op, pass);
      if (op.kind == Op::Kind::kChunked) lowered->kv_cache_bytes += StateBytes(op, pass);
      if (op.kind == Op::Kind::kIndex) lowered->kv_cache_bytes += IndexCacheBytes(op, pass);
    }
    CountWorkspace(pass, needed, lowered);
    return;
  }
  // Where the gates multiply the experts' activations, a sum of copies needs nothing for backward.
  const ExpertDispatch dispatch = pass.context().plan->expert_dispatch;
  const bool weighted_sum = dispatch == ExpertDispatch::kSorted ||
                            dispatch == ExpertDispatch::kGather ||
                            dispatch == ExpertDispatch::kEinsum;
  for (std::size_t i = 0; i < pass.block().ops.size(); ++i) {
    const Op& op = pass.block().ops[i];
    const bool narrow = pass.IsNarrow(op) && !pass.context().plan->precision.CastsPerProduct();
    const bool logits = op.kind == Op::Kind::kLoss && KeepsLogits(*pass.context().plan);
    for (const ArrayId array : logits ? op.inputs : op.saved) {
      if (op.kind == Op::Kind::kCombine && array == op.inputs[0] && !weighted_sum) continue;
      const ArrayKey key{array, false, narrow && array == op.inputs[0]};
      needed.insert(key);
      // What a product gathered stays with it, unless it gathers again.
      const bool product = op.kind == Op::Kind::kMatmul || op.kind == Op::Kind::kExperts;
      if (product && pass.KeepsGathered(op) && array == op.inputs[0] && !again.ops.contains(i))
        gathered.insert(key);
      if (again.arrays.contains(array) || (key.narrow && again.ops.contains(i))) {
        made_again.insert(key);
      }
    }
    // No kernel of Megatron-Core weighs an activation that is not gated: the product is one more
    // array (megatron/core/transformer/moe/experts.py, mlp.py).
    if (!weighted_sum && op.role == OpRole::kExpertActivation) {
      const ArrayId out = op.outputs[0];
      (again.ops.contains(i) ? lowered->recomputed_bytes : lowered->kept_bytes) +=
          pass.StoredBytes(out) * pass.Load(out);
    }
    // Attention saves the heads that it read.
    const bool copies_heads = pass.context().plan->kernels.repeated_heads && !op.compressed;
    if (op.kind == Op::Kind::kAttention && copies_heads) {
      const double copies = HeadCopies(op, pass);
      for (std::size_t k = 1; k < 3; ++k) {
        (again.ops.contains(i) ? lowered->recomputed_bytes : lowered->kept_bytes) +=
            (copies - 1) * pass.LocalBytes(op.inputs[k], pass.Used(op.inputs[k]));
      }
    }
    // What an op that runs again reads must be there.
    if (!again.ops.contains(i)) continue;
    for (const ArrayId array : op.inputs) {
      if (again.arrays.contains(array) && pass.IsNarrow(op)) continue;
      needed.insert({array, false});
      if (again.arrays.contains(array)) made_again.insert({array, false});
    }
  }
  for (const ArrayKey& key : needed) {
    const Sharding where = gathered.contains(key) ? pass.Used(key.array) : pass.Stored(key.array);
    const bool kept = !made_again.contains(key);
    const double element = kept && narrowed.contains(key.array)
                               ? std::min(pass.ElementBytes(key),
                                          SizeOf(pass.context().plan->precision.kept_mlp).value())
                               : pass.ElementBytes(key);
    const double bytes = pass.context().LocalElements(where) * pass.Load(key.array) * element;
    (kept ? lowered->kept_bytes : lowered->recomputed_bytes) += bytes;
    if (kept && IsLogits(key.array, pass)) lowered->kept_logits_bytes += bytes;
  }
  CountWorkspace(pass, needed, lowered);
  CountWeightHalf(pass, lowered);
}

void CountOffload(const BlockView& pass, LoweredBlock* lowered) {
  const Plan& p = *pass.context().plan;
  TransferTable* transfers = pass.context().transfers;
  const auto copy = [&](double bytes) {
    HostCopy host{.bytes = bytes};
    if (bytes <= 0) return host;
    host.to = transfers->Intern({Collective::kPermute, {}, Role::kToHost, Bytes(bytes)});
    host.from = transfers->Intern({Collective::kPermute, {}, Role::kFromHost, Bytes(bytes)});
    return host;
  };
  const bool layer = pass.block().input >= 0 && pass.block().output >= 0;
  if (layer) lowered->host_activations = copy(p.offload.activations * lowered->kept_bytes);
  lowered->host_parameters = copy(p.offload.parameters * lowered->parameter_bytes);
  lowered->host_optimizer = copy(p.offload.optimizer * lowered->optimizer_bytes);
}

}  // namespace meshstep
