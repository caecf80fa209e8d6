#include "sim/report/html/html.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "sim/base/format.h"
#include "sim/report/html/html_charts.h"
#include "sim/report/html/html_parts.h"
#include "sim/report/html/html_style.h"
#include "sim/report/html/html_topology.h"
#include "sim/report/html/svg.h"
#include "sim/simulate/breakdown.h"
#include "sim/simulate/names.h"

namespace meshstep {
namespace {

constexpr std::size_t kMaxKernels = 60;

std::string Figures(const v1::SimulateReport& report) {
  const v1::Memory& memory = report.memory();
  const double peak = static_cast<double>(memory.peak_bytes());
  const double capacity = static_cast<double>(memory.capacity_bytes());
  std::string out = "<div class=\"cards\">\n";
  out += Card(FormatSeconds(report.step_time_s()), "step time");
  out += Card(FormatNumber(report.tokens_per_s_per_chip(), 4), "tokens/s per chip");
  out += Card(FormatPercent(report.mfu()), "MFU");
  out += Card(FormatPercent(report.hfu()), "HFU");
  out += Card(FormatBytes(peak),
              absl::StrCat(memory.fits() ? "peak memory, fits in " : "peak memory, exceeds ",
                           FormatBytes(capacity)),
              !memory.fits());
  out += Card(FormatSeconds(report.lower_bound_s()), "no plan is faster than");
  return out + "</div>\n";
}

BarOfParts PartsOf(const std::string& label, const v1::SimulateReport& report) {
  const v1::Breakdown& b = report.breakdown();
  return {label,
          {{"compute", "compute", b.compute_s()},
           {"exposed", "exposed communication", b.communication_exposed_s()},
           {"bubble", "pipeline bubble", b.bubble_s()},
           {"optimizer", "optimizer", b.optimizer_s()},
           {"other", "other", b.other_s()}}};
}

std::string BreakdownKey() {
  return Key({{"compute", "compute"},
              {"exposed", "exposed communication"},
              {"bubble", "pipeline bubble"},
              {"optimizer", "optimizer"},
              {"other", "other"}});
}

std::string BreakdownSection(const v1::SimulateReport& report) {
  const std::vector<BarOfParts> bars = {PartsOf("", report)};
  std::string out = Head("Where the time goes");
  absl::StrAppend(&out, Both([&](double w) { return BreakdownChart(bars, w); }), BreakdownKey());
  std::vector<TableRow> rows = {{"part", "time", "share"}};
  for (const BarPart& part : bars[0].parts) {
    rows.push_back({part.name, FormatSeconds(part.seconds),
                    FormatPercent(part.seconds / report.step_time_s())});
  }
  const v1::BreakdownDetail& detail = report.breakdown_detail();
  for (const auto& [name, seconds] :
       {std::pair{"of compute: forward", detail.forward_s()},
        std::pair{"of compute: recompute", detail.recompute_s()},
        std::pair{"of compute: backward", detail.backward_s()},
        std::pair{"of exposed: activations", detail.exposed_activations_s()},
        std::pair{"of exposed: parameters", detail.exposed_parameters_s()},
        std::pair{"of exposed: gradients", detail.exposed_gradients_s()},
        std::pair{"of exposed: between stages", detail.exposed_pipeline_s()},
        std::pair{"of exposed: host", detail.exposed_host_s()}}) {
    rows.push_back({name, FormatSeconds(seconds), FormatPercent(seconds / report.step_time_s())});
  }
  return out + Folded("As a table", Table(rows));
}

// Of the passes of the step's kernels, up to `last`.
std::vector<std::pair<std::string, std::string>> PassKey(const StepGraph& step, Pass last) {
  std::vector<std::pair<std::string, std::string>> key;
  for (const Pass pass :
       {Pass::kForward, Pass::kRecompute, Pass::kBackward, Pass::kWeightGradients, Pass::kUpdate}) {
    const auto of_pass = [pass](const TaskInfo& task) {
      return task.pass == pass && task.kind != TaskKind::kTransfer;
    };
    if (pass > last || std::ranges::none_of(step.tasks, of_pass)) continue;
    const std::string name(NameOf(pass));
    key.emplace_back(name, pass == Pass::kWeightGradients ? "gradients of weights"
                           : pass == Pass::kUpdate        ? "optimizer"
                                                          : name);
  }
  return key;
}

// The unit of the device that the breakdown is of.
std::int32_t UnitOfBreakdown(const StepGraph& step, const v1::SimulateReport& report) {
  std::int32_t unit = 0;
  for (std::size_t u = 0; u < step.units.size(); ++u) {
    if (step.units[u].device == report.breakdown_detail().device()) {
      unit = static_cast<std::int32_t>(u);
    }
  }
  return unit;
}

std::string TimelineSection(const StepGraph& step, const Run& run,
                            const v1::SimulateReport& report) {
  std::string out = Head("Timeline");
  out += TimelineChart(step, run, UnitOfBreakdown(step, report));
  std::vector<std::pair<std::string, std::string>> key = PassKey(step, Pass::kUpdate);
  key.emplace_back("use", "kernels too short to draw");
  key.emplace_back("communication", "communication");
  const auto is_host = [](const TaskInfo& task) { return task.kind == TaskKind::kHost; };
  if (std::ranges::any_of(step.tasks, is_host)) key.emplace_back("host", "launches by the host");
  key.emplace_back("idle", "idle");
  out += Key(key);
  std::vector<TableRow> rows = {{"stage", "devices", "busy", "of the step", "peak memory"}};
  for (const v1::StageReport& stage : report.stages()) {
    rows.push_back({absl::StrCat(stage.stage()), FormatCount(stage.devices()),
                    FormatSeconds(stage.busy_s()),
                    FormatPercent(stage.busy_s() / report.step_time_s()),
                    FormatBytes(static_cast<double>(stage.memory().peak_bytes()))});
  }
  return out + Folded("Stages as a table", Table(rows));
}

// Of the buckets that `unit` uses.
std::string MemoryKey(const StepGraph& step, std::int32_t unit) {
  constexpr std::array<const char*, kMemoryBuckets> kNames = {
      "parameters",          "gradients", "optimizer state",
      "activations",         "logits",    "gradients on their way into shards",
      "gathered parameters", "workspace", "KV cache"};
  std::vector<std::pair<std::string, std::string>> key;
  for (std::size_t b = 0; b < kNames.size(); ++b) {
    const auto bucket = static_cast<MemoryBucket>(b);
    const auto uses = [unit, bucket](const MemoryEvent& event) {
      return event.unit == unit && event.bucket == bucket && event.bytes > 0;
    };
    if (step.resident[static_cast<std::size_t>(unit)][b] > 0 ||
        std::ranges::any_of(step.memory, uses)) {
      key.emplace_back(NameOf(bucket), kNames[b]);
    }
  }
  return Key(key);
}

std::string MemorySection(const StepGraph& step, const Run& run, const v1::SimulateReport& report) {
  const v1::Memory& memory = report.memory();
  std::int32_t unit = 0;
  while (unit + 1 < static_cast<std::int32_t>(step.units.size()) &&
         step.units[static_cast<std::size_t>(unit)].stage != memory.stage()) {
    ++unit;
  }
  const auto capacity = static_cast<double>(memory.capacity_bytes());
  const bool stages = report.stages_size() > 1;
  std::string out =
      Head(stages ? absl::StrCat("Memory over the step: stage ", memory.stage(), ", the fullest")
                  : "Memory over the step");
  out += Say(absl::StrCat("Peak of ", FormatBytes(static_cast<double>(memory.peak_bytes())), " at ",
                          FormatSeconds(memory.peak_time_s()), ": ", memory.peak_task(), "."));
  out +=
      Both([&](double w) { return MemoryChart(step, run, unit, capacity, memory.peak_task(), w); });
  out += MemoryKey(step, unit);
  const v1::MemoryDetail& detail = memory.memory_detail();
  std::vector<TableRow> rows = {
      {"at the peak", "bytes"},
      {"parameters", FormatBytes(static_cast<double>(memory.parameters_bytes()))},
      {"gradients", FormatBytes(static_cast<double>(memory.gradients_bytes()))},
      {"optimizer state", FormatBytes(static_cast<double>(memory.optimizer_bytes()))},
      {"activations", FormatBytes(static_cast<double>(detail.block_activations_bytes()))},
      {"logits", FormatBytes(static_cast<double>(detail.logits_bytes()))},
      {"gradients on their way into shards",
       FormatBytes(static_cast<double>(detail.communication_bytes()))},
      {"gathered parameters",
       FormatBytes(static_cast<double>(detail.unsharded_parameters_bytes()))},
      {"workspace", FormatBytes(static_cast<double>(detail.kernel_bytes()))},
      {"KV cache", FormatBytes(static_cast<double>(memory.kv_cache_bytes()))},
      {"together", FormatBytes(static_cast<double>(memory.peak_bytes()))},
      {"capacity", FormatBytes(capacity)}};
  if (!report.has_kv_cache_bytes()) {
    std::erase_if(rows, [](const TableRow& row) { return row.front() == "KV cache"; });
  }
  return out + Folded("As a table", Table(rows));
}

std::string RooflineSection(const Scenario& scenario, const StepGraph& step, const Run& run,
                            const v1::SimulateReport& report) {
  const std::int32_t unit = UnitOfBreakdown(step, report);
  const Chip& chip = scenario.cluster.chip;
  const double share = 1.0 / chip.devices_per_chip;
  const FlopsPerSecond peak = chip.datasheet.peak(scenario.plan.precision.compute) * share;
  const BytesPerSecond bandwidth = chip.datasheet.hbm_rate * share;
  const std::vector<KernelSum> kernels = SumKernels(step, run, unit);
  const int stage = report.breakdown_detail().stage();
  std::string out =
      Head(report.stages_size() > 1
               ? absl::StrCat("Roofline: stage ", stage, ", the last to end, as the breakdown")
               : "Roofline");
  out += Say(absl::StrCat(
      "Kernels of one device under the data sheet of ", chip.name,
      "; the area of a dot is its share of the time.",
      stage == report.memory().stage()
          ? ""
          : absl::StrCat(" The memory above is that of stage ", report.memory().stage(), ".")));
  if (peak.value() > 0 && bandwidth.value() > 0) {
    out += Both([&](double w) { return RooflineChart(kernels, peak, bandwidth, w); });
    out += Key(PassKey(step, Pass::kWeightGradients));
  }
  std::vector<TableRow> rows = {
      {"kernel", "pass", "count", "time", "FLOPs/byte", "FLOP/s", "of peak", "HBM/s", "of peak"}};
  for (std::size_t i = 0; i < std::min(kMaxKernels, kernels.size()); ++i) {
    const KernelSum& k = kernels[i];
    const double s = k.seconds > 0 ? k.seconds : 1;
    rows.push_back({k.name, std::string(NameOf(k.pass)), FormatCount(k.count),
                    FormatSeconds(k.seconds), k.bytes > 0 ? FormatNumber(k.flops / k.bytes) : "",
                    FormatFlopRate(k.flops / s), FormatPercent(k.flops / s / peak.value()),
                    FormatTraffic(k.bytes / s) + "/s",
                    FormatPercent(k.bytes / s / bandwidth.value())});
  }
  return out + Folded("Kernels as a table", Table(rows));
}

std::string CommunicationSection(const v1::SimulateReport& report) {
  if (report.communication().empty()) return "";
  std::vector<TableRow> rows = {
      {"moves", "collective", "over", "count", "sent per chip", "busy", "exposed", "algorithm"}};
  for (const v1::CommunicationRow& row : report.communication()) {
    rows.push_back({row.tensor(), row.collective(), row.axis(), FormatCount(row.count()),
                    FormatTraffic(row.bytes_per_chip()), FormatSeconds(row.busy_s()),
                    FormatSeconds(row.exposed_s()), absl::StrJoin(row.algorithms(), ", ")});
  }
  return Head("Communication") + Table(rows);
}

std::string Notes(const v1::SimulateReport& report) {
  if (report.notes().empty()) return "";
  std::string out = Head("Notes") + "<ul>\n";
  for (const std::string& note : report.notes()) {
    absl::StrAppend(&out, "<li>", EscapeHtml(note), "</li>\n");
  }
  return out + "</ul>\n";
}

}  // namespace

std::string StepToHtml(const Scenario& scenario, const StepGraph& step, const Run& run,
                       const v1::SimulateReport& report) {
  return absl::StrCat("<section>\n<h2>", EscapeHtml(report.scenario()), "</h2>\n",
                      Say(absl::StrCat(report.description(), "; ", report.fidelity(), " rates")),
                      Figures(report), BreakdownSection(report), TimelineSection(step, run, report),
                      MemorySection(step, run, report),
                      RooflineSection(scenario, step, run, report), CommunicationSection(report),
                      LinkSection(scenario, step, run), Notes(report), "</section>\n");
}

std::string CompareToHtml(const v1::CompareReport& report) {
  std::string out = "<section>\n<h2>Side by side</h2>\n";
  std::vector<BarOfParts> bars;
  std::vector<TableRow> rows(1);
  rows[0] = {"field"};
  for (const v1::SimulateReport& scenario : report.scenarios()) {
    bars.push_back(PartsOf(scenario.scenario(), scenario));
    rows[0].push_back(scenario.scenario());
  }
  absl::StrAppend(&out, Both([&](double w) { return BreakdownChart(bars, w); }), BreakdownKey());
  for (const v1::Comparison& comparison : report.comparisons()) {
    out += Head(absl::StrCat(comparison.scenario(), ": ", FormatNumber(comparison.speedup()),
                             " times the speed of ", report.scenarios(0).scenario()));
    std::vector<DifferenceBar> differences;
    for (const v1::Reason& reason : comparison.reasons()) {
      // The sentence begins with what it is about.
      const std::string what = reason.text().substr(0, reason.text().find(": "));
      differences.push_back({what, reason.difference_s()});
    }
    out += Both([&](double w) { return DifferenceChart(differences, w); });
    for (const v1::Reason& reason : comparison.reasons()) {
      absl::StrAppend(&out, "<p class=\"say\">", EscapeHtml(reason.text()), "</p>\n");
    }
  }
  for (const v1::FieldDifference& field : report.fields()) {
    TableRow row = {field.field()};
    row.insert(row.end(), field.values().begin(), field.values().end());
    rows.push_back(std::move(row));
  }
  absl::StrAppend(&out, Head("What differs"), Table(rows));
  return out + "</section>\n";
}

std::string SensitivityToHtml(const v1::SensitivityReport& report) {
  std::string out = absl::StrCat("<section>\n<h2>", EscapeHtml(report.scenario()), "</h2>\n",
                                 Say(FormatSeconds(report.step_time_s()) + " a step."));
  std::vector<DifferenceBar> better, plan;
  std::vector<TableRow> rows = {{"rate", "twice as good", "half as good", "saves"}};
  for (const v1::HardwareResponse& r : report.hardware()) {
    better.push_back({r.rate() + " twice as good", r.better_step_time_s() - report.step_time_s()});
    better.push_back({r.rate() + " half as good", r.worse_step_time_s() - report.step_time_s()});
    rows.push_back({r.rate(), FormatSeconds(r.better_step_time_s()),
                    FormatSeconds(r.worse_step_time_s()), FormatPercent(r.saved_fraction())});
  }
  out += Head("Hardware, each rate alone");
  out += Both([&](double w) { return DifferenceChart(better, w); });
  out += Folded("As a table", Table(rows));
  rows = {{"change", "step", "difference", "peak memory", "fits"}};
  for (const v1::PlanChange& c : report.plan()) {
    const std::string set = absl::StrJoin(c.set(), ", ");
    const std::string label = absl::StrReplaceAll(set, {{"plan.", ""}});
    plan.push_back({label + (c.fits() ? "" : " (does not fit)"), c.step_time_difference_s()});
    rows.push_back({set, FormatSeconds(c.step_time_s()),
                    FormatSecondsDifference(c.step_time_difference_s()),
                    FormatBytes(static_cast<double>(c.peak_bytes())), c.fits() ? "yes" : "no"});
  }
  out += Head("Plan, each change alone");
  out += Both([&](double w) { return DifferenceChart(plan, w); });
  return out + Folded("As a table", Table(rows)) + "</section>\n";
}

std::string HtmlPage(const std::string& title, const std::string& body) {
  return absl::StrCat(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n<title>",
      EscapeHtml(title), "</title>\n<style>", std::string(HtmlStyle()), "</style></head>\n<body>\n",
      body, "<p>Made by meshstep.</p>\n<div id=\"tip\" role=\"tooltip\"></div>\n<script>",
      std::string(HtmlScript()), "</script>\n</body></html>\n");
}

}  // namespace meshstep
