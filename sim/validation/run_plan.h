// The plan of a measured training step: degrees, layout, number formats and what overlaps.

#ifndef MESHSTEP_SIM_VALIDATION_RUN_PLAN_H_
#define MESHSTEP_SIM_VALIDATION_RUN_PLAN_H_

#include "meshstep/v1/plan.pb.h"
#include "sim/base/status.h"
#include "sim/validation/run_row.h"

namespace meshstep {

// Error: why the row's plan cannot be expressed.
Status SetPlan(const RunRow& row, int devices, v1::Plan* plan);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_VALIDATION_RUN_PLAN_H_
