// Tokens on the way to their experts and back, as Megatron Core's all-to-all dispatcher moves them
// (arXiv 2504.14960 §3.2): every rank routes tokens of its own, so that those which several ranks
// hold are sliced first and gathered after.
//
// n tokens of a rank with A experts each make n A copies; the all-to-all sends (ep - 1)/ep of them
// away and lasts as long as the busiest rank receives. Between nodes an algorithm may send a token
// once for all its experts on the node (sim/cost/copies.h).

#include <string>

#include "strategies/host_launches.h"
#include "strategies/ops/composite.h"

namespace meshstep {
namespace {

// A part of the tokens for every rank of the stage.
Sharding OwnTokens(ArrayId array, const PassBuilder& pass) {
  Sharding sharding = pass.Stored(array);
  for (ShardedDim& dim : sharding.dims) {
    if (dim.name != "B" && dim.name != "T") dim.axes.clear();
  }
  return Spread(*pass.context().plan, std::move(sharding), "T");
}

// To or from the experts; `step` makes the copies. Without ranks to share experts nothing moves.
int Exchange(const std::string& name, ArrayId copies, int step, PassBuilder* pass) {
  const std::vector<AxisId> axes = Apply(pass->context().plan->rules.experts, {"E"}).dims[0].axes;
  if (axes.empty()) return step;
  const Moe& moe = *pass->context().model->moe;
  // A token's experts are in groups_per_token of the groups, which are placed one after another.
  const bool limited = moe.groups > 0 && moe.groups_per_token > 0;
  const Copies routing{.copies = static_cast<double>(moe.experts_per_token),
                       .groups = limited ? static_cast<double>(moe.groups) : 1,
                       .groups_of_item = limited ? static_cast<double>(moe.groups_per_token) : 1};
  return pass->Transfer(name, Collective::kAllToAll, axes, pass->StoredBytes(copies), {step}, true,
                        routing);
}

// Bytes of a kernel between the tokens of a rank and its copies of them, where the latter pass
// through HBM `times`. What a rank sends is not more than its share: imbalance is at the experts.
Bytes Traffic(ArrayId tokens, ArrayId copies, double times, const PassBuilder& pass) {
  const double sent = pass.StoredBytes(copies) / pass.context().plan->expert_imbalance;
  return Bytes(pass.LocalBytes(tokens, OwnTokens(tokens, pass)) + times * sent);
}

int Kernel(const std::string& name, Bytes bytes, const std::vector<int>& after, PassBuilder* pass) {
  return pass->Compute(name, pass->context().compute->Elementwise(bytes), Flops(), after, false,
                       bytes);
}

std::string NameOf(ArrayId array, const PassBuilder& pass) {
  return pass.block().arrays[static_cast<std::size_t>(array)].name;
}

}  // namespace

Status DispatchForward(const Op& op, PassBuilder* pass) {
  const ArrayId x = op.inputs[0], copies = op.outputs[0];
  ASSIGN_OR_RETURN(int step, pass->Bring({x, false}, OwnTokens(x, *pass)));
  step = Kernel(op.name, Traffic(x, copies, 1, *pass), {step}, pass);
  const int kernel = step;
  step = Exchange(NameOf(copies, *pass), copies, step, pass);
  if (step != kernel && ReadsTokensPerExpert(*pass->context().plan)) {
    pass->HostReadsBefore(step, kernel);
  }
  pass->Define({copies, false}, pass->Stored(copies), step);
  return absl::OkStatus();
}

Status DispatchBackward(const Op& op, PassBuilder* pass) {
  const ArrayId x = op.inputs[0], copies = op.outputs[0];
  ASSIGN_OR_RETURN(int step, pass->Bring({copies, true}, pass->Stored(copies)));
  step = Exchange("d" + NameOf(copies, *pass), copies, step, pass);
  step = Kernel(op.name + " backward", Traffic(x, copies, 1, *pass), {step}, pass);
  return pass->Finish({x, true}, OwnTokens(x, *pass), step);
}

Status CombineForward(const Op& op, PassBuilder* pass) {
  const ArrayId copies = op.inputs[0], gates = op.inputs[1], out = op.outputs[0];
  ASSIGN_OR_RETURN(const int weights, pass->Bring({gates, false}, OwnTokens(gates, *pass)));
  ASSIGN_OR_RETURN(int step, pass->Bring({copies, false}, pass->Stored(copies)));
  step = Exchange(NameOf(copies, *pass), copies, step, pass);
  step = Kernel(op.name, Traffic(out, copies, 1, *pass), {step, weights}, pass);
  return pass->Finish({out, false}, OwnTokens(out, *pass), step);
}

// The copies that came back were kept where they were summed: with the gradient of the sum they
// give that of the gates, and with the gates the sum's gives theirs.
Status CombineBackward(const Op& op, PassBuilder* pass) {
  const ArrayId copies = op.inputs[0], gates = op.inputs[1], out = op.outputs[0];
  ASSIGN_OR_RETURN(const int incoming, pass->Bring({out, true}, OwnTokens(out, *pass)));
  ASSIGN_OR_RETURN(const int weights, pass->Bring({gates, false}, OwnTokens(gates, *pass)));
  const int step =
      Kernel(op.name + " backward", Traffic(out, copies, 2, *pass), {incoming, weights}, pass);
  const int sent = Exchange("d" + NameOf(copies, *pass), copies, step, pass);
  pass->Define({copies, true}, pass->Stored(copies), sent);
  return pass->Finish({gates, true}, OwnTokens(gates, *pass), step);
}

}  // namespace meshstep
