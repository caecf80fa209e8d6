#include "strategies/step/updater.h"

#include <algorithm>
#include <utility>

#include "sim/base/index.h"
#include "strategies/framework/kernel_sums.h"
#include "strategies/framework/optimizer.h"

namespace meshstep {
double CastAndZeroedBytes(const LoweredBlock& block, const Plan& plan) {
  const double type = SizeOf(plan.precision.gradients).value();
  return block.cast_bytes + SumOf(plan, OpRole::kZeroedGradients, block.gradients, type).bytes;
}

// Reads gradients and state, writes state and parameters (ZeRO, arXiv 1910.02054 §3.1), and makes
// the copies of parameters in the matmuls' type anew.
Time UpdateTime(const ComputeModel& compute, const Plan& plan, const UpdatedElements& elements,
                double cast) {
  Time duration = cast > 0 ? compute.Elementwise(Bytes(cast)) : Time();
  const auto add = [&](double count, bool matrix) {
    for (const double per_element : OptimizerPasses(plan, matrix)) {
      duration += compute.Elementwise(Bytes(count * per_element));
    }
  };
  if (elements.others > 0 || elements.matrices == 0) add(elements.others, false);
  if (elements.matrices > 0) add(elements.matrices, true);
  return duration;
}

Updater::Updater(StepContext* context)
    : context_(*context),
      update_name_(context->builder.Intern("optimizer")),
      gather_name_(context->builder.Intern("parameters")),
      direction_name_(context->builder.Intern("muon")) {}

Status Updater::Update(int stage, const std::vector<int>& parts,
                       const std::vector<UnitTasks>& gradients) {
  std::vector<LayerRef> layers;
  for (const int part : parts) {
    const std::vector<LayerRef>& of_part = context_.model.layers[Index(part)];
    layers.insert(layers.end(), of_part.begin(), of_part.end());
  }
  const bool from_host = std::any_of(layers.begin(), layers.end(), [&](const LayerRef& layer) {
    const LoweredBlock& block = context_.model.of(layer);
    return block.host_optimizer.to >= 0 || block.host_parameters.to >= 0;
  });
  return from_host ? UpdateFromHost(stage, layers, gradients)
                   : UpdateWhole(stage, parts, layers, gradients);
}

UnitTasks Updater::AddUpdate(const StepBuilder::Where& where, const UpdatedElements& elements,
                             double cast, After after) {
  Bytes bytes(cast);
  const auto add = [&](double count, bool matrix) {
    for (const double per_element : OptimizerPasses(context_.plan, matrix)) {
      bytes += Bytes(count * per_element);
    }
  };
  if (elements.others > 0) add(elements.others, false);
  if (elements.matrices > 0) add(elements.matrices, true);
  return context_.builder.AddCompute(where, TaskKind::kOptimizer, update_name_,
                                     UpdateTime(context_.compute, context_.plan, elements, cast),
                                     after, Flops(), bytes);
}

Status Updater::GatherUpdated(const StepBuilder::Where& where, const UnitTasks& updated) {
  if (context_.plan.overlap_parameters) return absl::OkStatus();
  UnitTasks ready = updated;
  for (const int transfer : context_.model.of(where.layer).regathers) {
    ASSIGN_OR_RETURN(ready, context_.host.Transfer(where, gather_name_, transfer, {&ready}));
  }
  return absl::OkStatus();
}

StatusOr<UnitTasks> Updater::UpdateMatrices(int stage, const std::vector<int>& parts,
                                            double elements, UnitTasks ready) {
  StepBuilder::Where where{stage, {}, 0, Pass::kUpdate};
  bool any = false;
  for (const int part : parts) {
    for (const DirectionStep& step : context_.model.directions[Index(part)]) {
      any = true;
      where.layer = step.layer;
      if (step.transfer >= 0) {
        ASSIGN_OR_RETURN(ready,
                         context_.host.Transfer(where, direction_name_, step.transfer, {&ready}));
        continue;
      }
      const UnitTasks issued = context_.host.Issue(where, step.launches);
      std::vector<const UnitTasks*> after = {&ready};
      if (!issued.empty()) after.push_back(&issued);
      ready = context_.builder.AddCompute(where, TaskKind::kOptimizer, direction_name_,
                                          step.duration, after, step.flops, step.hbm_bytes);
      context_.host.GainBy(stage, step.duration);
    }
  }
  if (!any) return ready;
  Bytes bytes;
  Time duration;
  for (const double per_element : DirectionPasses(context_.plan)) {
    bytes += Bytes(elements * per_element);
    duration += context_.compute.Elementwise(Bytes(elements * per_element));
  }
  where.layer = {};
  const UnitTasks* after[] = {&ready};
  return context_.builder.AddCompute(where, TaskKind::kOptimizer, update_name_, duration, after,
                                     Flops(), bytes);
}

Status Updater::UpdateWhole(int stage, const std::vector<int>& parts,
                            const std::vector<LayerRef>& layers,
                            const std::vector<UnitTasks>& gradients) {
  UpdatedElements elements;
  double cast = 0, arrays = 0;
  for (const LayerRef& layer : layers) {
    const LoweredBlock& block = context_.model.of(layer);
    elements += UpdatedElements(block);
    cast += CastAndZeroedBytes(block, context_.plan);
    arrays += block.parameter_arrays;
  }
  TaskLists after;
  for (const UnitTasks& tasks : gradients) after.push_back(&tasks);
  const StepBuilder::Where where{stage, {}, 0, Pass::kUpdate};
  const UnitTasks issued =
      context_.host.Issue(where, 1 + HostOpsOf(context_.plan, OpRole::kUpdate, arrays));
  if (!issued.empty()) after.push_back(&issued);
  UnitTasks updated = AddUpdate(where, elements, cast, after);
  ASSIGN_OR_RETURN(updated, UpdateMatrices(stage, parts, elements.matrices, std::move(updated)));
  for (const LayerRef& layer : layers) {
    RETURN_IF_ERROR(GatherUpdated({stage, layer, 0, Pass::kUpdate}, updated));
  }
  return absl::OkStatus();
}

Status Updater::UpdateFromHost(int stage, const std::vector<LayerRef>& layers,
                               const std::vector<UnitTasks>& gradients) {
  const UnitTasks& ran = context_.ends.Last(stage);
  UnitTasks left[2] = {ran, ran};  // when the block before last, and the last, were gone
  for (const LayerRef& layer : layers) {
    ASSIGN_OR_RETURN(UnitTasks gone,
                     UpdateBlock({stage, layer, 0, Pass::kUpdate}, left[0], gradients));
    left[0] = std::exchange(left[1], std::move(gone));
  }
  return absl::OkStatus();
}

StatusOr<UnitTasks> Updater::UpdateBlock(const StepBuilder::Where& where, const UnitTasks& room,
                                         const std::vector<UnitTasks>& gradients) {
  const LoweredBlock& block = context_.model.of(where.layer);
  const HostCopy &state = block.host_optimizer, &parameters = block.host_parameters;
  TaskLists after;
  for (const UnitTasks& tasks : gradients) after.push_back(&tasks);
  UnitTasks fetched;
  if (state.from >= 0) {
    const UnitTasks* list[] = {&room};
    ASSIGN_OR_RETURN(fetched, context_.builder.AddTransfer(where, update_name_, state.from, list));
    context_.memory.AtStart(where.stage, fetched, MemoryBucket::kOptimizer, state.bytes);
    after.push_back(&fetched);
  }
  const UnitTasks updated =
      AddUpdate(where, UpdatedElements(block), CastAndZeroedBytes(block, context_.plan), after);
  UnitTasks gone = updated;
  if (parameters.to >= 0) {
    context_.memory.AtStart(where.stage, updated, MemoryBucket::kUnsharded, parameters.bytes);
    ASSIGN_OR_RETURN(gone,
                     Leave(where, gather_name_, parameters, MemoryBucket::kUnsharded, updated));
  }
  if (state.to >= 0) {
    ASSIGN_OR_RETURN(gone, Leave(where, update_name_, state, MemoryBucket::kOptimizer, updated));
  }
  RETURN_IF_ERROR(GatherUpdated(where, updated));
  return gone;
}

StatusOr<UnitTasks> Updater::Leave(const StepBuilder::Where& where, const std::string* name,
                                   const HostCopy& copy, MemoryBucket bucket,
                                   const UnitTasks& after) {
  const UnitTasks* list[] = {&after};
  ASSIGN_OR_RETURN(UnitTasks gone, context_.builder.AddTransfer(where, name, copy.to, list));
  context_.memory.AtEnd(where.stage, gone, bucket, -copy.bytes);
  return gone;
}

}  // namespace meshstep
