// The report of one simulated step (proto/meshstep/v1/report.proto): where the time went, what was
// communicated, whether it fits.

#ifndef MESHSTEP_SIM_SIMULATE_REPORT_H_
#define MESHSTEP_SIM_SIMULATE_REPORT_H_

#include "meshstep/v1/report.pb.h"
#include "sim/engine/engine.h"
#include "strategies/plan/plan.h"
#include "strategies/step/step_graph.h"

namespace meshstep {

// `step` is the lowered scenario and `run` its simulation.
v1::SimulateReport MakeReport(const Scenario& scenario, const StepGraph& step, const Run& run,
                              Fidelity fidelity);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_SIMULATE_REPORT_H_
