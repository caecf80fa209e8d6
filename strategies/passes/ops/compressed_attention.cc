// Attention over a window and over entries of compressed keys, [B,T,H_z], of which each position has its
// part (strategies/model/layers/compressed_attention.cc), on a sequence that c ranks share
// (NVIDIA/Megatron-LM megatron/core/transformer/experimental_attention_variant, csa_cp_utils.py):
//
//   window   every rank gets the last W_s keys of the rank before: one hop of W_s H numbers of each
//            sequence; with balanced chunks two stretches, 2 W_s. Backward hands their gradients back.
//   entries  all of them are gathered: T H / Q numbers; backward sums and scatters their gradients.
//
// Pairs of a query at t: min(W_s, t) and min(top_k, t / Q), which is what a window of top_k Q
// positions would leave, over Q.

#include <algorithm>

#include "strategies/block/block_context.h"
#include "strategies/block/block_view.h"
#include "strategies/passes/ops/attention_kernel.h"
#include "strategies/passes/pass_builder.h"

namespace meshstep {
namespace {

Sharding Whole(Sharding sharding) {
  sharding.dims[static_cast<std::size_t>(sharding.Find("T"))].axes.clear();
  return sharding;
}

double Pairs(const Op& op, const BlockView& pass, int rank) {
  SequenceSplit split = SplitOf(op, pass);
  split.square = false;
  const auto within = [&](double most) {
    split.window = most < split.length ? most : 0;
    return split.WithAll(rank).pairs;
  };
  const double window = within(op.window);
  if (op.rate == 0) return window;
  return window + within(static_cast<double>(op.top_k) * op.rate) / op.rate;
}

// That of the slowest rank, and what they execute on average.
KernelCost Cost(const Op& op, const BlockView& pass, bool backward) {
  AttentionShape shape = LocalShape(op, pass, backward);
  const int ranks = SplitOf(op, pass).ranks;
  KernelCost cost;
  for (int rank = 0; rank < ranks; ++rank) {
    shape.visible = Pairs(op, pass, rank) / (shape.queries * shape.keys);
    const KernelCost one = CostOf(shape, pass.context());
    cost.time = std::max(cost.time, one.time);
    cost.hbm_bytes = std::max(cost.hbm_bytes, one.hbm_bytes);
    cost.flops += one.flops / ranks;
  }
  return cost;
}

// Of the keys before a rank's own that its window reaches; 0 where the sequence is not shared.
double BoundaryBytes(const Op& op, const BlockView& pass) {
  if (SequenceAxes(op, pass).empty()) return 0;
  const ArrayId kv = op.inputs[1];
  const double stretches = pass.context().plan->context_balanced ? 2 : 1;
  const double own = UsedBytes(kv, pass);
  const double stretch = LocalShape(op, pass, false).queries / stretches;
  return own / stretch * std::min<double>(op.window, stretch);
}

int Boundary(const Op& op, const char* name, int after, PassBuilder* pass) {
  const double bytes = BoundaryBytes(op, *pass);
  if (bytes == 0) return after;
  return pass->Transfer(name, Collective::kPermute, SequenceAxes(op, *pass), Bytes(bytes), {after});
}

bool HasEntries(const Op& op) { return op.rate > 0; }

// Heads that different devices have each hold a part of the gradient of the one key.
void SumHeadShards(const Op& op, const BlockView& pass, Sharding* gradient) {
  const Sharding q = pass.Used(op.inputs[0]);
  const std::vector<AxisId>& heads = q.dims[static_cast<std::size_t>(q.Find("N"))].axes;
  gradient->unreduced.insert(gradient->unreduced.end(), heads.begin(), heads.end());
}

}  // namespace

double CompressedBuffers(const Op& op, const BlockView& pass) {
  const double arrays = pass.context().workload->forward_only() ? 1 : 2;
  double bytes = BoundaryBytes(op, pass);
  if (HasEntries(op) && !SequenceAxes(op, pass).empty()) {
    bytes += SplitOf(op, pass).ranks * UsedBytes(op.inputs.back(), pass);
  }
  return arrays * bytes;
}

Status CompressedForward(const Op& op, PassBuilder* pass) {
  std::vector<int> after;
  for (std::size_t i = 0; i < op.inputs.size(); ++i) {
    const Sharding used = pass->Used(op.inputs[i]);
    const bool entries = HasEntries(op) && i + 1 == op.inputs.size();
    ASSIGN_OR_RETURN(const int step,
                     pass->Bring({op.inputs[i], false}, entries ? Whole(used) : used));
    after.push_back(i == 1 ? Boundary(op, "window keys", step, pass) : step);
  }
  const KernelCost cost = Cost(op, *pass, false);
  const int step = pass->Compute(op.name, cost.time, cost.flops, after, false, cost.hbm_bytes);
  for (const ArrayId output : op.outputs) {
    RETURN_IF_ERROR(pass->Finish({output, false}, pass->Used(output), step));
  }
  return absl::OkStatus();
}

Status CompressedBackward(const Op& op, PassBuilder* pass) {
  const ArrayId q = op.inputs[0], kv = op.inputs[1], entries = op.inputs.back();
  ASSIGN_OR_RETURN(const int incoming,
                   pass->Bring({op.outputs[0], true}, pass->Used(op.outputs[0])));
  ASSIGN_OR_RETURN(const int there, pass->Bring({kv, false}, pass->Used(kv)));
  std::vector<int> after = {incoming, Boundary(op, "window keys", there, pass)};
  if (HasEntries(op)) {
    ASSIGN_OR_RETURN(const int all, pass->Bring({entries, false}, Whole(pass->Used(entries))));
    after.push_back(all);
  }
  const KernelCost cost = Cost(op, *pass, true);
  const int step =
      pass->Compute(op.name + " backward", cost.time, cost.flops, after, false, cost.hbm_bytes);
  RETURN_IF_ERROR(pass->Finish({q, true}, pass->Used(q), step));
  Sharding of_kv = pass->Used(kv);
  SumHeadShards(op, *pass, &of_kv);
  const int back = Boundary(op, "window key gradients", step, pass);
  RETURN_IF_ERROR(pass->Finish({kv, true}, of_kv, back));
  if (!HasEntries(op)) return absl::OkStatus();
  Sharding of_entries = pass->Used(entries);
  const std::vector<AxisId> sequence =
      of_entries.dims[static_cast<std::size_t>(of_entries.Find("T"))].axes;
  of_entries = Whole(of_entries);
  of_entries.unreduced = sequence;
  SumHeadShards(op, *pass, &of_entries);
  return pass->Finish({entries, true}, of_entries, step);
}

}  // namespace meshstep
