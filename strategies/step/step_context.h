// What all that emit tasks of a step work with.

#ifndef MESHSTEP_STRATEGIES_STEP_STEP_CONTEXT_H_
#define MESHSTEP_STRATEGIES_STEP_STEP_CONTEXT_H_

#include <string>

#include "sim/cost/compute.h"
#include "strategies/step/host_clock.h"
#include "strategies/step/lowered_model.h"
#include "strategies/step/run_ends.h"
#include "strategies/step/step_builder.h"
#include "strategies/step/step_memory.h"
#include "strategies/step/step_rates.h"

namespace meshstep {

struct StepContext {
  StepContext(const Scenario& scenario, const LoweredModel& model, const StepRates& rates,
              StepBuilder* builder, StepGraph* out)
      : plan(scenario.plan),
        workload(scenario.workload),
        model(model),
        compute(rates.compute),
        builder(*builder),
        host(rates.host_dispatch, scenario.plan.stages, builder),
        memory(*builder, out),
        ends(*builder, scenario.plan) {}

  StepContext(const StepContext&) = delete;
  StepContext& operator=(const StepContext&) = delete;

  // A kernel that only moves bytes; `after` if there are none.
  UnitTasks AddCopy(const StepBuilder::Where& where, const std::string* name, double bytes,
                    const UnitTasks& after);

  const Plan& plan;
  const Workload& workload;
  const LoweredModel& model;
  const ComputeModel& compute;
  StepBuilder& builder;
  HostClock host;
  StepMemory memory;
  RunEnds ends;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_STEP_CONTEXT_H_
