#include "sim/advice/search/evaluate.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "sim/simulate/memory.h"
#include "sim/simulate/step_figures.h"
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

// Whether all transfers of activations are between devices of one node.
bool StayInNode(const PreparedStep& step) {
  const Mesh& mesh = *step.priced()->placed->mesh;
  for (int t = 0; t < step.transfers().size(); ++t) {
    const TransferSpec& spec = step.transfers()[t];
    if (spec.role != Role::kActivations) continue;
    const bool outside = std::ranges::any_of(
        mesh.GroupOf(spec.axes, 0).dims,
        [](const Group::Dim& dim) { return dim.kind == Level::Kind::kNetwork; });
    if (outside) return false;
  }
  return true;
}

}  // namespace

std::int64_t Evaluator::Needs(const Scenario& scenario, std::int64_t peak_bytes) const {
  return allow_tight_ ? peak_bytes
                      : peak_bytes + ReserveBytes(scenario.plan.memory_reserve, peak_bytes);
}

// A plan that is lowered, until another is: the step refers to the scenario.
struct Workspace::Prepared {
  explicit Prepared(Scenario loaded) : scenario(std::move(loaded)) {}
  std::int64_t index = -1;  // among plans that differ in overlap_parameters alone, of the first
  Scenario scenario;
  std::optional<PreparedStep> step;
};

Workspace::Workspace() = default;
Workspace::~Workspace() = default;

// No block depends on when parameters are gathered: plans that differ in that alone are lowered
// once.
StatusOr<PlanBounds> Evaluator::BoundsOfPlan(std::int64_t index, Time most,
                                             Workspace* workspace) const {
  static_assert(static_cast<int>(Knob::kOverlap) == kKnobs - 1);
  const BoundOptions options{
      .cache = &workspace->bounds_, .most = most, .tensor_first = placed_alike_};
  const auto choices = static_cast<std::int64_t>(space_.choices(Knob::kOverlap).size());
  const std::int64_t first = index - index % choices;
  std::unique_ptr<Workspace::Prepared>& last = workspace->last_;
  if (last != nullptr && last->index == first) {
    const v1::Scenario proto = space_.ScenarioOf(index);
    if (choices > 1) last->scenario.plan.overlap_parameters = proto.plan().overlap_parameters();
    return BoundsOf(*last->step, options);
  }
  last = nullptr;
  Diagnostics diagnostics;
  auto next = std::make_unique<Workspace::Prepared>(
      LoadScenario(space_.ScenarioOf(index), catalog_, &diagnostics));
  RETURN_IF_ERROR(diagnostics.status());
  StatusOr<PreparedStep> prepared = Prepare(next->scenario, workspace);
  RETURN_IF_ERROR(prepared.status());
  next->step.emplace(*std::move(prepared));
  if (next->scenario.evaluation == nullptr) next->index = first;
  last = std::move(next);
  return BoundsOf(*last->step, options);
}

StatusOr<PreparedStep> Evaluator::Prepare(const Scenario& scenario, Workspace* workspace) const {
  return PrepareStep(
      scenario, {.fidelity = fidelity_, .unfolded = false, .placements = &workspace->placements_});
}

// Gradients that are kept whole take longer to write, so that those which leave at once are the
// least; of the orders of axes, whichever is best counts.
std::int64_t Evaluator::BoundGroup(std::int64_t index, Workspace* workspace) const {
  Choices choices = space_.ChoicesOf(index);
  for (const Knob knob : {Knob::kState, Knob::kOverlap}) {
    choices[static_cast<std::size_t>(knob)] = 0;
  }
  std::int64_t least = Time::Max().ps();
  const auto orders = static_cast<int>(space_.choices(Knob::kOrder).size());
  for (int order = 0; order < orders; ++order) {
    choices[static_cast<std::size_t>(Knob::kOrder)] = order;
    if (*space_.Refuses(Knob::kOrder, choices) != '\0') continue;
    v1::Scenario proto = space_.ScenarioOf(choices, kAllKnobs);
    proto.mutable_plan()->set_zero_stage(0);
    proto.mutable_plan()->set_accumulate_unsharded(false);
    Diagnostics diagnostics;
    const Scenario scenario = LoadScenario(proto, catalog_, &diagnostics);
    if (!diagnostics.ok()) return 0;
    const StatusOr<PreparedStep> prepared = Prepare(scenario, workspace);
    if (!prepared.ok()) return 0;
    const StatusOr<PlanBounds> bounds = BoundsOf(
        *prepared,
        {.cache = &workspace->bounds_, .activations_only = true, .tensor_first = placed_alike_});
    if (!bounds.ok()) return 0;
    least = std::min(least, bounds->time.time.ps());
    if (placed_alike_ && StayInNode(*prepared)) break;
  }
  return least;
}

Evaluated Evaluator::Bound(std::int64_t index, std::int64_t quick_ps, std::int64_t group_ps,
                           Workspace* workspace, std::int64_t most_ps) const {
  Evaluated plan;
  plan.index = index;
  plan.quick_ps = quick_ps;
  const StatusOr<PlanBounds> bounds = BoundsOfPlan(index, Time(most_ps), workspace);
  if (!bounds.ok()) {
    plan.invalid = Reason(bounds.status());
    return plan;
  }
  plan.bound_ps = std::max({quick_ps, group_ps, bounds->time.time.ps()});
  if (bounds->time.time.ps() <= most_ps)
    plan.least_bytes = Needs(workspace->last_->scenario, bounds->memory.peak_bytes);
  plan.binds = std::string(bounds->time.binds);
  return plan;
}

void Evaluator::Simulate(Evaluated* plan, Workspace* workspace) const {
  const v1::Scenario proto = space_.ScenarioOf(plan->index);
  Diagnostics diagnostics;
  const Scenario scenario = LoadScenario(proto, catalog_, &diagnostics);
  const LoweringOptions lowering{
      .fidelity = fidelity_, .unfolded = false, .placements = &workspace->placements_};
  const StatusOr<StepFigures> figures = FiguresOf(scenario, lowering);
  if (!figures.ok()) {
    plan->invalid = Reason(figures.status());
    return;
  }
  plan->simulated = true;
  plan->time_ps = figures->time.ps();
  plan->peak_bytes = Needs(scenario, figures->peak_bytes);
}

}  // namespace meshstep
