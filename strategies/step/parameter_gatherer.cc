#include "strategies/step/parameter_gatherer.h"

#include "sim/base/index.h"
#include "strategies/framework/kernel_sums.h"

namespace meshstep {

using Kind = Action::Kind;

ParameterGatherer::ParameterGatherer(StepContext* context)
    : context_(*context),
      gather_name_(context->builder.Intern("parameters")),
      copy_name_(context->builder.Intern("parameters copy")),
      stages_(Index(context->plan.stages)) {}

StatusOr<UnitTasks> ParameterGatherer::Gather(int stage, const LayerRef& layer,
                                              const Action& action) {
  Stage& state = stages_[Index(stage)];
  const Plan& plan = context_.plan;
  const LoweredBlock& block = context_.model.of(layer);
  const bool forward = action.kind == Kind::kForward;
  const bool first_time = forward && state.ran.insert(layer).second;
  const bool updated = first_time && plan.overlap_parameters && !block.regathers.empty();
  const bool comes = action.kind != Kind::kBackwardWeight &&
                     (!block.gathers.empty() || updated || block.host_parameters.from >= 0);
  if (comes && state.kept == layer) return state.gathered;  // still there from the run before
  if (!comes || (plan.accumulate_unsharded && !first_time)) {
    state.gathered = context_.builder.None(stage);
    return state.gathered;
  }
  const StepBuilder::Where where{stage, layer, static_cast<int>(action.micro_batch),
                                 forward ? Pass::kForward : Pass::kBackward};
  ASSIGN_OR_RETURN(state.gathered, Bring(where, block, updated));
  return state.gathered;
}

StatusOr<UnitTasks> ParameterGatherer::Bring(const StepBuilder::Where& where,
                                             const LoweredBlock& block, bool updated) {
  UnitTasks ready = context_.ends.Ahead(where.stage);
  if (const int from_host = block.host_parameters.from; from_host >= 0) {
    const UnitTasks* after[] = {&ready};
    ASSIGN_OR_RETURN(ready, context_.builder.AddTransfer(where, gather_name_, from_host, after));
    context_.memory.AtStart(where.stage, ready, MemoryBucket::kUnsharded,
                            block.host_parameters.bytes);
  }
  if (updated) {
    for (const int transfer : block.regathers) {
      ASSIGN_OR_RETURN(ready, context_.host.Transfer(where, gather_name_, transfer, {&ready}));
    }
  }
  if (block.gathers.empty()) return ready;
  UnitTasks first;
  const double launches = 1 + HostOpsOf(context_.plan, OpRole::kShardedTransfer);
  for (const int transfer : block.gathers) {
    ASSIGN_OR_RETURN(ready,
                     context_.host.Transfer(where, gather_name_, transfer, {&ready}, launches));
    if (first.empty()) first = ready;
  }
  context_.memory.AtStart(where.stage, first, MemoryBucket::kUnsharded, block.gathered_bytes);
  return context_.AddCopy(where, copy_name_, block.gather_copy_bytes, ready);
}

void ParameterGatherer::Release(const StepBuilder::Where& where, Kind kind, const UnitTasks& end) {
  // The head's backward follows its forward at once; its parameters stay for it.
  const bool turns = kind == Kind::kForward && where.layer == context_.model.last &&
                     context_.plan.stages == 1 && !context_.workload.forward_only();
  stages_[Index(where.stage)].kept = turns ? where.layer : LayerRef();
  if (turns || context_.plan.accumulate_unsharded || kind == Kind::kBackwardWeight) return;
  const LoweredBlock& block = context_.model.of(where.layer);
  const double gathered = block.gathers.empty() ? 0 : block.gathered_bytes;
  context_.memory.AtEnd(where.stage, end, MemoryBucket::kUnsharded,
                        -(gathered + block.host_parameters.bytes));
}

}  // namespace meshstep
