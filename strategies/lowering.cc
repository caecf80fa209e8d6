#include "strategies/lowering.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "strategies/model_plan.h"
#include "strategies/step_builder.h"
#include "strategies/step_emitter.h"
#include "strategies/stragglers.h"
#include "topologies/tiers.h"

namespace meshstep {
namespace {

std::size_t Index(std::int64_t i) { return static_cast<std::size_t>(i); }

// An error of one field in the form of sim/base/diagnostics.h, without the place in the file.
Status InField(const char* field, const Status& status) {
  if (status.code() != absl::StatusCode::kInvalidArgument) return status;
  return InvalidInput(absl::StrCat(field, ": ", std::string(status.message())));
}

// `chip` with the measurements of the attention kernel of that name, if there are any.
Chip WithKernel(Chip chip, const std::string& kernel) {
  const auto blocks = chip.calibration.blocks_by_kernel.find(kernel);
  if (blocks != chip.calibration.blocks_by_kernel.end()) {
    chip.calibration.attention_blocks = blocks->second;
    return chip;
  }
  const auto it = chip.calibration.attention_by_kernel.find(kernel);
  if (it != chip.calibration.attention_by_kernel.end()) {
    chip.calibration.attention = std::vector<AttentionCalibration>(it->second);
    chip.calibration.attention_blocks.reset();
  }
  return chip;
}

// What a collective takes of a device's compute units, in millionths.
std::int32_t TakenByCollectives(const Scenario& scenario, Fidelity fidelity) {
  const Chip& chip = scenario.cluster.chip;
  if (fidelity == Fidelity::kIdeal || !scenario.plan.collectives_take_units) return 0;
  if (chip.compute_units <= 0) return 0;
  return static_cast<std::int32_t>(1e6 * chip.calibration.collective_units / chip.compute_units);
}

// Of one device, one way.
BytesPerSecond HostRate(const Chip& chip, Fidelity fidelity) {
  const double share = 1.0 / chip.devices_per_chip;
  return chip.datasheet.host *
         (fidelity == Fidelity::kIdeal ? share : share * chip.calibration.host_fraction);
}

double SlowestChip(const Scenario& scenario, Fidelity fidelity) {
  if (fidelity == Fidelity::kIdeal || !scenario.plan.stragglers) return 1;
  return SlowestOf(static_cast<double>(scenario.cluster.chips),
                   scenario.cluster.chip.calibration.speed_spread);
}

// Axes along which devices differ: the pipeline's, and those along which a transfer loads links
// unevenly (a broadcast, and a shift of a ring that does not close).
std::vector<AxisId> DistinguishedAxes(const Plan& plan, const Mesh& mesh,
                                      const TransferTable& transfers) {
  std::set<AxisId> axes;
  if (plan.pipeline >= 0) axes.insert(plan.pipeline);
  for (int t = 0; t < transfers.size(); ++t) {
    const TransferSpec& spec = transfers[t];
    if (spec.role != Role::kActivations) continue;
    const bool broadcast = spec.collective == Collective::kBroadcast;
    const bool shift = spec.collective == Collective::kPermute;
    if (broadcast || (shift && !mesh.GroupOf(spec.axes, 0).ShiftsEvenly())) {
      axes.insert(spec.axes.begin(), spec.axes.end());
    }
  }
  return {axes.begin(), axes.end()};
}

}  // namespace

GraphNames StepGraph::Names() const {
  GraphNames result;
  result.task = [this](TaskId t) {
    const TaskInfo& info = tasks[Index(t)];
    std::string text = *info.name;
    if (info.layer >= 0) absl::StrAppend(&text, ", layer ", info.layer);
    return absl::StrCat(text, ", micro-batch ", info.micro_batch);
  };
  result.stream = [this](StreamId s) {
    const StreamInfo& info = streams[Index(s)];
    const UnitInfo& unit = units[Index(info.unit)];
    return absl::StrCat("stage ", unit.stage, " device ", unit.device, " ", info.name);
  };
  return result;
}

StatusOr<StepGraph> LowerStep(const Scenario& scenario, const LoweringOptions& options) {
  const Plan& plan = scenario.plan;
  const std::unique_ptr<Fabric> fabric =
      BuildFabric(FitTiers(scenario.cluster, plan.axes), RateSet::kDatasheet, options.fidelity);
  StatusOr<Mesh> placed = Mesh::Place(*fabric, plan.axes);
  if (!placed.ok()) return InField("plan.mesh", placed.status());
  const Mesh mesh = *std::move(placed);
  const ComputeModel compute(WithKernel(scenario.cluster.chip, plan.flash_kernel),
                             RateSet::kDatasheet, options.fidelity);

  TransferTable transfers;
  const BlockContext context{&scenario.model, &plan, &scenario.workload, &compute, &transfers};
  const StatusOr<ModelPlan> lowered = LowerModel(context);
  if (!lowered.ok()) return InField("plan.rules", lowered.status());
  const ModelPlan& model = *lowered;
  const Sharding residual = Apply(plan.rules.residual, {"B", "T", "D"});
  const double residual_bytes =
      context.LocalElements(residual) * SizeOf(plan.precision.activations).value();
  int send = -1;
  if (plan.pipeline >= 0) {
    send =
        transfers.Intern({Collective::kPermute, {plan.pipeline}, Role::kPipeline, residual_bytes});
  }

  const LinkClasses classes(mesh, DistinguishedAxes(plan, mesh, transfers));
  const CollectiveModel collectives(mesh, &classes, options.fidelity);
  const CollectiveModel explicit_links(mesh, nullptr, options.fidelity);
  StepGraph out;
  for (int t = 0; t < transfers.size(); ++t) {
    const TransferSpec& spec = transfers[t];
    out.transfers.push_back({spec, "", 0, AxisNames(plan, spec.axes, spec.experts)});
  }
  StepBuilder builder(
      plan, mesh, classes, collectives, options.unfolded ? &explicit_links : nullptr, transfers,
      TakenByCollectives(scenario, options.fidelity), SlowestChip(scenario, options.fidelity),
      HostRate(scenario.cluster.chip, options.fidelity), &out);
  out.resident.resize(out.units.size());
  const bool calibrated = options.fidelity == Fidelity::kCalibrated;
  const Seconds dispatch(calibrated ? plan.kernels.host_dispatch_ns * 1e-9 : 0);
  StepEmitter emitter(scenario, model, compute, &builder, &out, send, Time::RoundUp(dispatch));
  RETURN_IF_ERROR(emitter.Emit());
  return out;
}

}  // namespace meshstep
