// Where the time of each pipeline stage goes, and which stage the others wait for.

#ifndef MESHSTEP_SIM_SIMULATE_STAGES_H_
#define MESHSTEP_SIM_SIMULATE_STAGES_H_

#include "meshstep/v1/report.pb.h"
#include "sim/engine/engine.h"
#include "strategies/step/step_graph.h"

namespace meshstep {

// Fills StageReport.breakdown, of the busiest device of each stage (the lowest id among equals), and
// .critical, of the stage with the most time that is neither bubble nor other (the first among
// equals). `report` is of `step` and `run`. Cost: O(tasks + edges), and what each stage waits for.
void AddStageBreakdowns(const StepGraph& step, const Run& run, v1::SimulateReport* report);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_SIMULATE_STAGES_H_
