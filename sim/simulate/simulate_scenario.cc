#include "sim/simulate/simulate_scenario.h"

#include "absl/strings/str_cat.h"
#include "sim/base/format.h"
#include "sim/simulate/report.h"
#include "strategies/step/lower_step.h"

namespace meshstep {
namespace {

// A task takes some 150 bytes; more than this would not fit in an ordinary machine. One layer of
// one micro-batch is at most kTasksPerLayer tasks, forward and backward.
constexpr double kMaxTasks = 2e7, kTasksPerLayer = 64;

Status CheckSize(const ScenarioInput& input, const SimulateOptions& options) {
  const Scenario& scenario = input.scenario;
  const double devices = options.unfolded ? scenario.cluster.devices() / scenario.plan.stages : 1;
  const double tasks = devices * kTasksPerLayer * scenario.model.layers *
                       static_cast<double>(scenario.plan.micro_batches);
  if (tasks <= kMaxTasks) return absl::OkStatus();
  return InvalidInput(absl::StrCat(
      scenario.plan.micro_batches, " micro-batches of ", scenario.model.layers, " layers",
      options.unfolded ? absl::StrCat(" on ", scenario.cluster.devices(), " devices, unfolded,")
                       : "",
      " are about ", FormatNumber(tasks, 2), " tasks, expected at most ",
      FormatNumber(kMaxTasks, 2), options.unfolded ? "; leave out --unfolded" : ""));
}

}  // namespace

StatusOr<v1::SimulateReport> SimulateOne(const ScenarioInput& input, const SimulateOptions& options,
                                         const StepVisitor& visit) {
  RETURN_IF_ERROR(CheckSize(input, options));
  const Fidelity fidelity = options.ideal ? Fidelity::kIdeal : Fidelity::kCalibrated;
  ASSIGN_OR_RETURN(const StepGraph step,
                   LowerStep(input.scenario, {.fidelity = fidelity, .unfolded = options.unfolded}));
  ASSIGN_OR_RETURN(const Run run, Simulate(step.graph, step.Names()));
  v1::SimulateReport report = MakeReport(input.scenario, step, run, fidelity);
  if (visit) visit(input, step, run, report);
  return report;
}

}  // namespace meshstep
