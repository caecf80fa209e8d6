// How the gradients of parameters leave: after every micro-batch, in buckets after the last, late,
// and between stages that share parameters.

#include <utility>
#include <vector>

#include "strategies/framework/host_launches.h"
#include "strategies/step/step_emitter.h"

namespace meshstep {
namespace {

std::size_t Index(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace

// What a framework does to the gradients of a block before they leave, when they are all there.
UnitTasks StepEmitter::PassOverGradients(const StepBuilder::Where& where, const LoweredBlock& block,
                                         const UnitTasks& after) {
  const Kernels& kernels = plan_.kernels;
  const Bytes kept = SizeOf(plan_.precision.gradients), sent = SizeOf(plan_.precision.reduce);
  std::vector<Bytes> passes;
  if (kernels.checks_gradients) passes.push_back(block.gradients * kept);
  if (kernels.scales_gradients) passes.push_back(block.late_gradients * (2 * kept));
  if (kernels.casts_gradients && !(kept == sent)) {
    passes.push_back(block.late_gradients * (kept + sent));
  }
  Bytes bytes;
  Time duration;
  for (const Bytes moved : passes) {
    if (moved == Bytes(0)) continue;
    bytes += moved;
    duration += compute_.Elementwise(moved);
  }
  if (bytes == Bytes(0)) return after;
  HostGainsBy(where.stage, duration);
  const UnitTasks* const list[] = {&after};
  return builder_.AddCompute(where, TaskKind::kCompute, gradients_name_, duration, list, Flops(),
                             bytes);
}

// The gradients of a block leave in its collectives, one after the other.
Status StepEmitter::ReduceGradients(const StepBuilder::Where& where, const LoweredBlock& block,
                                    int part, bool last, const UnitTasks& after) {
  StageState& state = stages_[Index(where.stage)];
  UnitTasks ready = after;
  const double whole = block.reduces.empty()
                           ? 0
                           : block.gathered_parameters * SizeOf(plan_.precision.reduce).value();
  Memory(where.stage, after, true, MemoryBucket::kCommunication, whole);
  const bool leave = last || !plan_.accumulate_unsharded;
  if (leave && block.reduce_copy_bytes > 0) {
    ready = Copy(where, copy_in_name_, block.reduce_copy_bytes, ready);
    if (last) state.updates.push_back(ready);
  }
  const double sharded = ShardedTransferLaunches(plan_);
  for (const int transfer : block.reduces) {
    ASSIGN_OR_RETURN(ready, Transfer(where, reduce_name_, transfer, {&ready}, sharded));
  }
  Memory(where.stage, ready, true, MemoryBucket::kCommunication, -whole);
  if (!block.reduces.empty()) state.reduced.push_back(ready);
  if (!last) return absl::OkStatus();
  if (!block.reduces.empty()) state.updates.push_back(ready);
  if (!plan_.overlap_gradients) return absl::OkStatus();
  if (!block.last_reduces.empty()) state.open.push_back(std::move(ready));
  for (const GradientBucket& bucket : model_.buckets[Index(part)]) {
    if (bucket.layer != where.layer) continue;
    RETURN_IF_ERROR(EmitBucket(where, bucket, state.open));
    state.open.clear();
  }
  return absl::OkStatus();
}

Status StepEmitter::EmitBucket(const StepBuilder::Where& where, const GradientBucket& bucket,
                               const std::vector<UnitTasks>& after) {
  std::vector<const UnitTasks*> list;
  for (const UnitTasks& tasks : after) list.push_back(&tasks);
  UnitTasks ready;
  for (const int transfer : bucket.transfers) {
    ASSIGN_OR_RETURN(UnitTasks done, Transfer(where, reduce_name_, transfer, list));
    ready = std::move(done);
    list = {&ready};
  }
  stages_[Index(where.stage)].updates.push_back(std::move(ready));
  return absl::OkStatus();
}

// Without overlap gradients leave when the stage has done all its backwards.
Status StepEmitter::ReduceLate(int stage) {
  StageState& state = stages_[Index(stage)];
  if (plan_.overlap_gradients || state.run_ends.empty()) return absl::OkStatus();
  for (const Chunk& chunk : state.chunks) {
    for (const GradientBucket& bucket : model_.buckets[Index(chunk.part)]) {
      const StepBuilder::Where where{stage, bucket.layer, static_cast<int>(plan_.micro_batches) - 1,
                                     Pass::kBackward};
      std::vector<UnitTasks> after = state.updates;
      after.push_back(state.run_ends.back());
      RETURN_IF_ERROR(EmitBucket(where, bucket, after));
    }
  }
  return absl::OkStatus();
}

// Both stages send what they have reduced; each adds what it gets.
Status StepEmitter::ShareGradients() {
  for (const SharedParameters& shared : model_.shared) {
    std::vector<std::pair<int, UnitTasks>> arrived;
    for (const auto& [from, to] :
         {std::pair(shared.stage_a, shared.stage_b), std::pair(shared.stage_b, shared.stage_a)}) {
      StageState& state = stages_[Index(from)];
      const StepBuilder::Where where{
          from, {}, static_cast<int>(plan_.micro_batches) - 1, Pass::kBackward};
      std::vector<const UnitTasks*> after;
      for (const UnitTasks& update : state.updates) after.push_back(&update);
      after.push_back(&state.run_ends.back());
      arrived.emplace_back(
          to, builder_.AddSend(where, to, reduce_name_, shared.transfer, "gradient", after));
    }
    for (auto& [stage, tasks] : arrived) stages_[Index(stage)].updates.push_back(std::move(tasks));
  }
  return absl::OkStatus();
}

}  // namespace meshstep
