#include "strategies/step/step_context.h"

namespace meshstep {

UnitTasks StepContext::AddCopy(const StepBuilder::Where& where, const std::string* name,
                               double bytes, const UnitTasks& after) {
  if (bytes == 0) return after;
  const UnitTasks* list[] = {&after};
  return builder.AddCompute(where, TaskKind::kCompute, name, compute.Elementwise(Bytes(bytes)),
                            list, Flops(), Bytes(bytes));
}

}  // namespace meshstep
