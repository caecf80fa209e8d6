// Kept activations that wait for backward in the memory of the host.

#ifndef MESHSTEP_STRATEGIES_STEP_ACTIVATION_OFFLOADER_H_
#define MESHSTEP_STRATEGIES_STEP_ACTIVATION_OFFLOADER_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "sim/base/status.h"
#include "strategies/step/step_context.h"

namespace meshstep {

class ActivationOffloader {
 public:
  explicit ActivationOffloader(StepContext* context);

  // A block's forward has ended: what Plan::offload says of it leaves.
  Status Store(const StepBuilder::Where& where, const UnitTasks& end);
  // Its backward comes: they come back, Plan::prefetch_layers runs ahead of it. Empty: they were
  // here all the time.
  StatusOr<UnitTasks> Load(const StepBuilder::Where& where);

 private:
  StepContext& context_;
  const std::string* const name_;
  // Per stage, by layer and micro-batch: when they were on the host.
  std::vector<std::map<std::pair<LayerRef, int>, UnitTasks>> stored_;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_ACTIVATION_OFFLOADER_H_
