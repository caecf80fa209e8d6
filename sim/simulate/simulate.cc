#include "sim/simulate/simulate.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sim/base/format.h"
#include "sim/simulate/interval.h"
#include "sim/simulate/report.h"
#include "strategies/plan/load_scenario.h"
#include "strategies/step/lower_step.h"
#include "strategies/step/placement.h"

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

// The evaluation of a step comes after it.
Status AddEvaluation(const Scenario& scenario, Fidelity fidelity, PlacementCache* placements,
                     v1::SimulateReport* report) {
  if (!scenario.evaluation) return absl::OkStatus();
  const Scenario& forward = *scenario.evaluation;
  RETURN_IF_ERROR(CheckSize(forward, false));
  ASSIGN_OR_RETURN(const StepGraph step, LowerStep(forward, {.fidelity = fidelity, .placements = placements}));
  ASSIGN_OR_RETURN(const Run run, RunGraph(step.graph, step.Names()));
  const v1::SimulateReport evaluation = MakeReport(forward, step, run, fidelity);
  const double before = report->step_time_s(), after = before + evaluation.step_time_s();
  report->set_step_time_s(after);
  v1::Breakdown* const b = report->mutable_breakdown();
  const v1::Breakdown& e = evaluation.breakdown();
  b->set_compute_s(b->compute_s() + e.compute_s());
  b->set_communication_exposed_s(b->communication_exposed_s() + e.communication_exposed_s());
  b->set_bubble_s(b->bubble_s() + e.bubble_s());
  b->set_optimizer_s(b->optimizer_s() + e.optimizer_s());
  b->set_other_s(b->other_s() + e.other_s());
  // Rates are of the trained tokens.
  const double slower = before / after;
  report->set_tokens_per_s(report->tokens_per_s() * slower);
  report->set_tokens_per_s_per_chip(report->tokens_per_s_per_chip() * slower);
  report->set_mfu(report->mfu() * slower);
  report->set_mfu_full_attention(report->mfu_full_attention() * slower);
  report->set_mfu_6nd(report->mfu_6nd() * slower);
  report->set_hfu(report->hfu() * slower);
  report->add_notes(absl::StrCat("the step includes an evaluation of ", forward.workload.batch,
                                 " sequences, ", FormatSeconds(evaluation.step_time_s())));
  return absl::OkStatus();
}

StatusOr<SimulatedStep> RunScenario(Scenario scenario, const Catalog& catalog,
                                    const SimulateOptions& options) {
  RETURN_IF_ERROR(CheckSize(scenario, options.unfolded));
  PlacementPool own;
  const PlacementPool::Lease placements(options.placements != nullptr ? options.placements : &own);
  ASSIGN_OR_RETURN(StepGraph step, LowerStep(scenario, {.fidelity = options.fidelity,
                                                        .unfolded = options.unfolded,
                                                        .placements = placements.get()}));
  ASSIGN_OR_RETURN(Run run, RunGraph(step.graph, step.Names()));
  v1::SimulateReport report = MakeReport(scenario, step, run, options.fidelity);
  RETURN_IF_ERROR(AddEvaluation(scenario, options.fidelity, placements.get(), &report));
  if (options.fidelity == Fidelity::kCalibrated) AddInterval(scenario, catalog, &report);
  return SimulatedStep{std::move(scenario), std::move(step), std::move(run), std::move(report)};
}

StatusOr<SimulatedStep> Placed(StatusOr<SimulatedStep> step, const SimulateOptions& options) {
  if (step.ok()) return step;
  return Located(step.status(), options.locator);
}

}  // namespace

StatusOr<SimulatedStep> SimulateStep(const Scenario& scenario, const SimulateOptions& options) {
  const Catalog own;
  const Catalog& catalog = options.catalog != nullptr ? *options.catalog : own;
  return Placed(RunScenario(scenario, catalog, options), options);
}

StatusOr<SimulatedStep> SimulateStep(const v1::Scenario& proto, const SimulateOptions& options) {
  Diagnostics diagnostics(options.locator);
  const Catalog own;
  const Catalog& catalog = options.catalog != nullptr ? *options.catalog : own;
  Scenario scenario = LoadScenario(proto, catalog, &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  return Placed(RunScenario(std::move(scenario), catalog, options), options);
}

StatusOr<v1::SimulateReport> Simulate(const v1::Scenario& proto, const SimulateOptions& options) {
  ASSIGN_OR_RETURN(SimulatedStep step, SimulateStep(proto, options));
  return std::move(step.report);
}

}  // namespace meshstep
