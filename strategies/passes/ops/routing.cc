// Tokens on the way to their experts and back. Every rank routes tokens of its own, so that those
// which several ranks hold are sliced first and gathered after (arXiv 2504.14960 §3.2).
//
// n tokens of a rank with A experts each make n A copies; the all-to-all sends (ep - 1)/ep of them
// away and lasts as long as the busiest rank receives. Who makes the copies, and which kernels pass
// over them in HBM beside the all-to-all, is the dispatcher's (Plan::expert_dispatch):
//
//   sorted      the sender: reads n tokens, writes n A copies by expert; back it reads n A and
//               writes n. Combine's backward reads the copies again for the gates' gradients.
//   all-to-all  the same, by rank; where a rank has several experts, the receiver then sorts by
//               expert what all ranks sent, reading and writing every copy once each way
//               (megatron/core/transformer/moe/token_dispatcher.py, MoEAlltoAllTokenDispatcher:
//               permute, all_to_all, sort_chunks_by_idxs). The gates multiply the experts'
//               activations, so that combine is a plain sum. Between nodes every copy is sent.
//   deepep      nothing at the sender; the transfer brings a token once to a rank and sums on the
//               way back. The receiver reads what came and writes a copy for each of its experts,
//               and back (megatron/core/transformer/moe/fused_a2a.py and _DeepepManager;
//               deepseek-ai/DeepEP).
//   hybridep    the same, and that kernel pads each expert's tokens (DeepEP
//               docs/Hybrid-EP_Implementation.md, dispatch_with_permute).
//   gather      as sorted, but the copies are first repeated in the order of the tokens, then
//               gathered in the order of the experts: one more pass each way that reads and writes
//               every copy by index. Where the layer runs again, combine's copies are gathered
//               again for the gates' gradients (AI-Hypercomputer/maxtext src/MaxText/layers/moe.py,
//               permute, unpermute and _sort_activations with its backward).
//   einsum      matmuls with a mask [B, T, places] of ones and zeros, places being those of all
//               experts for the tokens of one sequence: copies[p, D] = mask[T, p] x[T, D] and
//               out[T, D] = mask[T, p] copies[p, D] (GShard, arXiv 2006.16668, algorithm 1; maxtext
//               moe.py, dense_matmul). Backward: one product for x, and two for the copies and for
//               the gates, whose mask they weigh.
//
// With 8- or 4-bit matmuls the tokens of an expert are padded to a multiple of 16 or 32, by kernels
// that copy all of them (Transformer Engine Fp8Padding and Fp8Unpadding in TEGroupedMLP), unless
// the dispatcher does so.

#include <string>
#include <vector>

#include "strategies/block/block_context.h"
#include "strategies/block/block_view.h"
#include "strategies/framework/kernel_sums.h"
#include "strategies/passes/ops/composite.h"
#include "strategies/passes/pass_builder.h"

namespace meshstep {
namespace {

// A part of the tokens for every rank of the stage.
Sharding OwnTokens(ArrayId array, const BlockView& pass) {
  Sharding sharding = pass.Stored(array);
  for (ShardedDim& dim : sharding.dims) {
    if (dim.name != "B" && dim.name != "T") dim.axes.clear();
  }
  return Spread(*pass.context().plan, std::move(sharding), "T");
}

ExpertDispatch Dispatcher(const BlockView& pass) { return pass.context().plan->expert_dispatch; }

// The transfer takes tokens as they lie.
bool TakesTokens(const BlockView& pass) {
  return Dispatcher(pass) == ExpertDispatch::kDeepEp ||
         Dispatcher(pass) == ExpertDispatch::kHybridEp;
}

bool HasMasks(const BlockView& pass) { return Dispatcher(pass) == ExpertDispatch::kEinsum; }

// Megatron-Core's; a compiler orders the rest by what they need.
bool LaunchesInOrder(ExpertDispatch dispatch) {
  return dispatch == ExpertDispatch::kAllToAll || dispatch == ExpertDispatch::kDeepEp ||
         dispatch == ExpertDispatch::kHybridEp;
}

std::vector<AxisId> ExpertRanks(const BlockView& pass) {
  return Apply(pass.context().plan->rules.experts, {"E"}).dims[0].axes;
}

Mover MoverOf(bool back, const BlockView& pass) {
  switch (Dispatcher(pass)) {
    case ExpertDispatch::kDeepEp:
      return Mover::kDeepEp;
    case ExpertDispatch::kHybridEp:
      return back ? Mover::kHybridEpCombine : Mover::kHybridEp;
    case ExpertDispatch::kSorted:
    case ExpertDispatch::kAllToAll:
    case ExpertDispatch::kGather:
    case ExpertDispatch::kEinsum:
      break;
  }
  return Mover::kLibrary;
}

// A token's experts are in groups_per_token of the groups, which are placed one after another.
// back: from the experts.
Copies Routing(bool back, const BlockView& pass) {
  if (Dispatcher(pass) == ExpertDispatch::kAllToAll) return {};
  const Moe& moe = *pass.context().model->moe;
  const bool limited = moe.groups > 0 && moe.groups_per_token > 0;
  const double activation = SizeOf(pass.context().plan->precision.activations).value();
  return {.copies = static_cast<double>(moe.experts_per_token),
          .groups = limited ? static_cast<double>(moe.groups) : 1,
          .groups_of_item = limited ? static_cast<double>(moe.groups_per_token) : 1,
          .by_rank = TakesTokens(pass),
          .mover = MoverOf(back, pass),
          .item_bytes = pass.context().DimSize(moe.latent > 0 ? "D_l" : "D") * activation};
}

enum class Way { kToExperts, kBack };

// `step` makes the copies. Without ranks to share experts nothing moves.
// Launched in the order of the kernels, an exchange waits for all of them: forward for those that
// route, backward also for gradients of weights that it does not need.
int Exchange(const std::string& name, Way way, ArrayId copies, bool backward, int step,
             PassBuilder* pass) {
  const std::vector<AxisId> axes = ExpertRanks(*pass);
  if (axes.empty()) return step;
  std::vector<int> after = {step};
  const Plan& plan = *pass->context().plan;
  const bool in_order = !backward || !plan.overlap_experts;
  if (LaunchesInOrder(plan.expert_dispatch) && in_order && pass->LastKernel() != step) {
    after.push_back(pass->LastKernel());
  }
  return pass->Transfer(name, Collective::kAllToAll, axes, Bytes(pass->StoredBytes(copies)), after,
                        true, Routing(way == Way::kBack, *pass));
}

int Kernel(const std::string& name, Bytes bytes, const std::vector<int>& after, PassBuilder* pass) {
  return pass->Compute(name, pass->context().compute->Elementwise(bytes), Flops(), after, false,
                       bytes);
}

// With all-to-all and deepep by Transformer Engine's kernels (moe_permute, moe_unpermute,
// moe_sort_chunks_by_index), whose rate the chip file has.
int Permutation(const std::string& name, Bytes bytes, const std::vector<int>& after,
                PassBuilder* pass) {
  const ExpertDispatch dispatch = Dispatcher(*pass);
  if (dispatch == ExpertDispatch::kSorted || dispatch == ExpertDispatch::kHybridEp) {
    return Kernel(name, bytes, after, pass);
  }
  return pass->Compute(name, pass->context().compute->Permutation(bytes), Flops(), after, false,
                       bytes);
}

// The sender's kernel, between the tokens of a rank and its copies of them, where the latter pass
// through HBM `times`. What a rank sends is not more than its share: imbalance is at the experts.
int Spreading(const std::string& name, ArrayId tokens, ArrayId copies, double times,
              const std::vector<int>& after, PassBuilder* pass) {
  const double sent = pass->StoredBytes(copies) / pass->context().plan->expert_imbalance;
  const Bytes bytes(pass->LocalBytes(tokens, OwnTokens(tokens, *pass)) + times * sent);
  return Permutation(name, bytes, after, pass);
}

// The copies of a rank change between the order of its tokens and that of the experts.
int Reorder(const std::string& name, ArrayId copies, int after, PassBuilder* pass) {
  if (Dispatcher(*pass) != ExpertDispatch::kGather) return after;
  const Bytes bytes(2 * pass->StoredBytes(copies) / pass->context().plan->expert_imbalance);
  return pass->Compute(name, pass->context().compute->Permutation(bytes), Flops(), {after}, false,
                       bytes);
}

// `products` matmuls with the masks of a rank's sequences. All are of one shape, up to which of its
// three sizes is summed over; taken as the dispatching one.
int WithMasks(const std::string& name, ArrayId tokens, ArrayId copies, int products,
              const std::vector<int>& after, PassBuilder* pass) {
  const Sharding own = OwnTokens(tokens, *pass);
  const BlockContext& context = pass->context();
  const auto local = [&](const std::string& dim) {
    Sharding one = own;
    std::erase_if(one.dims, [&dim](const ShardedDim& d) { return d.name != dim; });
    return context.LocalElements(one);
  };
  const double type = pass->ElementBytes({tokens, false});
  const double sequences = local("B"), width = local(pass->DimsOf(tokens).back());
  const double places = pass->StoredBytes(copies) / (type * sequences * width);
  const MatmulShape shape{.batch = sequences, .m = places, .n = width, .k = local("T")};
  const Dtype dtype = context.plan->precision.activations;
  const Time one = context.compute->Matmul(shape, dtype, SizeOf(dtype));
  return pass->Compute(name, one * products, products * shape.flops(), after, false,
                       products * shape.bytes(dtype, SizeOf(dtype)));
}

double Experts(const BlockView& pass) {
  const BlockContext& context = pass.context();
  return context.LocalElements(Apply(context.plan->rules.experts, {"E"}));
}

// The copies that a rank's experts work on: ranks that share an expert gather them first.
double SortedBytes(ArrayId copies, const BlockView& pass) {
  return pass.LocalBytes(copies, pass.Used(copies));
}

// The receiver's kernel between what a transfer brings (or takes) and the copies by expert.
int Sorting(const std::string& name, ArrayId copies, int after, PassBuilder* pass) {
  const double sorted = SortedBytes(copies, *pass);
  double moved = 2 * sorted;
  if (TakesTokens(*pass)) {
    double ranks = 1;
    for (const AxisId axis : ExpertRanks(*pass)) ranks *= pass->context().plan->axis_size(axis);
    moved = sorted * (1 + JoinedShare(Routing(false, *pass), ranks));
  } else if (Dispatcher(*pass) == ExpertDispatch::kSorted || HasMasks(*pass) ||
             ExpertRanks(*pass).empty() || Experts(*pass) <= 1) {
    return after;
  }
  return Permutation(name, Bytes(moved), {after}, pass);
}

// Copies the tokens of every expert to where the next begins at a multiple, or back.
int Padding(const std::string& name, ArrayId copies, int after, PassBuilder* pass) {
  const ExpertDispatch dispatch = Dispatcher(*pass);
  const bool copied = dispatch == ExpertDispatch::kAllToAll || dispatch == ExpertDispatch::kDeepEp;
  if (!copied || !pass->context().plan->precision.quantised()) return after;
  return Kernel(name, Bytes(2 * SortedBytes(copies, *pass)), {after}, pass);
}

std::string NameOf(ArrayId array, bool gradient, const BlockView& pass) {
  return (gradient ? "d" : "") + pass.block().arrays[static_cast<std::size_t>(array)].name;
}

// From the tokens of every rank to the copies of the experts; `made`: the tokens are there.
int Send(const std::string& op, bool backward, ArrayId tokens, ArrayId copies, double times,
         const std::vector<int>& made, PassBuilder* pass) {
  int step = made.front();
  // The host reads what routing made before it can launch the exchange; DeepEP and HybridEP wait
  // for their counts inside it (deepseek-ai/DeepEP, intranode dispatch and stream synchronisation
  // unless non_blocking).
  int routed = pass->LastKernel() + 1;
  if (HasMasks(*pass)) {
    routed = step = WithMasks(op, tokens, copies, backward ? 2 : 1, made, pass);
  } else if (!TakesTokens(*pass)) {
    routed = step = Spreading(op, tokens, copies, times, made, pass);
    step = Reorder(op + " gather", copies, step, pass);
  }
  const int ready = step;
  step = Exchange(NameOf(copies, backward, *pass), Way::kToExperts, copies, backward, step, pass);
  if (!backward && step != ready && HostWaitsBefore(*pass->context().plan, OpRole::kDispatch)) {
    pass->HostReadsBefore(step, routed);
  }
  step = Sorting(op + " by expert", copies, step, pass);
  return Padding(op + " padding", copies, step, pass);
}

// And back, summed; `weights`: what else the sum needs.
int Return(const std::string& op, bool backward, ArrayId copies, ArrayId tokens, int made,
           const std::vector<int>& weights, PassBuilder* pass) {
  int step = Padding(op + " unpadding", copies, made, pass);
  step = Sorting(op + " by rank", copies, step, pass);
  step = Exchange(NameOf(copies, backward, *pass), Way::kBack, copies, backward, step, pass);
  if (TakesTokens(*pass)) return step;
  std::vector<int> after = {Reorder(op + " gather", copies, step, pass)};
  after.insert(after.end(), weights.begin(), weights.end());
  if (HasMasks(*pass)) return WithMasks(op, tokens, copies, 1, after, pass);
  return Spreading(op, tokens, copies, 1, after, pass);
}

}  // namespace

Status DispatchForward(const Op& op, PassBuilder* pass) {
  const ArrayId x = op.inputs[0], copies = op.outputs[0];
  ASSIGN_OR_RETURN(const int made, pass->Bring({x, false}, OwnTokens(x, *pass)));
  const int step = Send(op.name, false, x, copies, 1, {made}, pass);
  pass->Define({copies, false}, pass->Stored(copies), step);
  return absl::OkStatus();
}

Status DispatchBackward(const Op& op, PassBuilder* pass) {
  const ArrayId x = op.inputs[0], copies = op.outputs[0];
  ASSIGN_OR_RETURN(const int made, pass->Bring({copies, true}, pass->Stored(copies)));
  const int step = Return(op.name + " backward", true, copies, x, made, {}, pass);
  return pass->Finish({x, true}, OwnTokens(x, *pass), step);
}

Status CombineForward(const Op& op, PassBuilder* pass) {
  const ArrayId copies = op.inputs[0], gates = op.inputs[1], out = op.outputs[0];
  ASSIGN_OR_RETURN(const int weights, pass->Bring({gates, false}, OwnTokens(gates, *pass)));
  ASSIGN_OR_RETURN(const int made, pass->Bring({copies, false}, pass->Stored(copies)));
  const int step = Return(op.name, false, copies, out, made, {weights}, pass);
  return pass->Finish({out, false}, OwnTokens(out, *pass), step);
}

// sorted: the copies that came back were kept where they were summed: with the gradient of the sum
// they give that of the gates, and with the gates the sum's gives theirs.
Status CombineBackward(const Op& op, PassBuilder* pass) {
  const ArrayId copies = op.inputs[0], gates = op.inputs[1], out = op.outputs[0];
  ASSIGN_OR_RETURN(const int incoming, pass->Bring({out, true}, OwnTokens(out, *pass)));
  ASSIGN_OR_RETURN(const int weights, pass->Bring({gates, false}, OwnTokens(gates, *pass)));
  const ExpertDispatch dispatch = Dispatcher(*pass);
  const bool sorts = dispatch == ExpertDispatch::kSorted || dispatch == ExpertDispatch::kGather;
  const double times = sorts ? 2 : 1;
  // A layer that runs again without what backward does not read leaves out the sum of copies, whose
  // order the gradient of the gates needs.
  const Plan& plan = *pass->context().plan;
  if (plan.recompute == Recompute::kFull && plan.recompute_drops_unread &&
      plan.recompute_layers != 0) {
    Reorder(op.name + " gather", copies, incoming, pass);
  }
  const int sent = Send(op.name + " backward", true, out, copies, times, {incoming, weights}, pass);
  pass->Define({copies, true}, pass->Stored(copies), sent);
  return pass->Finish({gates, true}, OwnTokens(gates, *pass), pass->LastKernel());
}

}  // namespace meshstep
