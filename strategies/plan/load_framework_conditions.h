// Whether the conditions of a framework's entries and kernels (proto/meshstep/v1/framework.proto,
// When) hold for a model on a chip under a plan.

#ifndef MESHSTEP_STRATEGIES_PLAN_LOAD_FRAMEWORK_CONDITIONS_H_
#define MESHSTEP_STRATEGIES_PLAN_LOAD_FRAMEWORK_CONDITIONS_H_

#include <string>

#include "strategies/plan/plan.h"

namespace meshstep {

namespace v1 {
class Plan;
class Precision;
class When;
}  // namespace v1

class FrameworkConditions {
 public:
  // release: of the framework, as "25.09"; may be empty.
  FrameworkConditions(const Model& model, const Cluster& cluster, std::string release);

  // own: the plan's own fields, over `defaults`.
  bool Hold(const v1::When& when, const v1::Plan& own, const v1::Plan& defaults) const;
  // All but those of the layer (strategies/plan/kernel_table.h, LayerConditions). own: with the
  // framework's defaults; decided: every field of `plan`.
  bool HoldForRow(const v1::When& when, const v1::Plan& own, const v1::Plan& decided,
                  const Plan& plan) const;

 private:
  bool HoldForRelease(const v1::When& when) const;
  bool HoldForModel(const v1::When& when) const;

  const Model& model_;
  const std::string model_name_;
  const std::string& chip_;
  const std::string release_;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PLAN_LOAD_FRAMEWORK_CONDITIONS_H_
