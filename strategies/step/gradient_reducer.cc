#include "strategies/step/gradient_reducer.h"

#include <cstddef>
#include <utility>

#include "sim/base/index.h"
#include "strategies/framework/kernel_sums.h"

namespace meshstep {

GradientReducer::GradientReducer(StepContext* context)
    : context_(*context),
      reduce_name_(context->builder.Intern("gradients")),
      copy_name_(context->builder.Intern("gradients copy")),
      buffer_name_(context->builder.Intern("gradient buffer")),
      stages_(Index(context->plan.stages)) {}

const std::vector<UnitTasks>& GradientReducer::Ready(int stage) const {
  return stages_[Index(stage)].ready;
}

UnitTasks GradientReducer::HeldBy(int stage, const LoweredBlock& block) const {
  const std::vector<UnitTasks>& reduced = stages_[Index(stage)].reduced;
  const std::size_t in_flight = Index(context_.plan.reductions_in_flight);
  if (in_flight == 0 || block.reduces.empty() || reduced.size() < in_flight) return {};
  return reduced[reduced.size() - in_flight];
}

UnitTasks GradientReducer::PassOver(const StepBuilder::Where& where, const LoweredBlock& block,
                                    const UnitTasks& after) {
  const Plan& plan = context_.plan;
  const double kept = SizeOf(plan.precision.gradients).value();
  const KernelSum sums[] = {SumOf(plan, OpRole::kGradients, block.gradients, kept),
                            SumOf(plan, OpRole::kLateGradients, block.late_gradients, kept)};
  Bytes bytes;
  Time duration;
  for (const KernelSum& sum : sums) {
    if (sum.bytes == 0) continue;
    bytes += Bytes(sum.bytes);
    duration += TimeOf(sum, context_.compute);
  }
  if (bytes == Bytes(0)) return after;
  context_.host.GainBy(where.stage, duration);
  const UnitTasks* const list[] = {&after};
  return context_.builder.AddCompute(where, TaskKind::kCompute, buffer_name_, duration, list,
                                     Flops(), bytes);
}

Status GradientReducer::Reduce(const StepBuilder::Where& where, int part, bool last,
                               const UnitTasks& made) {
  const Plan& plan = context_.plan;
  const LoweredBlock& block = context_.model.of(where.layer);
  Stage& state = stages_[Index(where.stage)];
  UnitTasks ready = last ? PassOver(where, block, made) : made;
  const double whole =
      block.reduces.empty() ? 0 : block.gathered_parameters * SizeOf(plan.precision.reduce).value();
  context_.memory.AtEnd(where.stage, ready, MemoryBucket::kCommunication, whole);
  const bool leave = last || !plan.accumulate_unsharded;
  if (leave && block.reduce_copy_bytes > 0) {
    ready = context_.AddCopy(where, copy_name_, block.reduce_copy_bytes, ready);
    if (last) state.ready.push_back(ready);
  }
  const double launches = 1 + HostOpsOf(plan, OpRole::kShardedTransfer);
  for (const int transfer : block.reduces) {
    ASSIGN_OR_RETURN(ready,
                     context_.host.Transfer(where, reduce_name_, transfer, {&ready}, launches));
  }
  context_.memory.AtEnd(where.stage, ready, MemoryBucket::kCommunication, -whole);
  if (!block.reduces.empty()) state.reduced.push_back(ready);
  if (!last) return absl::OkStatus();
  if (!block.reduces.empty()) state.ready.push_back(ready);
  if (!plan.overlap_gradients) return absl::OkStatus();
  if (!block.last_reduces.empty()) state.open.push_back(std::move(ready));
  for (const GradientBucket& bucket : context_.model.buckets[Index(part)]) {
    if (bucket.layer != where.layer) continue;
    RETURN_IF_ERROR(EmitBucket(where, bucket, state.open));
    state.open.clear();
  }
  return absl::OkStatus();
}

Status GradientReducer::EmitBucket(const StepBuilder::Where& where, const GradientBucket& bucket,
                                   const std::vector<UnitTasks>& after) {
  TaskLists list;
  for (const UnitTasks& tasks : after) list.push_back(&tasks);
  UnitTasks ready;
  for (const int transfer : bucket.transfers) {
    ASSIGN_OR_RETURN(UnitTasks done, context_.host.Transfer(where, reduce_name_, transfer, list));
    ready = std::move(done);
    list = {&ready};
  }
  stages_[Index(where.stage)].ready.push_back(std::move(ready));
  return absl::OkStatus();
}

Status GradientReducer::ReduceLate(int stage, const std::vector<int>& parts) {
  if (context_.plan.overlap_gradients || !context_.ends.Any(stage)) return absl::OkStatus();
  const int last_micro_batch = static_cast<int>(context_.plan.micro_batches) - 1;
  for (const int part : parts) {
    for (const GradientBucket& bucket : context_.model.buckets[Index(part)]) {
      const StepBuilder::Where where{stage, bucket.layer, last_micro_batch, Pass::kBackward};
      std::vector<UnitTasks> after = stages_[Index(stage)].ready;
      after.push_back(context_.ends.Last(stage));
      RETURN_IF_ERROR(EmitBucket(where, bucket, after));
    }
  }
  return absl::OkStatus();
}

void GradientReducer::Share() {
  const int last_micro_batch = static_cast<int>(context_.plan.micro_batches) - 1;
  for (const SharedParameters& shared : context_.model.shared) {
    std::vector<std::pair<int, UnitTasks>> arrived;
    for (const auto& [from, to] :
         {std::pair(shared.stage_a, shared.stage_b), std::pair(shared.stage_b, shared.stage_a)}) {
      const StepBuilder::Where where{from, {}, last_micro_batch, Pass::kBackward};
      TaskLists after;
      for (const UnitTasks& tasks : Ready(from)) after.push_back(&tasks);
      after.push_back(&context_.ends.Last(from));
      arrived.emplace_back(to, context_.builder.AddSend(where, to, reduce_name_, shared.transfer,
                                                        "gradient", after));
    }
    for (auto& [stage, tasks] : arrived) stages_[Index(stage)].ready.push_back(std::move(tasks));
  }
}

}  // namespace meshstep
