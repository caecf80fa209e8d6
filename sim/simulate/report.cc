#include "sim/simulate/report.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sim/base/checked.h"
#include "sim/base/counted.h"
#include "sim/base/format.h"
#include "sim/base/index.h"
#include "sim/simulate/breakdown.h"
#include "sim/simulate/memory.h"
#include "sim/simulate/names.h"
#include "strategies/bounds/step_bounds.h"
#include "strategies/model/model_arithmetic.h"

namespace meshstep {
namespace {

// Backward does twice the matmuls of forward.
constexpr double kTraining = 3;

struct StepCounts {
  // Forward and backward of the whole batch, no recomputation.
  Flops model;           // attention as the plan's kernel computes it
  Flops full_attention;  // the full square of scores
  Flops six_nd;
};

// 6ND; 2ND forward only, of what is computed then: no token beyond the next is predicted, and in
// prefill the last position alone has logits.
Flops SixNd(const Scenario& scenario, const ModelArithmetic& arithmetic, double passes) {
  const Workload& workload = scenario.workload;
  if (!workload.forward_only()) return Flops(arithmetic.Model6ND() * passes / kTraining);
  Model served = scenario.model;
  served.mtp_layers = 0;
  const auto queries = static_cast<double>(workload.queries());
  const ModelArithmetic forward(served,
                                {.batch = static_cast<double>(workload.batch),
                                 .queries = queries,
                                 .keys = queries,
                                 .packing = workload.packing.get()},
                                {}, SizeOf(scenario.plan.precision.activations).value());
  Flops flops(forward.Model6ND() * passes / kTraining);
  if (workload.mode == Workload::Mode::kPrefill) {
    flops -= Flops(forward.Forward(Square::kMasked).head * (1 - 1 / queries));
  }
  return flops;
}

StepCounts CountStep(const Scenario& scenario) {
  const Workload& workload = scenario.workload;
  const auto sequence = static_cast<double>(workload.sequence);
  const auto queries = static_cast<double>(workload.queries());
  const bool unfused = scenario.plan.unfused_attention;
  const ModelArithmetic arithmetic(scenario.model,
                                   {.batch = static_cast<double>(workload.batch),
                                    .queries = queries,
                                    .keys = sequence,
                                    .packing = workload.packing.get()},
                                   {.unfused_attention = unfused, .dropout = scenario.plan.dropout},
                                   SizeOf(scenario.plan.precision.activations).value());
  const double passes = workload.forward_only() ? 1 : kTraining;
  const auto flops = [&](Square square) {
    const FlopCounts forward = arithmetic.Forward(square);
    double total = forward.total();
    // Only the last position has logits, and no token beyond the next is predicted.
    if (workload.forward_only()) total -= forward.prediction;
    if (workload.mode == Workload::Mode::kPrefill) total -= forward.head * (1 - 1 / queries);
    return Flops(passes * total);
  };
  StepCounts counts;
  counts.full_attention = flops(Square::kFull);
  counts.model = unfused ? counts.full_attention : flops(Square::kMasked);
  counts.six_nd = SixNd(scenario, arithmetic, passes);
  return counts;
}

std::string Describe(const Scenario& scenario) {
  const Cluster& cluster = scenario.cluster;
  std::string text =
      absl::StrCat(scenario.model.name, " on ", FormatCount(cluster.chips), " ", cluster.chip.name);
  if (cluster.is_torus()) absl::StrAppend(&text, " (", absl::StrJoin(cluster.slice, "x"), ")");
  std::vector<std::string> axes;
  for (const auto& [name, size] : Degrees(scenario.plan)) {
    if (size > 1) axes.push_back(absl::StrCat(name, " ", size));
  }
  if (!axes.empty()) absl::StrAppend(&text, ": ", absl::StrJoin(axes, ", "));
  const Workload& workload = scenario.workload;
  const bool decode = workload.mode == Workload::Mode::kDecode;
  absl::StrAppend(
      &text, "; ", decode ? "one token each of " : "",
      Counted(workload.batch, workload.mode == Workload::Mode::kPrefill ? "prompt" : "sequence"),
      " of ", Counted(workload.sequence, decode ? "cached token" : "token"));
  if (scenario.plan.micro_batches > 1) {
    absl::StrAppend(&text, " in ", FormatCount(scenario.plan.micro_batches), " micro-batches");
  }
  return text;
}

// "backward of layer 3, micro-batch 0: mlp_in dx".
std::string DescribeTask(const StepGraph& step, TaskId task) {
  if (task < 0) return "";
  const TaskInfo& info = step.tasks[Index(task)];
  const std::string name = info.name == nullptr ? "" : *info.name;
  if (info.pass == Pass::kUpdate) return absl::StrCat("update: ", name);
  std::string where;
  if (info.layer != LayerRef()) {
    const LayerRef::Kind kind = info.layer.kind;
    const bool one = kind == LayerRef::Kind::kEmbedding || kind == LayerRef::Kind::kHead;
    where = absl::StrCat(one ? " of the " : " of ", NameOf(info.layer));
  }
  return absl::StrCat(std::string(NameOf(info.pass)), where, ", micro-batch ", info.micro_batch,
                      ": ", name);
}

void AddThroughput(const Scenario& scenario, const StepGraph& step, const StepCounts& counts,
                   v1::SimulateReport* report) {
  const double tokens = static_cast<double>(scenario.workload.batch) *
                        static_cast<double>(scenario.workload.queries());
  const double chips = static_cast<double>(report->chips());
  const double seconds = report->step_time_s();
  report->set_tokens_per_s(tokens / seconds);
  report->set_tokens_per_s_per_chip(tokens / seconds / chips);
  v1::FlopCounts* flops = report->mutable_flops();
  flops->set_model(counts.model.value());
  flops->set_model_full_attention(counts.full_attention.value());
  flops->set_model_6nd(counts.six_nd.value());
  flops->set_hardware(step.hardware_flops.value());
  const Dtype type = scenario.plan.precision.compute;
  const double peak = scenario.cluster.chip.datasheet.peak(type).value();
  report->set_compute_type(std::string(NameOf(type)));
  report->set_peak_flops_per_s(peak);
  const double whole = seconds * chips * peak;
  report->set_mfu(flops->model() / whole);
  report->set_mfu_full_attention(flops->model_full_attention() / whole);
  report->set_mfu_6nd(flops->model_6nd() / whole);
  report->set_hfu(flops->hardware() / whole);
}

void AddLowerBound(const Scenario& scenario, v1::SimulateReport* report) {
  // What holds in the fastest format of any layer holds.
  const Rates& rates = scenario.cluster.chip.datasheet;
  Precision precision = scenario.plan.precision;
  for (const LayerRange& range : scenario.plan.layer_ranges) {
    if (rates.peak(range.precision.compute) > rates.peak(precision.compute)) {
      precision = range.precision;
    }
  }
  const StepBounds bounds =
      StepBoundsOf(scenario.model, scenario.workload, precision, scenario.cluster);
  v1::LowerBound* detail = report->mutable_lower_bound_detail();
  detail->set_compute_s(bounds.compute.value());
  detail->set_hbm_s(bounds.hbm.value());
  detail->set_cut_s(bounds.cut().value());
  for (const StepBounds::Cut& cut : bounds.cuts) {
    v1::LowerBound::Cut* out = detail->add_network_cuts();
    out->set_part(cut.cut.part);
    out->set_parts(cut.cut.parts);
    out->set_seconds(cut.time.value());
  }
  report->set_lower_bound_s(bounds.value().value());
}

void AddCommunication(const Scenario& scenario, const StepGraph& step,
                      const StepBreakdown& breakdown, v1::SimulateReport* report) {
  struct Row {
    TransferTime time;
    double bytes = 0;
    std::set<std::string> algorithms;
  };
  std::map<std::tuple<std::string, std::string, std::string>, Row> rows;
  std::map<Role, Time> exposed;
  for (std::size_t i = 0; i < step.transfers.size(); ++i) {
    const TransferTime& time = breakdown.transfers[i];
    const StepTransfer& transfer = step.transfers[i];
    exposed[transfer.spec.role] += time.exposed;
    if (time.count == 0) continue;
    const Role role = transfer.spec.role;
    const bool host = role == Role::kToHost || role == Role::kFromHost;
    Row& row = rows[{host ? "host" : absl::StrJoin(transfer.axes, "+"), std::string(NameOf(role)),
                     host ? "copy" : std::string(NameOf(transfer.spec.collective))}];
    row.time.count += time.count;
    row.time.busy += time.busy;
    row.time.exposed += time.exposed;
    row.bytes += static_cast<double>(time.sent) * transfer.sent_bytes_per_device *
                 scenario.cluster.chip.devices_per_chip;
    if (!transfer.algorithm.empty()) row.algorithms.insert(transfer.algorithm);
  }
  for (const auto& [key, row] : rows) {
    v1::CommunicationRow* out = report->add_communication();
    out->set_axis(std::get<0>(key));
    out->set_tensor(std::get<1>(key));
    out->set_collective(std::get<2>(key));
    out->set_count(row.time.count);
    out->set_bytes_per_chip(row.bytes);
    out->set_busy_s(row.time.busy.seconds());
    out->set_exposed_s(row.time.exposed.seconds());
    for (const std::string& name : row.algorithms) out->add_algorithms(name);
  }
  v1::BreakdownDetail* detail = report->mutable_breakdown_detail();
  detail->set_exposed_activations_s(exposed[Role::kActivations].seconds());
  detail->set_exposed_parameters_s(exposed[Role::kParameters].seconds());
  detail->set_exposed_gradients_s(exposed[Role::kGradients].seconds());
  detail->set_exposed_pipeline_s(exposed[Role::kPipeline].seconds());
  detail->set_exposed_host_s((exposed[Role::kToHost] + exposed[Role::kFromHost]).seconds());
}

void AddBreakdown(const StepGraph& step, const StepBreakdown& parts, v1::SimulateReport* report) {
  v1::Breakdown* out = report->mutable_breakdown();
  out->set_compute_s(parts.compute.seconds());
  out->set_communication_exposed_s(parts.exposed.seconds());
  out->set_bubble_s(parts.bubble.seconds());
  out->set_optimizer_s(parts.optimizer.seconds());
  out->set_other_s(parts.other.seconds());
  v1::BreakdownDetail* detail = report->mutable_breakdown_detail();
  detail->set_forward_s(parts.forward.seconds());
  detail->set_recompute_s(parts.recompute.seconds());
  detail->set_backward_s(parts.backward.seconds());
  detail->set_launches_s(parts.launches.seconds());
  detail->set_communication_busy_s(parts.in_flight.seconds());
  detail->set_stage(step.units[Index(parts.unit)].stage);
  detail->set_device(step.units[Index(parts.unit)].device);
  for (const KernelTime& kernel : parts.kernels) {
    v1::ComputeRow* row = detail->add_compute();
    row->set_op(kernel.name);
    row->set_pass(std::string(NameOf(kernel.pass)));
    row->set_count(kernel.count);
    row->set_busy_s(kernel.busy.seconds());
    if (kernel.flops.value() > 0) row->set_flops(kernel.flops.value());
  }
}

void SetVerdict(const Scenario& scenario, v1::Memory* memory) {
  memory->set_reserve_bytes(ReserveBytes(scenario.plan.memory_reserve, memory->peak_bytes()));
  memory->set_capacity_bytes(
      static_cast<std::int64_t>(scenario.cluster.chip.device_memory().value()));
  memory->set_fits(memory->peak_bytes() <= memory->capacity_bytes());
  const bool roomy = memory->peak_bytes() <= memory->capacity_bytes() - memory->reserve_bytes();
  memory->set_verdict(!memory->fits() ? v1::Memory::DOES_NOT_FIT
                      : roomy         ? v1::Memory::FITS
                                      : v1::Memory::TIGHT);
}

v1::Memory MemoryOf(const Scenario& scenario, const StepGraph& step, const MemoryPeak& peak) {
  const MemoryBuckets& bytes = peak.point.bytes;
  const auto at = [&](MemoryBucket bucket) { return bytes[static_cast<std::size_t>(bucket)]; };
  v1::Memory memory;
  memory.set_parameters_bytes(at(MemoryBucket::kParameters));
  memory.set_gradients_bytes(at(MemoryBucket::kGradients));
  memory.set_optimizer_bytes(at(MemoryBucket::kOptimizer));
  memory.set_activations_bytes(at(MemoryBucket::kActivations) + at(MemoryBucket::kLogits));
  memory.set_workspace_bytes(at(MemoryBucket::kCommunication) + at(MemoryBucket::kUnsharded) +
                             at(MemoryBucket::kWorkspace));
  v1::MemoryDetail* detail = memory.mutable_memory_detail();
  detail->set_block_activations_bytes(at(MemoryBucket::kActivations));
  detail->set_logits_bytes(at(MemoryBucket::kLogits));
  detail->set_communication_bytes(at(MemoryBucket::kCommunication));
  detail->set_unsharded_parameters_bytes(at(MemoryBucket::kUnsharded));
  detail->set_kernel_bytes(at(MemoryBucket::kWorkspace));
  memory.set_kv_cache_bytes(at(MemoryBucket::kKvCache));
  memory.set_peak_bytes(peak.point.total());
  SetVerdict(scenario, &memory);
  memory.set_peak_time_s(peak.point.time.seconds());
  memory.set_peak_task(DescribeTask(step, peak.task));
  memory.set_stage(step.units[Index(peak.unit)].stage);
  return memory;
}

void AddMemory(const Scenario& scenario, const StepGraph& step, const Run& run,
               const StepBreakdown& breakdown, v1::SimulateReport* report) {
  struct Stage {
    const MemoryPeak* peak = nullptr;
    std::int64_t devices = 0;
    Time busy;
  };
  const std::vector<MemoryPeak> peaks = MemoryPeaks(step, run);
  std::map<int, Stage> stages;
  const MemoryPeak* highest = &peaks.front();
  for (const MemoryPeak& peak : peaks) {
    const UnitInfo& unit = step.units[Index(peak.unit)];
    Stage& stage = stages[unit.stage];
    stage.devices += unit.devices;
    if (stage.peak == nullptr || peak.point.total() > stage.peak->point.total()) {
      stage.peak = &peak;
      stage.busy = breakdown.busy[Index(peak.unit)];
    }
    if (peak.point.total() > highest->point.total()) highest = &peak;
  }
  *report->mutable_memory() = MemoryOf(scenario, step, *highest);
  for (const auto& [index, stage] : stages) {
    v1::StageReport* out = report->add_stages();
    out->set_stage(index);
    out->set_devices(stage.devices);
    out->set_busy_s(stage.busy.seconds());
    *out->mutable_memory() = MemoryOf(scenario, step, *stage.peak);
  }
}

void AddInference(const Scenario& scenario, const StepGraph& step, v1::SimulateReport* report) {
  if (!scenario.workload.forward_only()) return;
  double bytes = 0;
  for (std::size_t u = 0; u < step.units.size(); ++u) {
    bytes += static_cast<double>(step.units[u].devices) *
             step.resident[u][static_cast<std::size_t>(MemoryBucket::kKvCache)];
  }
  report->set_kv_cache_bytes(SaturatingRound(bytes));
  if (scenario.workload.mode == Workload::Mode::kDecode) {
    report->set_time_per_token_s(report->step_time_s());
  } else {
    report->set_time_to_first_token_s(report->step_time_s());
  }
}

v1::Chip::Confidence ConfidenceOf(const Cluster& cluster) {
  switch (cluster.confidence) {
    case Confidence::kMeasured:
      return v1::Chip::MEASURED;
    case Confidence::kDataSheet:
      return v1::Chip::DATA_SHEET;
    case Confidence::kAnnounced:
      break;
  }
  return v1::Chip::ANNOUNCED;
}

}  // namespace

v1::SimulateReport MakeReport(const Scenario& scenario, const StepGraph& step, const Run& run,
                              Fidelity fidelity) {
  v1::SimulateReport report;
  report.set_scenario(scenario.name);
  report.set_chips(scenario.cluster.chips);
  report.set_fidelity(fidelity == Fidelity::kIdeal ? "ideal" : "calibrated");
  report.set_description(Describe(scenario));
  report.set_framework(scenario.plan.framework);
  report.set_confidence(ConfidenceOf(scenario.cluster));
  report.set_step_time_s(run.makespan.seconds());
  const StepCounts counts = CountStep(scenario);
  AddThroughput(scenario, step, counts, &report);
  AddLowerBound(scenario, &report);
  const StepBreakdown breakdown = BreakDown(step, run);
  AddBreakdown(step, breakdown, &report);
  AddCommunication(scenario, step, breakdown, &report);
  AddMemory(scenario, step, run, breakdown, &report);
  AddInference(scenario, step, &report);
  v1::Simulation* simulation = report.mutable_simulation();
  simulation->set_device_classes(static_cast<std::int64_t>(step.units.size()));
  simulation->set_tasks(step.graph.tasks());
  simulation->set_events(run.events);
  simulation->set_flows(run.flows);
  for (const std::string& note : scenario.notes) report.add_notes(note);
  return report;
}

}  // namespace meshstep
