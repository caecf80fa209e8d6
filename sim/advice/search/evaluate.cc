#include "sim/advice/search/evaluate.h"

#include <algorithm>
#include <utility>

#include "sim/engine/engine.h"
#include "sim/simulate/memory.h"
#include "strategies/bounds/plan/plan_bounds.h"
#include "strategies/plan/load_scenario.h"
#include "strategies/step/lower_step.h"

namespace meshstep {
namespace {

std::string FirstLine(const Status& status) {
  const std::string message(status.message());
  return message.substr(0, message.find('\n'));
}

// The field that a message of the loader begins with: values differ from plan to plan.
std::string Reason(const Status& status) {
  const std::string line = FirstLine(status);
  return line.substr(0, line.find(':'));
}

// Step time and peak alone.
struct Figures {
  Time time;
  std::int64_t peak_bytes = 0;
};

StatusOr<Figures> FiguresOf(const Scenario& scenario, const LoweringOptions& lowering) {
  ASSIGN_OR_RETURN(const StepGraph step, LowerStep(scenario, lowering));
  ASSIGN_OR_RETURN(const Run run, RunGraph(step.graph, step.Names()));
  Figures figures{run.makespan, 0};
  for (const MemoryPeak& peak : MemoryPeaks(step, run)) {
    figures.peak_bytes = std::max(figures.peak_bytes, peak.point.total());
  }
  if (!scenario.evaluation) return figures;
  // The evaluation comes after it.
  ASSIGN_OR_RETURN(const StepGraph forward, LowerStep(*scenario.evaluation, lowering));
  ASSIGN_OR_RETURN(const Run after, RunGraph(forward.graph, forward.Names()));
  figures.time += after.makespan;
  return figures;
}

}  // namespace

std::int64_t Evaluator::Needs(const Scenario& scenario, std::int64_t peak_bytes) const {
  return allow_tight_ ? peak_bytes
                      : peak_bytes + ReserveBytes(scenario.plan.memory_reserve, peak_bytes);
}

Evaluated Evaluator::Bound(std::int64_t index, std::int64_t quick_ps,
                           PlacementCache* placements) const {
  Evaluated plan;
  plan.index = index;
  plan.quick_ps = quick_ps;
  Diagnostics diagnostics;
  const Scenario scenario = LoadScenario(space_.ScenarioOf(index), catalog_, &diagnostics);
  if (!diagnostics.ok()) {
    plan.invalid = Reason(diagnostics.status());
    return plan;
  }
  const StatusOr<PreparedStep> prepared =
      PrepareStep(scenario, {.fidelity = fidelity_, .unfolded = false, .placements = placements});
  if (!prepared.ok()) {
    plan.invalid = Reason(prepared.status());
    return plan;
  }
  const StatusOr<PlanBounds> bounds = BoundsOf(*prepared);
  if (!bounds.ok()) {
    plan.invalid = Reason(bounds.status());
    return plan;
  }
  plan.bound_ps = std::max(quick_ps, bounds->time.time.ps());
  plan.least_bytes = Needs(scenario, bounds->memory.peak_bytes);
  plan.binds = std::string(bounds->time.binds);
  return plan;
}

void Evaluator::Simulate(Evaluated* plan, PlacementCache* placements) const {
  const v1::Scenario proto = space_.ScenarioOf(plan->index);
  Diagnostics diagnostics;
  const Scenario scenario = LoadScenario(proto, catalog_, &diagnostics);
  const LoweringOptions lowering{
      .fidelity = fidelity_, .unfolded = false, .placements = placements};
  const StatusOr<Figures> figures = FiguresOf(scenario, lowering);
  if (!figures.ok()) {
    plan->invalid = Reason(figures.status());
    return;
  }
  plan->simulated = true;
  plan->time_ps = figures->time.ps();
  plan->peak_bytes = Needs(scenario, figures->peak_bytes);
}

}  // namespace meshstep
