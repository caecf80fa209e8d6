#include "sim/simulate/simulate.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sim/base/format.h"
#include "sim/simulate/report.h"
#include "strategies/plan/load_scenario.h"
#include "strategies/step/lower_step.h"

namespace meshstep {
namespace {

// A task takes some 150 bytes; more than this would not fit in an ordinary machine. One layer of
// one micro-batch is at most kTasksPerLayer tasks, forward and backward.
constexpr double kMaxTasks = 2e7, kTasksPerLayer = 64;

Status CheckSize(const Scenario& scenario, bool unfolded) {
  const double devices = unfolded ? scenario.cluster.devices() / scenario.plan.stages : 1;
  const double tasks = devices * kTasksPerLayer * scenario.model.layers *
                       static_cast<double>(scenario.plan.micro_batches);
  if (tasks <= kMaxTasks) return absl::OkStatus();
  return InvalidInput(absl::StrCat(
      scenario.plan.micro_batches, " micro-batches of ", scenario.model.layers, " layers",
      unfolded ? absl::StrCat(" on ", scenario.cluster.devices(), " devices, unfolded,") : "",
      " are about ", FormatNumber(tasks, 2), " tasks, expected at most ",
      FormatNumber(kMaxTasks, 2), unfolded ? "; leave out --unfolded" : ""));
}

// `status` with the place of the field that it names before it, else that of the whole scenario.
Status Located(const Status& status, const Locator& locator) {
  if (!locator || status.code() != absl::StatusCode::kInvalidArgument) return status;
  const std::string message(status.message());
  const std::string whole = locator("");
  if ((!whole.empty() && message.starts_with(whole)) || message.starts_with("--")) return status;
  std::string place;
  if (message.starts_with("plan.")) place = locator(message.substr(0, message.find(':')));
  if (place.empty()) place = whole;
  return place.empty() ? status : InvalidInput(absl::StrCat(place, ": ", message));
}

StatusOr<SimulatedStep> RunScenario(Scenario scenario, const SimulateOptions& options) {
  RETURN_IF_ERROR(CheckSize(scenario, options.unfolded));
  ASSIGN_OR_RETURN(StepGraph step, LowerStep(scenario, {.fidelity = options.fidelity,
                                                        .unfolded = options.unfolded}));
  ASSIGN_OR_RETURN(Run run, RunGraph(step.graph, step.Names()));
  v1::SimulateReport report = MakeReport(scenario, step, run, options.fidelity);
  return SimulatedStep{std::move(scenario), std::move(step), std::move(run), std::move(report)};
}

StatusOr<SimulatedStep> Placed(StatusOr<SimulatedStep> step, const SimulateOptions& options) {
  if (step.ok()) return step;
  return Located(step.status(), options.locator);
}

}  // namespace

StatusOr<SimulatedStep> SimulateStep(const Scenario& scenario, const SimulateOptions& options) {
  return Placed(RunScenario(scenario, options), options);
}

StatusOr<SimulatedStep> SimulateStep(const v1::Scenario& proto, const SimulateOptions& options) {
  Diagnostics diagnostics(options.locator);
  const Catalog own;
  const Catalog& catalog = options.catalog != nullptr ? *options.catalog : own;
  Scenario scenario = LoadScenario(proto, catalog, &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  return Placed(RunScenario(std::move(scenario), options), options);
}

StatusOr<v1::SimulateReport> Simulate(const v1::Scenario& proto, const SimulateOptions& options) {
  ASSIGN_OR_RETURN(SimulatedStep step, SimulateStep(proto, options));
  return std::move(step.report);
}

}  // namespace meshstep
