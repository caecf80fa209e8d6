#include <algorithm>

#include "strategies/block/block_context.h"
#include "strategies/block/block_view.h"
#include "strategies/passes/ops/attention_kernel.h"
#include "strategies/passes/pass_builder.h"

namespace meshstep {
namespace {

// Step `step` of a ring on its slowest rank; no time if no rank has anything to do. From the second
// kernel on what it makes is added to what there is: outputs (in backward the gradients of queries)
// to fp32 accumulators, gradients of keys and values to those that arrive.
KernelCost RingStepCost(const Op& op, const BlockView& pass, const SequenceSplit& split, int step,
                        bool first, bool backward) {
  const BlockContext& context = pass.context();
  AttentionShape shape = LocalShape(op, pass, backward);
  const ArrayId accumulated = backward ? op.inputs[0] : op.outputs[0];
  const double positions = shape.queries;
  const double element_bytes = pass.ElementBytes({accumulated, false});
  const double rows = UsedBytes(accumulated, pass) / positions;
  const double kv = KernelBytes(op, 1, pass) + KernelBytes(op, 2, pass);
  KernelCost cost;
  std::vector<AttentionWork> seen;
  std::vector<double> flops;
  for (int rank = 0; rank < split.ranks; ++rank) {
    const AttentionWork work = split.InRing(rank, step);
    if (work.pairs <= 0) continue;
    const auto again = std::find(seen.begin(), seen.end(), work);
    if (again != seen.end()) {
      cost.flops += Flops(flops[static_cast<std::size_t>(again - seen.begin())]);
      continue;
    }
    shape.queries = work.queries;
    shape.keys = work.keys;
    shape.visible = work.pairs / (work.queries * work.keys);
    KernelCost one = CostOf(shape, context);
    if (!first) {
      Bytes merged(rows * work.queries * (1 + 2 * kAccumulatorBytes / element_bytes));
      if (backward) merged += Bytes(3 * kv);
      one.time += context.compute->Elementwise(merged);
      one.hbm_bytes += merged;
    }
    cost.time = std::max(cost.time, one.time);
    cost.hbm_bytes = std::max(cost.hbm_bytes, one.hbm_bytes);
    seen.push_back(work);
    flops.push_back((one.flops / split.ranks).value());
    cost.flops += Flops(flops.back());
  }
  return cost;
}

bool IsGathered(const BlockView& pass) {
  return pass.context().plan->context_method == ContextMethod::kGatheredRing;
}

// The steps after which the keys and values of the next step of a ring are there; `here`: of this
// one, whose kernel follows `done`.
std::vector<int> NextKv(const Op& op, const SequenceSplit& split, int step,
                        const std::vector<int>& here, int done, PassBuilder* pass) {
  const double kv = KernelBytes(op, 1, *pass) + KernelBytes(op, 2, *pass);
  const std::vector<AxisId> axes = SequenceAxes(op, *pass);
  std::vector<int> next = here;
  if (IsGathered(*pass)) {
    if (step > 0 || split.HopsNeeded() == 0) return here;
    return {pass->Transfer("k, v", Collective::kAllGather, axes, Bytes(kv * split.ranks), next)};
  }
  // Two buffers: what arrives takes the place of what the kernel before worked on.
  next.push_back(done);
  if (step == split.HopsNeeded()) return next;
  return {pass->Transfer("k, v", Collective::kPermute, axes, Bytes(kv), next)};
}

// One rank's heads with the whole sequence, all of it.
KernelCost HeadShardCost(const Op& op, const BlockView& pass, bool backward) {
  SequenceSplit whole = SplitOf(op, pass);
  const int ranks = whole.ranks;
  whole.ranks = 1;
  AttentionShape shape = LocalShape(op, pass, backward);
  shape.queries = shape.keys;
  shape.heads /= ranks;
  shape.kv_heads *= KvReplicas(op, pass) / ranks;
  shape.visible = whole.WithAll(0).pairs / (shape.queries * shape.keys);
  return CostOf(shape, pass.context());
}

// Keys and values to shards of the heads: copies where a head goes to several ranks, then both
// all-to-alls. Returns the steps after which they are there.
std::vector<int> ExchangeKv(const Op& op, PassBuilder* pass, const std::vector<int>& ready) {
  const double replicas = KvReplicas(op, *pass);
  std::vector<int> there;
  for (std::size_t i = 1; i < 3; ++i) {
    const double bytes = UsedBytes(op.inputs[i], *pass);
    int step = ready[i - 1];
    if (replicas > 1) {
      const Bytes copied(bytes * (1 + replicas));
      step = pass->Compute("repeat key/value heads", pass->context().compute->Elementwise(copied),
                           Flops(), {step}, false, copied);
    }
    there.push_back(pass->Transfer(i == 1 ? "k" : "v", Collective::kAllToAll,
                                   SequenceAxes(op, *pass), Bytes(bytes * replicas), {step}));
  }
  return there;
}

}  // namespace

double KvReplicas(const Op& op, const BlockView& pass) {
  const double heads = LocalShape(op, pass, false).kv_heads;
  return std::max(1.0, SplitOf(op, pass).ranks / heads);
}

Status RingForward(const Op& op, PassBuilder* pass) {
  std::vector<int> ready;
  for (const ArrayId input : op.inputs) {
    ASSIGN_OR_RETURN(const int step, pass->Bring({input, false}, pass->Used(input)));
    ready.push_back(step);
  }
  const SequenceSplit split = SplitOf(op, *pass);
  const int hops = split.HopsNeeded();
  std::vector<int> here = {ready[1], RepeatHeads(op, ready[2], pass)};
  int done = PassBuilder::kReady;
  for (int step = 0; step <= hops; ++step) {
    std::vector<int> next = NextKv(op, split, step, here, done, pass);
    const bool first = step == 0;
    const KernelCost cost = RingStepCost(op, *pass, split, step, first, false);
    if (cost.time > Time()) {
      if (first) here.push_back(ready[0]);
      done = pass->Compute(op.name, cost.time, cost.flops, here, false, cost.hbm_bytes);
    }
    here = std::move(next);
  }
  for (const ArrayId output : op.outputs) {
    RETURN_IF_ERROR(pass->Finish({output, false}, pass->Used(output), done));
  }
  return absl::OkStatus();
}

Status RingBackward(const Op& op, PassBuilder* pass) {
  ASSIGN_OR_RETURN(const int incoming,
                   pass->Bring({op.outputs[0], true}, pass->Used(op.outputs[0])));
  std::vector<int> here;
  for (std::size_t i = 1; i < 3; ++i) {
    const ArrayId input = op.inputs[i];
    ASSIGN_OR_RETURN(const int step, pass->Bring({input, false}, pass->Used(input)));
    here.push_back(step);
  }
  const SequenceSplit split = SplitOf(op, *pass);
  const std::vector<AxisId> axes = SequenceAxes(op, *pass);
  const int hops = split.HopsNeeded();
  double gradient_bytes = KernelBytes(op, 1, *pass) + KernelBytes(op, 2, *pass);
  if (IsGathered(*pass)) {
    gradient_bytes *= kAccumulatorBytes / pass->ElementBytes({op.inputs[1], false});
  }
  const auto send_gradients = [&](int done, int arrived) {
    return pass->Transfer("dk, dv", Collective::kPermute, axes, Bytes(gradient_bytes),
                          {done, arrived});
  };
  int done = PassBuilder::kReady, gradients = PassBuilder::kReady;
  for (int step = 0; step <= hops; ++step) {
    std::vector<int> next = NextKv(op, split, step, here, done, pass);
    const bool first = step == 0;
    const KernelCost cost = RingStepCost(op, *pass, split, step, first, true);
    if (cost.time > Time()) {
      if (first) here.push_back(incoming);
      done =
          pass->Compute(op.name + " backward", cost.time, cost.flops, here, false, cost.hbm_bytes);
    }
    if (step < hops) gradients = send_gradients(done, gradients);
    here = std::move(next);
  }
  // Home, on or back, whichever is nearer.
  for (int hop = std::min(hops, split.ranks - hops); hop > 0; --hop) {
    gradients = send_gradients(done, gradients);
  }
  RETURN_IF_ERROR(pass->Finish({op.inputs[0], true}, pass->Used(op.inputs[0]), done));
  const int summed = SumHeads(op, hops > 0 ? gradients : done, pass);
  for (std::size_t i = 1; i < 3; ++i) {
    RETURN_IF_ERROR(pass->Finish({op.inputs[i], true}, pass->Used(op.inputs[i]), summed));
  }
  return absl::OkStatus();
}

Status UlyssesForward(const Op& op, PassBuilder* pass) {
  std::vector<int> ready;
  for (const ArrayId input : op.inputs) {
    ASSIGN_OR_RETURN(const int step, pass->Bring({input, false}, pass->Used(input)));
    ready.push_back(step);
  }
  const std::vector<AxisId> axes = SequenceAxes(op, *pass);
  const int q = pass->Transfer("q", Collective::kAllToAll, axes,
                               Bytes(UsedBytes(op.inputs[0], *pass)), {ready[0]});
  std::vector<int> after = ExchangeKv(op, pass, {ready[1], ready[2]});
  after.push_back(q);
  const KernelCost cost = HeadShardCost(op, *pass, false);
  const int step = pass->Compute(op.name, cost.time, cost.flops, after, false, cost.hbm_bytes);
  const ArrayId out = op.outputs[0];
  const int back = pass->Transfer("attention_out", Collective::kAllToAll, axes,
                                  Bytes(UsedBytes(out, *pass)), {step});
  RETURN_IF_ERROR(pass->Finish({out, false}, pass->Used(out), back));
  // What only backward's kernel reads stays where it is.
  for (std::size_t i = 1; i < op.outputs.size(); ++i) {
    pass->Define({op.outputs[i], false}, pass->Stored(op.outputs[i]), step);
  }
  return absl::OkStatus();
}

Status UlyssesBackward(const Op& op, PassBuilder* pass) {
  const ArrayId out = op.outputs[0];
  const std::vector<AxisId> axes = SequenceAxes(op, *pass);
  ASSIGN_OR_RETURN(int incoming, pass->Bring({out, true}, pass->Used(out)));
  incoming = pass->Transfer("dattention_out", Collective::kAllToAll, axes,
                            Bytes(UsedBytes(out, *pass)), {incoming});
  const double replicas = KvReplicas(op, *pass);
  std::vector<int> after;
  if (replicas > 1) after = ExchangeKv(op, pass, {PassBuilder::kReady, PassBuilder::kReady});
  after.push_back(incoming);
  const KernelCost cost = HeadShardCost(op, *pass, true);
  const int step =
      pass->Compute(op.name + " backward", cost.time, cost.flops, after, false, cost.hbm_bytes);
  const char* names[] = {"dq", "dk", "dv"};
  for (std::size_t i = 0; i < 3; ++i) {
    const ArrayId input = op.inputs[i];
    const double copies = i == 0 ? 1 : replicas;
    const double bytes = UsedBytes(input, *pass);
    int back = pass->Transfer(names[i], Collective::kAllToAll, axes, Bytes(bytes * copies), {step});
    if (copies > 1) {
      const Bytes summed(bytes * (1 + copies));
      back = pass->Compute("add copies of key/value heads",
                           pass->context().compute->Elementwise(summed), Flops(), {back}, false,
                           summed);
    }
    RETURN_IF_ERROR(pass->Finish({input, true}, pass->Used(input), back));
  }
  return absl::OkStatus();
}

}  // namespace meshstep
