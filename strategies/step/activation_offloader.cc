#include "strategies/step/activation_offloader.h"

#include "sim/base/index.h"

namespace meshstep {

ActivationOffloader::ActivationOffloader(StepContext* context)
    : context_(*context),
      name_(context->builder.Intern("activations")),
      stored_(Index(context->plan.stages)) {}

Status ActivationOffloader::Store(const StepBuilder::Where& where, const UnitTasks& end) {
  const HostCopy& host = context_.model.of(where.layer).host_activations;
  if (host.to < 0 || end.empty()) return absl::OkStatus();
  const UnitTasks* after[] = {&end};
  ASSIGN_OR_RETURN(UnitTasks stored, context_.builder.AddTransfer(where, name_, host.to, after));
  context_.memory.AtEnd(where.stage, stored, MemoryBucket::kActivations, -host.bytes);
  stored_[Index(where.stage)][{where.layer, where.micro_batch}] = std::move(stored);
  return absl::OkStatus();
}

StatusOr<UnitTasks> ActivationOffloader::Load(const StepBuilder::Where& where) {
  const HostCopy& host = context_.model.of(where.layer).host_activations;
  if (host.from < 0) return UnitTasks();
  auto& stored = stored_[Index(where.stage)];
  const auto there = stored.find({where.layer, where.micro_batch});
  if (there == stored.end()) return UnitTasks();
  const UnitTasks* after[] = {&context_.ends.Ahead(where.stage), &there->second};
  StepBuilder::Where back = where;
  back.pass = Pass::kBackward;
  ASSIGN_OR_RETURN(UnitTasks loaded, context_.builder.AddTransfer(back, name_, host.from, after));
  context_.memory.AtStart(where.stage, loaded, MemoryBucket::kActivations, host.bytes);
  stored.erase(there);
  return loaded;
}

}  // namespace meshstep
