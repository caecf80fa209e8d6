// The end of a step, and what moves between a device and its host.

#include <utility>

#include "strategies/framework/host_launches.h"
#include "strategies/framework/optimizer.h"
#include "strategies/step/step_emitter.h"

namespace meshstep {
namespace {

std::size_t Index(std::int64_t i) { return static_cast<std::size_t>(i); }

double ZeroedBytes(const LoweredBlock& block, const Plan& plan) {
  if (!plan.kernels.zeroes_gradients) return 0;
  return block.gradients * SizeOf(plan.precision.gradients).value();
}

}  // namespace

// A layer's kept activations leave when its forward is done.
Status StepEmitter::StoreActivations(const Run& run) {
  const HostCopy& host = run.block->host_activations;
  if (host.to < 0 || run.last.empty()) return absl::OkStatus();
  const int stage = run.where.stage;
  const UnitTasks* after[] = {&run.last};
  ASSIGN_OR_RETURN(UnitTasks stored,
                   builder_.AddTransfer(run.where, offload_name_, host.to, after));
  Memory(stage, stored, true, MemoryBucket::kActivations, -host.bytes);
  stages_[Index(stage)].on_host[{run.where.layer, run.where.micro_batch}] = std::move(stored);
  return absl::OkStatus();
}

// They come back before its backward. Empty: they were here all the time.
StatusOr<UnitTasks> StepEmitter::LoadActivations(const Run& run) {
  const HostCopy& host = run.block->host_activations;
  if (host.from < 0) return UnitTasks();
  const int stage = run.where.stage;
  StageState& state = stages_[Index(stage)];
  const auto stored = state.on_host.find({run.where.layer, run.where.micro_batch});
  if (stored == state.on_host.end()) return UnitTasks();
  const UnitTasks ahead = Ahead(stage);
  const UnitTasks* after[] = {&ahead, &stored->second};
  StepBuilder::Where where = run.where;
  where.pass = Pass::kBackward;
  ASSIGN_OR_RETURN(UnitTasks loaded, builder_.AddTransfer(where, offload_name_, host.from, after));
  Memory(stage, loaded, false, MemoryBucket::kActivations, host.bytes);
  state.on_host.erase(stored);
  return loaded;
}

// Optimizer: reads gradients and state, writes state and parameters (ZeRO, arXiv 1910.02054 §3.1),
// and makes the copies of parameters in the matmuls' type anew. cast: bytes of those and of
// gradients that are set to zero for the next step.
UnitTasks StepEmitter::AddUpdate(const StepBuilder::Where& where, double elements, double cast,
                                 std::span<const UnitTasks* const> after) {
  Bytes bytes(cast);
  Time duration = cast > 0 ? compute_.Elementwise(bytes) : Time();
  for (const double per_element : OptimizerPasses(plan_)) {
    bytes += Bytes(elements * per_element);
    duration += compute_.Elementwise(Bytes(elements * per_element));
  }
  return builder_.AddCompute(where, TaskKind::kOptimizer, update_name_, duration, after, Flops(),
                             bytes);
}

Status StepEmitter::GatherUpdated(int stage, LayerRef layer, const UnitTasks& updated) {
  if (plan_.overlap_parameters) return absl::OkStatus();
  UnitTasks ready = updated;
  for (const int transfer : model_.of(layer).regathers) {
    const StepBuilder::Where at{stage, layer, 0, Pass::kUpdate};
    ASSIGN_OR_RETURN(ready, Transfer(at, gather_name_, transfer, {&ready}));
  }
  return absl::OkStatus();
}

Status StepEmitter::Update(int stage) {
  const bool from_host = plan_.offload.optimizer > 0 || plan_.offload.parameters > 0;
  return from_host ? UpdateFromHost(stage) : UpdateWhole(stage);
}

Status StepEmitter::UpdateWhole(int stage) {
  StageState& state = stages_[Index(stage)];
  double elements = 0, cast = 0, arrays = 0;
  for (const Chunk& chunk : state.chunks) {
    for (const LayerRef layer : model_.layers[Index(chunk.part)]) {
      elements += model_.of(layer).optimizer;
      cast += model_.of(layer).cast_bytes + ZeroedBytes(model_.of(layer), plan_);
      arrays += model_.of(layer).parameter_arrays;
    }
  }
  std::vector<const UnitTasks*> after;
  for (const UnitTasks& update : state.updates) after.push_back(&update);
  const StepBuilder::Where where{stage, {}, 0, Pass::kUpdate};
  const UnitTasks issued = Issue(where, OptimizerLaunches(plan_, arrays));
  if (!issued.empty()) after.push_back(&issued);
  const UnitTasks updated = AddUpdate(where, elements, cast, after);
  for (const Chunk& chunk : state.chunks) {
    for (const LayerRef layer : model_.layers[Index(chunk.part)]) {
      RETURN_IF_ERROR(GatherUpdated(stage, layer, updated));
    }
  }
  return absl::OkStatus();
}

// Block by block: the state of one comes while another is updated and that before it leaves, so
// that the device holds the state of two blocks.
Status StepEmitter::UpdateFromHost(int stage) {
  StageState& state = stages_[Index(stage)];
  std::vector<const UnitTasks*> gradients;
  for (const UnitTasks& update : state.updates) gradients.push_back(&update);
  const UnitTasks ran = state.run_ends.empty() ? None(stage) : state.run_ends.back();
  UnitTasks left[2] = {ran, ran};  // when the block before last, and the last, were gone
  for (const Chunk& chunk : state.chunks) {
    for (const LayerRef layer : model_.layers[Index(chunk.part)]) {
      const LoweredBlock& block = model_.of(layer);
      const StepBuilder::Where where{stage, layer, 0, Pass::kUpdate};
      std::vector<const UnitTasks*> after = gradients;
      UnitTasks fetched;
      if (block.host_optimizer.from >= 0) {
        const UnitTasks* list[] = {&left[0]};
        ASSIGN_OR_RETURN(
            fetched, builder_.AddTransfer(where, update_name_, block.host_optimizer.from, list));
        Memory(stage, fetched, false, MemoryBucket::kOptimizer, block.host_optimizer.bytes);
        after.push_back(&fetched);
      }
      const double cast = block.cast_bytes + ZeroedBytes(block, plan_);
      const UnitTasks updated = AddUpdate(where, block.optimizer, cast, after);
      UnitTasks gone = updated;
      if (block.host_parameters.to >= 0) {
        Memory(stage, updated, false, MemoryBucket::kUnsharded, block.host_parameters.bytes);
        const UnitTasks* list[] = {&updated};
        ASSIGN_OR_RETURN(gone,
                         builder_.AddTransfer(where, gather_name_, block.host_parameters.to, list));
        Memory(stage, gone, true, MemoryBucket::kUnsharded, -block.host_parameters.bytes);
      }
      if (block.host_optimizer.to >= 0) {
        const UnitTasks* list[] = {&updated};
        ASSIGN_OR_RETURN(gone,
                         builder_.AddTransfer(where, update_name_, block.host_optimizer.to, list));
        Memory(stage, gone, true, MemoryBucket::kOptimizer, -block.host_optimizer.bytes);
      }
      left[0] = std::exchange(left[1], std::move(gone));
      RETURN_IF_ERROR(GatherUpdated(stage, layer, updated));
    }
  }
  return absl::OkStatus();
}

}  // namespace meshstep
