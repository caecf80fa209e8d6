#include "sim/report/text.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sim/base/format.h"
#include "sim/report/compare_table.h"
#include "strategies/block/lowered_block.h"

namespace meshstep {
namespace {

constexpr int kWidth = 96, kBarWidth = 30, kIndent = 2;
// The longest kernels are shown; the rest are one row.
constexpr int kKernels = 6;
// A difference smaller than this share of the step is not worth a line.
constexpr double kSmall = 0.005;

using Rows = std::vector<std::vector<std::string>>;

std::string Bold(const std::string& text, const TextStyle& style) {
  return style.color ? absl::StrCat("\033[1m", text, "\033[0m") : text;
}

std::string Colored(const std::string& text, bool good, const TextStyle& style) {
  return style.color ? absl::StrCat(good ? "\033[32m" : "\033[31m", text, "\033[0m") : text;
}

std::string Heading(const std::string& text, const TextStyle& style) {
  return absl::StrCat("\n", Bold(text, style), "\n");
}

// Joined by dots, in lines of at most kWidth that break between parts.
std::string JoinParts(const std::vector<std::string>& parts) {
  std::string out, line;
  for (const std::string& part : parts) {
    if (!line.empty() && static_cast<int>(line.size() + part.size()) + 4 > kWidth) {
      absl::StrAppend(&out, line, "\n");
      line.clear();
    }
    absl::StrAppend(&line, line.empty() ? "" : " · ", part);
  }
  return out + line;
}

// The answer: does it fit, how long, how good, on what software, what is lost, what to do next.
std::string FirstLines(const v1::SimulateReport& r, const TextStyle& style) {
  std::vector<std::string> parts = {
      absl::StrCat(Bold(r.scenario(), style), ": ",
                   Colored(Verdict(r.memory()), r.memory().fits(), style)),
      absl::StrCat(FormatSeconds(r.step_time_s()), " a step"),
      absl::StrCat(FormatNumber(r.tokens_per_s_per_chip(), 4), " tokens/s per chip"),
      absl::StrCat("MFU ", FormatPercent(r.mfu()), " of ", FormatFlopRate(r.peak_flops_per_s()),
                   " ", r.compute_type()),
      Software(r.framework()),
      LargestLoss(r)};
  if (r.has_next()) {
    parts.push_back(absl::StrCat("next: ", absl::StrJoin(r.next().set(), " "), " saves ",
                                 FormatPercent(r.next().saved_fraction()), " and fits"));
  } else if (!r.memory().fits()) {
    parts.push_back("next: meshstep check searches for plans that fit");
  }
  return absl::StrCat(JoinParts(parts), "\n", WrapText(r.description(), kWidth, 0), "\n");
}

// One line for each cause, with what it costs.
std::string WhyLines(const v1::SimulateReport& r, const TextStyle& style) {
  if (r.why().empty()) return "";
  std::string out = Heading("Why, each cause by itself", style);
  for (const v1::Cause& cause : r.why()) {
    absl::StrAppend(&out, "  ",
                    WrapText(absl::StrCat(FormatSeconds(cause.seconds()), " (",
                                          FormatPercent(cause.seconds() / r.step_time_s()),
                                          "): ", cause.text()),
                             kWidth - kIndent, 4),
                    "\n");
  }
  return out;
}

// What the bound is the largest of.
std::string BoundOf(const v1::LowerBound& b) {
  if (b.compute_s() >= b.hbm_s() && b.compute_s() >= b.cut_s()) return "FLOPs at the peak";
  return b.hbm_s() >= b.cut_s() ? "bytes of HBM" : "bytes across the network";
}

// A line where the hardware's numbers are not measured ones, else nothing.
std::string Trust(v1::Chip::Confidence confidence) {
  if (confidence == v1::Chip::DATA_SHEET) {
    return "hardware: DATA_SHEET, the vendor's rates; what they leave out is estimated\n";
  }
  if (confidence == v1::Chip::ANNOUNCED) {
    return "hardware: ANNOUNCED, figures from before it could be bought\n";
  }
  return "";
}

std::string Summary(const v1::SimulateReport& r) {
  std::vector<std::string> other = {
      absl::StrCat("full attention ", FormatPercent(r.mfu_full_attention())),
      absl::StrCat(r.has_kv_cache_bytes() ? "2ND " : "6ND ", FormatPercent(r.mfu_6nd())),
      absl::StrCat("hardware (HFU) ", FormatPercent(r.hfu()))};
  const double chip_flops = r.flops().model() / r.step_time_s() /
                            static_cast<double>(std::max<std::int64_t>(1, r.chips()));
  Rows rows = {{"step time", FormatSeconds(r.step_time_s()),
                absl::StrCat(r.fidelity(), "; physical bound ", FormatSeconds(r.lower_bound_s()),
                             ", ", BoundOf(r.lower_bound_detail()))},
               {"throughput", FormatNumber(r.tokens_per_s_per_chip(), 4), "tokens/s per chip"},
               {"", FormatNumber(r.tokens_per_s(), 4), "tokens/s"},
               {"MFU", FormatPercent(r.mfu()), absl::StrJoin(other, ", ")},
               {"", FormatFlopRate(chip_flops), "per chip"}};
  if (r.has_step_time_low_s()) {
    rows.insert(rows.begin() + 1, {"", "",
                                   absl::StrCat("of measured steps like it, 80 % took ",
                                                FormatSeconds(r.step_time_low_s()), " to ",
                                                FormatSeconds(r.step_time_high_s()))});
  }
  if (r.has_kv_cache_bytes()) {
    rows.push_back({"KV cache", FormatBytes(static_cast<double>(r.kv_cache_bytes())),
                    "of all sequences on all chips"});
  }
  return FormatTable(rows, "<><", kIndent);
}

std::string BreakdownTable(const v1::SimulateReport& r, const TextStyle& style) {
  const v1::Breakdown& b = r.breakdown();
  const v1::BreakdownDetail& d = r.breakdown_detail();
  Rows rows;
  const auto add = [&](const std::string& name, double seconds, bool part) {
    if (seconds == 0 && name != "compute") return;
    const double share = seconds / r.step_time_s();
    rows.push_back({absl::StrCat(part ? "  " : "", name), FormatSeconds(seconds),
                    FormatPercent(share), part ? "" : Bar(share, kBarWidth)});
  };
  add("compute", b.compute_s(), false);
  add("forward", d.forward_s(), true);
  add("recompute", d.recompute_s(), true);
  add("backward", d.backward_s(), true);
  add("communication exposed", b.communication_exposed_s(), false);
  add("activations", d.exposed_activations_s(), true);
  add("parameters", d.exposed_parameters_s(), true);
  add("gradients", d.exposed_gradients_s(), true);
  add("between stages", d.exposed_pipeline_s(), true);
  add("host", d.exposed_host_s(), true);
  add("pipeline bubble", b.bubble_s(), false);
  add("optimizer", b.optimizer_s(), false);
  add("other", b.other_s(), false);
  add("launches", d.launches_s(), true);
  const std::string where =
      r.stages_size() > 1 ? absl::StrCat(" (stage ", d.stage(), ", the last to end)") : "";
  return Heading(absl::StrCat("Where the time goes", where), style) +
         FormatTable(rows, "<>><", kIndent);
}

std::string CommunicationTable(const v1::SimulateReport& r, const TextStyle& style) {
  if (r.communication_size() == 0) return "";
  Rows rows = {{"over", "collective", "of", "count", "sent/chip", "busy", "exposed", "algorithm"}};
  for (const v1::CommunicationRow& row : r.communication()) {
    // The axis says that stages are meant.
    const bool between_stages = row.tensor() == NameOf(Role::kPipeline);
    rows.push_back({row.axis(), row.collective(),
                    between_stages ? std::string(NameOf(Role::kActivations)) : row.tensor(),
                    FormatCount(row.count()), FormatTraffic(row.bytes_per_chip()),
                    FormatSeconds(row.busy_s()), FormatSeconds(row.exposed_s()),
                    row.algorithms().empty() ? "" : row.algorithms(0),
                    row.algorithms_size() > 1 ? "and others" : ""});
  }
  return Heading("Communication", style) + FormatTable(rows, "<<<>>>><<", kIndent);
}

std::string KernelsTable(const v1::SimulateReport& r, const TextStyle& style) {
  const auto& kernels = r.breakdown_detail().compute();
  if (kernels.empty()) return "";
  Rows rows;
  double rest = 0;
  std::int64_t rest_count = 0;
  for (int i = 0; i < kernels.size(); ++i) {
    if (i >= kKernels) {
      rest += kernels[i].busy_s();
      rest_count += kernels[i].count();
      continue;
    }
    rows.push_back({kernels[i].op(), kernels[i].pass(), FormatCount(kernels[i].count()),
                    FormatSeconds(kernels[i].busy_s()),
                    FormatPercent(kernels[i].busy_s() / r.step_time_s())});
  }
  if (rest_count > 0) {
    rows.push_back({"all others", "", FormatCount(rest_count), FormatSeconds(rest),
                    FormatPercent(rest / r.step_time_s())});
  }
  return Heading("Longest kernels", style) + FormatTable(rows, "<<>>>", kIndent);
}

// "1.0 GiB of activations are logits; 2.0 GiB of workspace are gathered parameters"; "" if neither.
std::string MemoryParts(const v1::MemoryDetail& detail) {
  std::vector<std::string> parts;
  const auto add = [&](std::int64_t bytes, const char* what) {
    if (bytes == 0) return;
    parts.push_back(absl::StrCat(FormatBytes(static_cast<double>(bytes)), " of ", what));
  };
  add(detail.logits_bytes(), "activations are logits");
  add(detail.unsharded_parameters_bytes(), "workspace are gathered parameters");
  add(detail.communication_bytes(), "workspace are gradients on their way into shards");
  return absl::StrJoin(parts, "; ");
}

std::string MemoryTable(const v1::SimulateReport& r, const TextStyle& style) {
  const v1::Memory& m = r.memory();
  const auto capacity = static_cast<double>(m.capacity_bytes());
  Rows rows;
  const auto add = [&](const char* name, std::int64_t bytes) {
    const auto size = static_cast<double>(bytes);
    rows.push_back(
        {name, FormatBytes(size), FormatPercent(size / capacity), Bar(size / capacity, kBarWidth)});
  };
  add("parameters", m.parameters_bytes());
  if (r.has_kv_cache_bytes()) {
    add("KV cache", m.kv_cache_bytes());
  } else {
    add("gradients", m.gradients_bytes());
    add("optimizer", m.optimizer_bytes());
  }
  add("activations", m.activations_bytes());
  add("workspace", m.workspace_bytes());
  add("peak", m.peak_bytes());
  if (m.reserve_bytes() > 0) add("reserve", m.reserve_bytes());
  std::string out =
      absl::StrCat("\n", Bold("Memory of one device", style), "  ",
                   Colored(Verdict(m), m.fits(), style), "\n", FormatTable(rows, "<>><", kIndent));
  if (!m.peak_task().empty()) {
    absl::StrAppend(&out, "  highest at ", FormatSeconds(m.peak_time_s()), " (", m.peak_task(),
                    ")\n");
  }
  if (const std::string parts = MemoryParts(m.memory_detail()); !parts.empty()) {
    absl::StrAppend(&out, "  ", WrapText(parts, kWidth - kIndent, kIndent), "\n");
  }
  return out;
}

std::string TooMuch(const v1::Memory& m) {
  const double over = static_cast<double>(m.peak_bytes() - m.capacity_bytes());
  return FormatBytes(over) + " too much";
}

std::string StageTable(const v1::SimulateReport& r, const TextStyle& style) {
  if (r.stages_size() < 2) return "";
  Rows rows = {{"stage", "devices", "compute", "exposed", "bubble", "other", "peak memory"}};
  const auto share = [&](double seconds) { return FormatPercent(seconds / r.step_time_s()); };
  for (const v1::StageReport& stage : r.stages()) {
    const v1::Breakdown& b = stage.breakdown();
    const std::string verdict = stage.memory().fits() ? "" : TooMuch(stage.memory());
    rows.push_back({absl::StrCat(stage.stage()), FormatCount(stage.devices()), share(b.compute_s()),
                    share(b.communication_exposed_s()), share(b.bubble_s()),
                    share(b.optimizer_s() + b.other_s()),
                    FormatBytes(static_cast<double>(stage.memory().peak_bytes())),
                    absl::StrCat(verdict, stage.critical() ? "  critical" : "")});
  }
  return Heading("Stages, their busiest device; the others wait for the critical one", style) +
         FormatTable(rows, ">>>>>>><", kIndent);
}

std::string Notes(const v1::SimulateReport& r, const TextStyle& style) {
  std::string out;
  for (const std::string& note : r.notes()) {
    absl::StrAppend(&out, "  ", WrapText(absl::StrCat("- ", note), kWidth - kIndent, 4), "\n");
  }
  return out.empty() ? "" : Heading("Notes", style) + out;
}

std::string HeadlineOf(const v1::CompareReport& report) {
  const Rows rows = CompareTable(report);
  return FormatTable(rows, "<" + std::string(rows[0].size() - 1, '>'), kIndent);
}

// Reasons in seconds of the step, or where steps do other work in chip-time of a token.
std::string Reasons(const v1::Comparison& c, const v1::SimulateReport& base) {
  const double chips_per_token =
      static_cast<double>(base.chips()) / (base.tokens_per_s() * base.step_time_s());
  const double whole = c.same_tokens() ? base.step_time_s() : base.step_time_s() * chips_per_token;
  std::string out;
  double small = 0;
  for (const v1::Reason& reason : c.reasons()) {
    const double difference =
        c.same_tokens() ? reason.difference_s() : reason.difference_per_token_s();
    if (std::abs(difference) < kSmall * whole) {
      small += difference;
      continue;
    }
    const std::string text = c.same_tokens()
                                 ? reason.text()
                                 : absl::StrCat(FormatSecondsDifference(difference),
                                                " of a chip for each token: ", reason.text());
    absl::StrAppend(&out, "  ", WrapText(text, kWidth - kIndent, 4), "\n");
  }
  if (std::abs(small) >= kSmall * whole) {
    absl::StrAppend(&out, "  all smaller differences: ", FormatSecondsDifference(small), "\n");
  }
  return out;
}

// "b is 1.20x faster than a, 1.20x the tokens/s per chip"; where steps do other work, "b makes
// 1.20x the tokens/s of a (1.10x per chip); its step has other work, ...".
std::string ComparisonTitle(const v1::Comparison& c, const v1::SimulateReport& base) {
  // A ratio that prints as 1.00 is no difference.
  const auto than = [](double ratio, const char* more, const char* less, const char* same) {
    if (std::abs(ratio - 1) < 0.005) return std::string(same);
    return absl::StrCat(FormatNumber(ratio >= 1 ? ratio : 1 / ratio), "x ",
                        ratio >= 1 ? more : less, " than");
  };
  if (c.same_tokens()) {
    return absl::StrCat(c.scenario(), " is ", than(c.speedup(), "faster", "slower", "as fast as"),
                        " ", base.scenario(), ", ", FormatNumber(c.throughput_per_chip_ratio()),
                        "x the tokens/s per chip");
  }
  return absl::StrCat(c.scenario(), " makes ", FormatNumber(c.throughput_ratio()),
                      "x the tokens/s of ", base.scenario(), ", ",
                      FormatNumber(c.throughput_per_chip_ratio()),
                      "x per chip; their steps process different numbers of tokens");
}

}  // namespace

std::string Software(const std::string& framework) {
  return absl::StrCat("software ", framework.empty()
                                       ? "an ideal compiler (plan.framework names another)"
                                       : framework);
}

std::string LargestLoss(const v1::SimulateReport& r) {
  const v1::Breakdown& b = r.breakdown();
  const std::pair<const char*, double> losses[] = {
      {"recomputation", r.breakdown_detail().recompute_s()},
      {"exposed communication", b.communication_exposed_s()},
      {"pipeline bubble", b.bubble_s()},
      {"optimizer", b.optimizer_s()},
      {"waiting for the host and others", b.other_s()}};
  const auto largest = std::ranges::max_element(losses, {}, [](const auto& l) { return l.second; });
  if (largest->second <= 0) return "nothing lost beside kernels";
  return absl::StrCat("most lost to ", largest->first, ", ",
                      FormatPercent(largest->second / r.step_time_s()));
}

std::string Verdict(const v1::Memory& m) {
  if (!m.fits()) return absl::StrCat("does not fit: ", TooMuch(m), " on stage ", m.stage());
  const bool tight = m.verdict() == v1::Memory::TIGHT;
  std::string peak = FormatBytes(static_cast<double>(m.peak_bytes()));
  const std::string capacity = FormatBytes(static_cast<double>(m.capacity_bytes()));
  // "61.2 of 95.0 GiB": one unit is enough where both have the same.
  const std::string unit = capacity.substr(capacity.find(' '));
  if (peak.ends_with(unit)) peak.resize(peak.size() - unit.size());
  if (!tight) return absl::StrCat("fits: ", peak, " of ", capacity);
  return absl::StrCat("tight: ", peak, " of ", capacity, ", beside a reserve of ",
                      FormatBytes(static_cast<double>(m.reserve_bytes())));
}

std::string BoundsToText(const v1::SimulateReport& report) {
  const v1::LowerBound& b = report.lower_bound_detail();
  return absl::StrCat(
      "\nPhysical bound: no plan on this cluster takes less, whatever the software\n",
      FormatTable({{"FLOPs", FormatSeconds(b.compute_s()), "model FLOPs at the data sheet's peak"},
                   {"HBM", FormatSeconds(b.hbm_s()), "bytes that must be read and written once"},
                   {"network", FormatSeconds(b.cut_s()), "bytes that must cross a cut"}},
                  "<><", kIndent));
}

std::string ToText(const v1::SimulateReport& r, const TextStyle& style) {
  return absl::StrCat(FirstLines(r, style), Trust(r.confidence()), "\n", Summary(r),
                      BreakdownTable(r, style), WhyLines(r, style), CommunicationTable(r, style),
                      KernelsTable(r, style), MemoryTable(r, style), StageTable(r, style),
                      Notes(r, style), "\nSimulated ", FormatCount(r.simulation().device_classes()),
                      r.simulation().device_classes() == 1 ? " class" : " classes", " of devices, ",
                      FormatCount(r.simulation().tasks()), " tasks, ",
                      FormatCount(r.simulation().events()), " events.\n");
}

std::string ToText(const v1::CompareReport& report, const TextStyle& style) {
  std::string out;
  for (const v1::SimulateReport& r : report.scenarios()) {
    absl::StrAppend(&out, Bold(r.scenario(), style), "\n  ",
                    WrapText(r.description(), kWidth - kIndent, kIndent), "\n");
  }
  absl::StrAppend(&out, "\n", HeadlineOf(report));
  if (report.fields_size() > 0) {
    Rows rows;
    for (const v1::FieldDifference& field : report.fields()) {
      rows.push_back({field.field()});
      for (const std::string& value : field.values()) {
        rows.back().push_back(value.empty() ? "-" : value);
      }
    }
    absl::StrAppend(
        &out, Heading("What differs", style),
        FormatTable(rows, "<" + std::string(static_cast<std::size_t>(report.scenarios_size()), '>'),
                    kIndent));
  }
  const v1::SimulateReport& base = report.scenarios(report.baseline());
  for (const v1::Comparison& c : report.comparisons()) {
    absl::StrAppend(&out, Heading(ComparisonTitle(c, base), style), Reasons(c, base));
  }
  return out;
}

std::string ToText(const v1::ListReport& report, const TextStyle& style) {
  int name_width = 0;
  for (const v1::ListEntry& e : report.entries()) {
    name_width = std::max(name_width, DisplayWidth(e.name()));
  }
  const int indent = name_width + 2;
  std::string out;
  for (const v1::ListEntry& e : report.entries()) {
    const std::string fill(static_cast<std::size_t>(indent - DisplayWidth(e.name())), ' ');
    // Wrapped in a narrower column, then moved right.
    std::string text = WrapText(e.description(), kWidth - indent, 0);
    for (std::size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 1)) {
      text.insert(at + 1, static_cast<std::size_t>(indent), ' ');
    }
    absl::StrAppend(&out, Bold(e.name(), style), text.empty() ? "" : fill, text, "\n");
  }
  return out;
}

}  // namespace meshstep
