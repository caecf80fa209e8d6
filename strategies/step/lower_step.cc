#include "strategies/step/lower_step.h"

#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sim/base/format.h"
#include "sim/cost/collective_model.h"
#include "strategies/block/block_context.h"
#include "strategies/step/lower_model.h"
#include "strategies/step/lowered_model.h"
#include "strategies/step/placement.h"
#include "strategies/step/step_builder.h"
#include "strategies/step/step_emitter.h"
#include "strategies/step/step_rates.h"

namespace meshstep {
namespace {

// An error of one field in the form of sim/base/diagnostics.h, without the place in the file.
Status InField(const char* field, const Status& status) {
  if (status.code() != absl::StatusCode::kInvalidArgument) return status;
  return InvalidInput(absl::StrCat(field, ": ", std::string(status.message())));
}

// Every class of links takes some microseconds and a kilobyte.
constexpr int kMostLinkClasses = 500'000;

Status CheckLinks(const LinkClasses& classes) {
  if (classes.size() <= kMostLinkClasses) return absl::OkStatus();
  return InvalidInput(absl::StrCat(
      "cluster: has ", FormatCount(classes.size()),
      " links that differ (on dimensions that do not close or that several axes share), expected "
      "at most ",
      FormatCount(kMostLinkClasses)));
}

// Axes along which devices differ: the pipeline's, and those along which a transfer loads links
// unevenly (a broadcast, and a shift of a ring that does not close).
std::vector<AxisId> DistinguishedAxes(const Plan& plan, const Mesh& mesh,
                                      const TransferTable& transfers, bool twisted) {
  std::set<AxisId> axes;
  if (plan.pipeline >= 0) axes.insert(plan.pipeline);
  for (int t = 0; t < transfers.size(); ++t) {
    const TransferSpec& spec = transfers[t];
    if (spec.role == Role::kPipeline || spec.role == Role::kToHost ||
        spec.role == Role::kFromHost) {
      continue;
    }
    const bool broadcast = spec.collective == Collective::kBroadcast;
    const bool shift = spec.collective == Collective::kPermute;
    if (broadcast || (shift && !mesh.GroupOf(spec.axes, 0).ShiftsEvenly())) {
      axes.insert(spec.axes.begin(), spec.axes.end());
    }
    // The seam of a twisted torus leads to where another group may be.
    if (spec.collective == Collective::kAllToAll && twisted) {
      for (AxisId a = 0; a < static_cast<AxisId>(plan.axes.size()); ++a) axes.insert(a);
    }
  }
  return {axes.begin(), axes.end()};
}

// Exchanges stay where the group is a ring of a torus, which has a link either way; elsewhere one
// port carries both halves, or the ends of a line have no neighbour.
void ExchangeOnRings(const Mesh& mesh, TransferTable* transfers) {
  for (int t = 0; t < transfers->size(); ++t) {
    const TransferSpec& spec = (*transfers)[t];
    if (spec.collective != Collective::kExchange) continue;
    const Group group = mesh.GroupOf(spec.axes, 0);
    const bool ring = group.dims.size() == 1 && group.dims.front().kind == Level::Kind::kTorus &&
                      group.dims.front().ring && group.size() > 2;
    if (!ring) transfers->GoOneWay(t);
  }
}

// All that stages may send: activations and their gradients along the parts, `send`, and gradients
// of parameters that two stages share.
std::set<StageSend> SendsOf(const Plan& plan, const LoweredModel& model, int send) {
  std::set<StageSend> sends;
  const Pipeline shape = plan.pipeline_shape();
  for (std::int64_t i = 0; send >= 0 && i < plan.micro_batches; ++i) {
    for (int part = 0; part + 1 < static_cast<int>(plan.parts.size()); ++part) {
      const int here = plan.order->PlaceOf(part, i, shape).stage;
      const int next = plan.order->PlaceOf(part + 1, i, shape).stage;
      if (here == next) continue;
      sends.insert({send, here, next});
      sends.insert({send, next, here});
    }
  }
  for (const SharedParameters& shared : model.shared) {
    sends.insert({shared.transfer, shared.stage_a, shared.stage_b});
    sends.insert({shared.transfer, shared.stage_b, shared.stage_a});
  }
  return sends;
}

// What stages send each other: the residual stream, in parts by the ranks of Plan::split_axis.
SendTransfers AddSends(const BlockContext& context) {
  const Plan& plan = *context.plan;
  SendTransfers sends;
  if (plan.pipeline < 0) return sends;
  const Sharding residual = Apply(plan.rules.residual, {"B", "T", "D"});
  const Bytes bytes = context.LocalElements(residual) * context.model->residual_streams *
                      SizeOf(plan.precision.activations);
  int parts = 1;
  if (plan.split_axis >= 0) {
    parts = plan.axis_size(plan.split_axis);
    sends.gather = context.transfers->Intern(
        {Collective::kAllGather, {plan.split_axis}, Role::kActivations, bytes});
  }
  sends.send = context.transfers->Intern(
      {Collective::kPermute, {plan.pipeline}, Role::kPipeline, bytes / parts});
  return sends;
}

}  // namespace

// Everything of a step but its tasks. Parts refer to each other and to the scenario.
struct PreparedStep::Parts {
  Parts(const Scenario& of, const LoweringOptions& options)
      : scenario(of), rates(RatesOf(of, options.fidelity)) {}
  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;

  Status Prepare(const LoweringOptions& options);
  void MakeUnits();

  const Scenario& scenario;
  const StepRates rates;
  TransferTable transfers;
  LoweredModel model;
  SendTransfers sends;
  std::vector<AxisId> distinguished;
  std::shared_ptr<const PricedMesh> priced;
  std::optional<CollectiveModel> explicit_links;
  std::optional<StepUnits> units;
};

Status PreparedStep::Parts::Prepare(const LoweringOptions& options) {
  const Plan& plan = scenario.plan;
  PlacementCache own;
  PlacementCache& placements = options.placements != nullptr ? *options.placements : own;
  const StatusOr<std::shared_ptr<const PlacedMesh>> placed =
      placements.Place(scenario.cluster, plan.axes, options.fidelity);
  if (!placed.ok()) return InField("plan.mesh", placed.status());
  const Mesh& mesh = *(*placed)->mesh;
  const BlockContext context{&scenario.model, &plan, &scenario.workload, &rates.compute,
                             &transfers};
  StatusOr<LoweredModel> lowered = LowerModel(context);
  if (!lowered.ok()) return InField("plan.rules", lowered.status());
  model = *std::move(lowered);
  sends = AddSends(context);
  ExchangeOnRings(mesh, &transfers);
  distinguished = DistinguishedAxes(plan, mesh, transfers, scenario.cluster.twisted);
  priced = placements.Price(*placed, distinguished, options.fidelity);
  RETURN_IF_ERROR(CheckLinks(*priced->classes));
  if (options.unfolded) explicit_links.emplace(mesh, nullptr, options.fidelity);
  return absl::OkStatus();
}

void PreparedStep::Parts::MakeUnits() {
  const Plan& plan = scenario.plan;
  const std::set<StageSend> all = SendsOf(plan, model, sends.send);
  units.emplace(plan, *priced->placed->mesh, *priced->classes, *priced->collectives,
                explicit_links ? &*explicit_links : nullptr, transfers, &all);
}

PreparedStep::PreparedStep(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
PreparedStep::PreparedStep(PreparedStep&&) noexcept = default;
PreparedStep::~PreparedStep() = default;

const Scenario& PreparedStep::scenario() const { return parts_->scenario; }
const LoweredModel& PreparedStep::model() const { return parts_->model; }
const StepRates& PreparedStep::rates() const { return parts_->rates; }
const TransferTable& PreparedStep::transfers() const { return parts_->transfers; }
const SendTransfers& PreparedStep::sends() const { return parts_->sends; }
const std::shared_ptr<const PricedMesh>& PreparedStep::priced() const { return parts_->priced; }
const StepUnits& PreparedStep::units() const {
  if (!parts_->units) parts_->MakeUnits();
  return *parts_->units;
}
StepUnits PreparedStep::UnitsForPrices() const {
  const PricedMesh& priced = *parts_->priced;
  return StepUnits(parts_->scenario.plan, *priced.placed->mesh, *priced.classes,
                   *priced.collectives, nullptr, parts_->transfers, nullptr);
}

StatusOr<PreparedStep> PrepareStep(const Scenario& scenario, const LoweringOptions& options) {
  auto parts = std::make_unique<PreparedStep::Parts>(scenario, options);
  RETURN_IF_ERROR(parts->Prepare(options));
  return PreparedStep(std::move(parts));
}

StatusOr<StepGraph> EmitStep(const PreparedStep& prepared, const StepFold* fold,
                             FoldRecord* record) {
  const Scenario& scenario = prepared.scenario();
  const TransferTable& transfers = prepared.transfers();
  StepGraph out;
  out.distinguished = prepared.parts_->distinguished;
  for (int t = 0; t < transfers.size(); ++t) {
    const TransferSpec& spec = transfers[t];
    out.transfers.push_back({spec, "", 0, AxisNames(scenario.plan, spec.axes, spec.experts)});
  }
  StepBuilder builder(prepared.units(), transfers, prepared.rates(), &out);
  StepEmitter emitter(scenario, prepared.model(), prepared.rates(), prepared.sends(), &builder,
                      &out, fold, record);
  RETURN_IF_ERROR(emitter.Emit());
  return out;
}

StatusOr<StepGraph> LowerStep(const Scenario& scenario, const LoweringOptions& options) {
  ASSIGN_OR_RETURN(const PreparedStep prepared, PrepareStep(scenario, options));
  return EmitStep(prepared);
}

}  // namespace meshstep
