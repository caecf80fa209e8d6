// Plan messages as values: degrees expand to a mesh and rules, everything is checked.

#ifndef MESHSTEP_STRATEGIES_PLAN_LOAD_PLAN_H_
#define MESHSTEP_STRATEGIES_PLAN_LOAD_PLAN_H_

#include <string>

#include "sim/base/diagnostics.h"
#include "strategies/plan/plan.h"

namespace meshstep::v1 {
class Plan;
}

namespace meshstep {

// `field` names the message in errors ("plan"). Reports every contradiction; the result is usable
// only if `diagnostics` stays ok.
Plan LoadPlan(const v1::Plan& proto, const std::string& field, const Model& model,
              const Cluster& cluster, const Workload& workload, Diagnostics* diagnostics);

// The plan with degrees written out as mesh and rules; loads back to an equal plan.
void ExpandPlan(const Plan& plan, v1::Plan* proto);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PLAN_LOAD_PLAN_H_
