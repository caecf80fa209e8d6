#include "strategies/step/block_runner.h"

#include <algorithm>

#include "sim/base/index.h"

namespace meshstep {

using Kind = Action::Kind;

namespace {

BlockRun::Passes PassesOf(const LoweredBlock& block, Kind kind) {
  switch (kind) {
    case Kind::kForward:
      return {{Pass::kForward, &block.forward}};
    case Kind::kBackward:
      return {{Pass::kRecompute, &block.recompute}, {Pass::kBackward, &block.backward}};
    case Kind::kBackwardInput:
      return {{Pass::kRecompute, &block.recompute}, {Pass::kBackward, &block.backward_input}};
    case Kind::kBackwardWeight:
      return {{Pass::kWeightGradients, &block.backward_weight}};
  }
  return {};
}

}  // namespace

BlockRunner::BlockRunner(StepContext* context, ParameterGatherer* gatherer,
                         ActivationOffloader* offloader, GradientReducer* reducer)
    : context_(*context), gatherer_(*gatherer), offloader_(*offloader), reducer_(*reducer) {}

StatusOr<BlockRun> BlockRunner::Begin(int stage, const LayerRef& layer, const Action& action,
                                      const UnitTasks& input) {
  const LoweredBlock& block = context_.model.of(layer);
  BlockRun run;
  run.where = {stage, layer, static_cast<int>(action.micro_batch), Pass::kForward};
  run.kind = action.kind;
  run.block = &block;
  run.passes = PassesOf(block, action.kind);
  run.waits.input = input;
  ASSIGN_OR_RETURN(run.waits.gathered, gatherer_.Gather(stage, layer, action));
  run.waits.before = run.last = context_.ends.Last(stage);
  if (EndsBackward(action.kind)) run.waits.hold = reducer_.HeldBy(stage, block);
  // What the weights' half gathers was there before it began.
  run.waits.ahead = action.kind == Kind::kBackwardWeight;
  if (action.kind == Kind::kBackward || action.kind == Kind::kBackwardInput) {
    ASSIGN_OR_RETURN(run.waits.loaded, offloader_.Load(run.where));
  }
  return run;
}

const StepFacts* BlockRunner::FactsOf(const BlockPass& pass) {
  std::vector<StepFacts>& facts = facts_[&pass];
  if (facts.empty()) {
    const auto is_kernel = [&](int s) { return pass.steps[Index(s)].transfer < 0; };
    for (const BlockStep& step : pass.steps) {
      facts.push_back({context_.builder.Intern(step.name),
                       context_.builder.OnSlowest(step.duration, step.flops), step.transfer < 0,
                       std::any_of(step.after.begin(), step.after.end(), is_kernel)});
    }
  }
  return facts.data();
}

Status BlockRunner::Advance(BlockRun* run, bool to_transfer) {
  bool transferred = false;
  while (!run->Done()) {
    const auto& [kind, pass] = run->passes[run->at.pass];
    if (run->at.step == 0) {
      run->at.made.assign(pass->steps.size(), {});
      run->at.busy_before = context_.host.busy(run->where.stage);
      run->at.facts = FactsOf(*pass);
    }
    for (; run->at.step < pass->steps.size(); ++run->at.step) {
      const bool compute = pass->steps[run->at.step].transfer < 0;
      if (compute && transferred && to_transfer) return absl::OkStatus();
      transferred |= !compute;
      RETURN_IF_ERROR(EmitStep(run, *pass, kind, run->at.step));
    }
    run->output =
        pass->output >= 0 ? std::move(run->at.made[Index(pass->output)]) : run->waits.input;
    run->at.step = 0;
    ++run->at.pass;
  }
  return absl::OkStatus();
}

// Kernels emitted since the pass began, which a collective after one of its kernels need not
// follow.
std::optional<Seconds> BlockRunner::Behind(const BlockRun& run, const StepFacts& step) const {
  if (step.is_kernel) return Seconds(0);
  if (!step.follows_kernel) return std::nullopt;
  return context_.host.busy(run.where.stage) - run.at.busy_before;
}

Status BlockRunner::EmitStep(BlockRun* run, const BlockPass& pass, Pass kind, std::size_t i) {
  const BlockStep& step = pass.steps[i];
  run->where.pass = kind;
  TaskLists after;
  for (const int s : step.after) after.push_back(&run->at.made[Index(s)]);
  // Recomputation begins when the gradient is there (torch.utils.checkpoint, jax.checkpoint).
  const bool begins = kind == Pass::kRecompute ? step.after.empty() : step.needs_input;
  if (begins) after.push_back(&run->waits.input);
  if (step.needs_parameters) after.push_back(&run->waits.gathered);
  const StepFacts& facts = run->at.facts[i];
  HostClock& host = context_.host;
  if (step.host_after >= 0) host.WaitFor(run->where.stage, run->at.made[Index(step.host_after)]);
  const UnitTasks issued = host.Issue(run->where, step.host_ops, Behind(*run, facts));
  if (!issued.empty()) after.push_back(&issued);
  if (step.transfer < 0) {
    if (!run->waits.loaded.empty()) after.push_back(&run->waits.loaded);
    if (!run->waits.hold.empty()) after.push_back(&run->waits.hold);
    run->at.made[i] =
        context_.builder.AddCompute(run->where, TaskKind::kCompute, facts.name, facts.duration,
                                    after, step.flops, step.hbm_bytes, true);
    host.GainBy(run->where.stage, step.duration);
    run->last = run->at.made[i];
    run->waits.hold.clear();
    run->waits.loaded.clear();  // later kernels follow this one
  } else {
    // A collective on what an earlier block computed starts when that block is done.
    if (step.after.empty()) after.push_back(run->waits.ahead ? &run->waits.before : &run->last);
    ASSIGN_OR_RETURN(run->at.made[i],
                     context_.builder.AddTransfer(run->where, facts.name, step.transfer, after));
  }
  if (run->first.empty()) run->first = run->at.made[i];
  return absl::OkStatus();
}

void BlockRunner::CountMemory(const BlockRun& run) {
  const LoweredBlock& block = *run.block;
  const auto take = [&](MemoryBucket bucket, double bytes) {
    context_.memory.AtStart(run.where.stage, run.first, bucket, bytes);
  };
  const auto leave = [&](MemoryBucket bucket, double bytes) {
    context_.memory.AtEnd(run.where.stage, run.last, bucket, -bytes);
  };
  const double logits = block.kept_logits_bytes, used_logits = block.workspace_logits_bytes;
  const double kept = block.kept_bytes - logits;
  if (!run.first.empty()) {
    take(MemoryBucket::kWorkspace, block.workspace_bytes - used_logits);
    leave(MemoryBucket::kWorkspace, block.workspace_bytes - used_logits);
    take(MemoryBucket::kLogits, used_logits);
    leave(MemoryBucket::kLogits, used_logits);
  }
  if (run.kind == Kind::kForward) {
    take(MemoryBucket::kActivations, kept);
    take(MemoryBucket::kLogits, logits);
  } else if (run.kind == Kind::kBackwardWeight) {
    leave(MemoryBucket::kActivations, block.weight_half_bytes);
  } else {
    const bool half = run.kind == Kind::kBackwardInput;
    take(MemoryBucket::kActivations, block.recomputed_bytes);
    leave(MemoryBucket::kActivations,
          kept + block.recomputed_bytes - (half ? block.weight_half_bytes : 0));
    leave(MemoryBucket::kLogits, logits);
  }
}

Status BlockRunner::End(const BlockRun& run, int part, bool last) {
  CountMemory(run);
  gatherer_.Release(run.where, run.kind, run.last);
  context_.ends.Add(run.where.stage, run.last);
  if (run.kind == Kind::kForward) return offloader_.Store(run.where, run.last);
  return EndsBackward(run.kind) ? reducer_.Reduce(run.where, part, last, run.last)
                                : absl::OkStatus();
}

}  // namespace meshstep
