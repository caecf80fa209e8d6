// The `precision` of a plan, checked.

#ifndef MESHSTEP_STRATEGIES_PLAN_LOAD_PRECISION_H_
#define MESHSTEP_STRATEGIES_PLAN_LOAD_PRECISION_H_

#include <string>

#include "sim/base/diagnostics.h"
#include "strategies/plan/precision.h"
#include "topologies/chip.h"

namespace meshstep {

namespace v1 {
class Precision;
}  // namespace v1

// field: "plan.precision".
Precision LoadPrecision(const v1::Precision& proto, const std::string& field, const Chip& chip,
                        Diagnostics* diagnostics);
// The way back.
void ExpandPrecision(const Precision& precision, v1::Precision* proto);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PLAN_LOAD_PRECISION_H_
