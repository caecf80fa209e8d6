// Where the time of a step goes, on the unit that ends last (the lowest id among equals).
//
// Every instant from 0 to the makespan gets the first class that holds:
//   optimizer   its compute stream runs the optimizer;
//   compute     its compute stream runs anything else;
//   exposed     it is blocked on a collective or transfer in flight in which it takes part;
//   bubble      it is blocked because another pipeline stage has not produced its part;
//   other       else (waiting for other devices of its own stage).
//
// What an idle compute stream is blocked on: go back from the task that ends the gap, each time to
// the predecessor (dependency, or task before it on a stream) that ended last. That chain has no
// hole, because a task starts the moment its last predecessor ends, so the task of the chain that
// runs at an instant is what the unit waits for then. In the tail, after the last kernel, the chain
// starts at the unit's last task. Sums are exact, in picoseconds. Cost: O(tasks + edges).
//
//   compute  |==A==|        |==B==|       A, then all-gather G, then B which needs G.
//   comm           |==G==|                The gap between A and B is exposed, attributed to G;
//                                         had G begun later because a unit of another stage was
//                                         late, the part before G would be bubble.

#ifndef MESHSTEP_SIM_SIMULATE_BREAKDOWN_H_
#define MESHSTEP_SIM_SIMULATE_BREAKDOWN_H_

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "sim/base/units.h"
#include "sim/engine/engine.h"
#include "strategies/step/step_graph.h"

namespace meshstep {

// Tasks of one entry of StepGraph::transfers in which the unit takes part.
struct TransferTime {
  std::int64_t count = 0;
  std::int64_t sent = 0;  // of them, those in which the unit sends: all but receives from a stage
  Time busy;              // sum of durations
  Time exposed;           // while the unit was blocked on them
};

// Kernels of one name and pass.
struct KernelTime {
  std::string name;
  Pass pass = Pass::kForward;
  std::int64_t count = 0;
  Time busy;
  Flops flops;
};

struct StepBreakdown {
  std::int32_t unit = 0;
  // compute + exposed + bubble + optimizer + other == makespan.
  Time compute, exposed, bubble, optimizer, other;
  Time forward, recompute, backward;    // sum to compute
  Time launches;                        // part of other: the host was issuing what was waited for
  std::vector<TransferTime> transfers;  // by index of StepGraph::transfers; exposed sums to exposed
  std::vector<KernelTime> kernels;      // longest first; sum to compute + optimizer
  Time in_flight;                       // at least one transfer of the unit is in flight
  std::vector<Time> busy;               // per unit: its compute stream is busy
};

// Requires a graph with at least one unit and the run of that graph.
StepBreakdown BreakDown(const StepGraph& step, const Run& run);

// The classes of the time of each of `units`; kernels, transfers and busy times stay empty.
// Cost: O(tasks + edges) once, and what each unit waits for.
std::vector<StepBreakdown> BreakDownUnits(const StepGraph& step, const Run& run,
                                          std::span<const std::int32_t> units);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_SIMULATE_BREAKDOWN_H_
