// The rates at which one device of a step computes, talks to its host and gives way to collectives.

#ifndef MESHSTEP_STRATEGIES_STEP_STEP_RATES_H_
#define MESHSTEP_STRATEGIES_STEP_STEP_RATES_H_

#include <cstdint>

#include "sim/base/units.h"
#include "sim/cost/compute.h"
#include "strategies/plan/plan.h"

namespace meshstep {

struct StepRates {
  ComputeModel compute;
  // What a collective takes of a device's compute units, in millionths.
  std::int32_t taken_by_collectives = 0;
  // Time of matmuls and attention on the slowest chip over that on the mean one.
  double slowest_chip = 1;
  BytesPerSecond host_link = {};  // of one device to its host, one way
  Seconds host_dispatch = {};     // of one operation that the host issues; 0: it is not simulated
};

// Of the scenario's chip under its plan.
StepRates RatesOf(const Scenario& scenario, Fidelity fidelity);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_STEP_RATES_H_
