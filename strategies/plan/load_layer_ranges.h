// v1::LayerRange as values, for strategies/plan/load_plan.cc.

#ifndef MESHSTEP_STRATEGIES_PLAN_LOAD_LAYER_RANGES_H_
#define MESHSTEP_STRATEGIES_PLAN_LOAD_LAYER_RANGES_H_

#include <string>

#include "sim/base/diagnostics.h"
#include "strategies/plan/plan.h"
#include "topologies/chip.h"

namespace meshstep {

namespace v1 {
class Plan;
}

// Requires the plan's precision, recomputation and offload. A list of layers becomes a range for each
// of its parts. `field` is the plan's path in errors.
void LoadLayerRanges(const v1::Plan& proto, const std::string& field, int layers, const Chip& chip,
                     Plan* plan, Diagnostics* diagnostics);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PLAN_LOAD_LAYER_RANGES_H_
