// v1::Muon as a value, for strategies/plan/load_plan.cc.

#ifndef MESHSTEP_STRATEGIES_PLAN_LOAD_MUON_H_
#define MESHSTEP_STRATEGIES_PLAN_LOAD_MUON_H_

#include <string>

#include "sim/base/diagnostics.h"
#include "strategies/plan/plan.h"

namespace meshstep {

namespace v1 {
class Plan;
}

// Requires the plan's precision and offload. `field` is the plan's path in errors.
void LoadMuon(const v1::Plan& proto, const std::string& field, Plan* plan,
              Diagnostics* diagnostics);
void ExpandMuon(const Plan& plan, v1::Plan* proto);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PLAN_LOAD_MUON_H_
