#include "sim/report/html/html.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sim/base/format.h"
#include "sim/report/html/html_charts.h"
#include "sim/report/html/html_parts.h"
#include "sim/report/html/html_style.h"
#include "sim/report/html/html_topology.h"
#include "sim/report/html/svg.h"
#include "sim/report/text.h"
#include "sim/simulate/breakdown.h"
#include "sim/simulate/names.h"

namespace meshstep {
namespace {

constexpr std::size_t kMaxKernels = 60;

std::string MemoryVerdict(const v1::Memory& memory) {
  const std::string capacity = FormatBytes(static_cast<double>(memory.capacity_bytes()));
  const std::string reserve = FormatBytes(static_cast<double>(memory.reserve_bytes()));
  if (!memory.fits()) return absl::StrCat("peak memory, does not fit in ", capacity);
  if (memory.verdict() == v1::Memory::TIGHT) {
    return absl::StrCat("peak memory, tight: with ", reserve, " of reserve above ", capacity);
  }
  return absl::StrCat(
      "peak memory, fits in ", capacity,
      memory.reserve_bytes() > 0 ? absl::StrCat(" with ", reserve, " of reserve") : "");
}

std::string Figures(const v1::SimulateReport& report) {
  const v1::Memory& memory = report.memory();
  const auto peak = static_cast<double>(memory.peak_bytes());
  std::string out = "<div class=\"cards\">\n";
  out += Card(FormatSeconds(report.step_time_s()), "step time");
  out += Card(FormatNumber(report.tokens_per_s_per_chip(), 4), "tokens/s per chip");
  out += Card(FormatPercent(report.mfu()),
              absl::StrCat("MFU, of ", FormatFlopRate(report.peak_flops_per_s()), " ",
                           report.compute_type()));
  out += Card(FormatPercent(report.hfu()), "HFU");
  out += Card(FormatBytes(peak), MemoryVerdict(memory), memory.verdict() != v1::Memory::FITS);
  out += Card(FormatSeconds(report.lower_bound_s()), "physical bound of any plan");
  out += "</div>\n";
  if (report.has_next()) {
    out += Say(absl::StrCat("Next: ", absl::StrJoin(report.next().set(), " "), " saves ",
                            FormatPercent(report.next().saved_fraction()), " and fits."));
  }
  return out;
}

// What costs over 1 % of the step, each cause by itself.
std::string Why(const v1::SimulateReport& report) {
  if (report.why().empty()) return "";
  std::string out = Head("Why, each cause by itself") + "<ul>\n";
  for (const v1::Cause& cause : report.why()) {
    absl::StrAppend(&out, "<li><b>", EscapeHtml(FormatSeconds(cause.seconds())), "</b>, ",
                    EscapeHtml(FormatPercent(cause.seconds() / report.step_time_s())), ": ",
                    EscapeHtml(cause.text()), "</li>\n");
  }
  return out + "</ul>\n";
}

std::string BreakdownSection(const v1::SimulateReport& report) {
  const std::vector<BarOfParts> bars = {PartsOf("", report.breakdown())};
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
  return out + Folded("As a table", Table(rows)) + Why(report);
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
  return out;
}

// What each stage does, the one that the others wait for by name.
std::string StageSection(const v1::SimulateReport& report) {
  if (report.stages_size() < 2) return "";
  std::string out = Head("Stages");
  std::vector<TableRow> rows = {
      {"stage", "devices", "compute", "exposed", "bubble", "other", "peak memory"}};
  std::vector<BarOfParts> bars;
  const auto share = [&](double seconds) { return FormatPercent(seconds / report.step_time_s()); };
  for (const v1::StageReport& stage : report.stages()) {
    const v1::Breakdown& b = stage.breakdown();
    if (stage.critical()) {
      out += Say(absl::StrCat("Stage ", stage.stage(), " is critical: the others wait for it."));
    }
    bars.push_back(PartsOf(absl::StrCat("stage ", stage.stage()), b));
    rows.push_back({absl::StrCat(stage.stage()), FormatCount(stage.devices()), share(b.compute_s()),
                    share(b.communication_exposed_s()), share(b.bubble_s()),
                    share(b.optimizer_s() + b.other_s()),
                    FormatBytes(static_cast<double>(stage.memory().peak_bytes()))});
  }
  out += Say("Of each its busiest device.");
  absl::StrAppend(&out, Both([&](double w) { return StagesChart(bars, w); }), BreakdownKey());
  return out + Folded("As a table", Table(rows));
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
  const auto reserve = static_cast<double>(memory.reserve_bytes());
  const bool stages = report.stages_size() > 1;
  std::string out =
      Head(stages ? absl::StrCat("Memory over the step: stage ", memory.stage(), ", the fullest")
                  : "Memory over the step");
  out += Say(absl::StrCat("Peak of ", FormatBytes(static_cast<double>(memory.peak_bytes())), " at ",
                          FormatSeconds(memory.peak_time_s()), ": ", memory.peak_task(), "."));
  out += Both([&](double w) {
    return MemoryChart(step, run, unit, {capacity, reserve}, memory.peak_task(), w);
  });
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
      {"reserve", FormatBytes(reserve)},
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
                      Say(absl::StrCat(Software(report.framework()), "; ", LargestLoss(report))),
                      Figures(report), BreakdownSection(report), TimelineSection(step, run, report),
                      StageSection(report), MemorySection(step, run, report),
                      RooflineSection(scenario, step, run, report), CommunicationSection(report),
                      LinkSection(scenario, step, run), Notes(report), "</section>\n");
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
