// What a predicted step time is worth: how far measured ones of similar runs lay from it.

#ifndef MESHSTEP_SIM_SIMULATE_INTERVAL_H_
#define MESHSTEP_SIM_SIMULATE_INTERVAL_H_

#include "meshstep/v1/report.pb.h"
#include "sim/base/catalog.h"
#include "strategies/plan/plan.h"

namespace meshstep {

// Sets step_time_low_s and step_time_high_s of the report of a calibrated training step by
// examples/validation/intervals.textproto; nothing if that file is not there or has no entry for
// it.
void AddInterval(const Scenario& scenario, const Catalog& catalog, v1::SimulateReport* report);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_SIMULATE_INTERVAL_H_
