#include "sim/advice/search/search_output.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sim/base/counted.h"
#include "sim/base/format.h"
#include "sim/report/html/html_parts.h"
#include "sim/report/html/svg.h"

namespace meshstep {
namespace {

using Rows = std::vector<std::vector<std::string>>;

constexpr int kMostReasons = 5;
constexpr char kBoundOf[] =
    "bound: of the step, what a plan was known to take before it was simulated";

double Bytes(const v1::FoundPlan& plan) { return static_cast<double>(plan.memory().peak_bytes()); }

// "tensor=8 fsdp=64 micro_batch=2": degrees and micro-batch as they are, the rest where the plan says
// something else than the scenario; what is 1, false or none is left out.
std::string ShortPlan(const v1::FoundPlan& found) {
  const v1::Plan& plan = found.scenario().plan();
  const std::pair<const char*, int> counts[] = {{"tensor", plan.tensor()},
                                                {"context", plan.context()},
                                                {"pipeline", plan.pipeline()},
                                                {"fsdp", plan.fsdp()},
                                                {"data", plan.data()},
                                                {"expert", plan.expert()},
                                                {"expert_tensor", plan.expert_tensor()},
                                                {"micro_batch", plan.micro_batch_sequences()}};
  std::vector<std::string> parts;
  for (const auto& [name, value] : counts) {
    if (value > 1) parts.push_back(absl::StrCat(name, "=", value));
  }
  for (const std::string& set : found.set()) {
    const std::size_t equals = set.find('=');
    const std::string value = set.substr(equals + 1);
    const std::string name = set.substr(set.find('.') + 1, equals - set.find('.') - 1);
    if (name == "chips") continue;  // has a column
    const bool counted = name == "micro_batch_sequences" ||
                         std::ranges::any_of(counts, [&](auto& c) { return name == c.first; });
    const bool counts_from_0 = name == "zero_stage" || name == "recompute_layers";
    const bool of_pipeline = name == "schedule" || name == "virtual_stages";
    if (counted || (of_pipeline && plan.pipeline() <= 1) || value.empty() || value == "false" ||
        value == "0")
      continue;
    if (value == "1" && !counts_from_0) continue;
    if (name == "order" && value == "tensor,context,fsdp,data,pipeline") continue;
    parts.push_back(absl::StrCat(name, "=", value));
  }
  return absl::StrJoin(parts, " ");
}

// How many settings a plan has beyond the plainest.
std::size_t Settings(const v1::FoundPlan& plan) {
  const std::string text = ShortPlan(plan);
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '='));
}

// Whether the best are of several clusters.
bool HasClusters(const v1::SearchReport& report) {
  return std::ranges::any_of(report.best(), [](const v1::FoundPlan& plan) {
    return std::ranges::any_of(plan.set(),
                               [](const std::string& set) { return set.starts_with("cluster."); });
  });
}

Rows BestRows(const v1::SearchReport& report) {
  Rows rows = {{"", "step", "tokens/s/chip", "MFU", "memory", "bound", "binds", "plan"}};
  const bool clusters = HasClusters(report);
  if (clusters) rows[0].insert(rows[0].begin() + 1, "chips");
  for (int i = 0; i < report.best_size(); ++i) {
    const v1::FoundPlan& plan = report.best(i);
    const bool front = std::count(report.front().begin(), report.front().end(), i) > 0;
    rows.push_back({absl::StrCat(i + 1, plan.tie() && i > 0 ? "~" : "", front ? "*" : ""),
                    FormatSeconds(plan.step_time_s()),
                    FormatNumber(plan.tokens_per_s_per_chip(), 4), FormatPercent(plan.mfu()),
                    FormatBytes(Bytes(plan)), FormatPercent(plan.bound_s() / plan.step_time_s()),
                    plan.binds(), ShortPlan(plan)});
    if (clusters) rows.back().insert(rows.back().begin() + 1, FormatCount(plan.chips()));
  }
  return rows;
}

template <class Map>
std::map<std::string, std::int64_t> Sorted(const Map& counts) {
  return {counts.begin(), counts.end()};
}

Rows CountRows(const v1::SearchReport& report) {
  Rows rows;
  const auto add = [&](const std::string& what, std::int64_t plans) {
    rows.push_back({what, FormatCount(plans),
                    FormatPercent(static_cast<double>(plans) /
                                  static_cast<double>(std::max<std::int64_t>(1, report.space())))});
  };
  for (const auto& [why, plans] : Sorted(report.counts().invalid())) add(why, plans);
  add("does not fit", report.counts().does_not_fit());
  for (const auto& [bound, plans] : Sorted(report.counts().pruned())) {
    add(bound == "kernels"       ? "pruned by kernels and collectives in a node"
        : bound == "collectives" ? "pruned by all collectives"
                                 : bound,
        plans);
  }
  add("simulated", report.counts().simulated());
  return rows;
}

std::string Summary(const v1::SearchReport& report) {
  std::string text = absl::StrCat(report.scenario(), ": ", Counted(report.space(), "plan"),
                                  ", space ", report.digest(), "; ");
  if (report.best_size() == 0) {
    return absl::StrCat(text, report.proven() ? "none of them is valid and fits"
                                              : "stopped before one was found that fits");
  }
  const v1::FoundPlan& winner = report.best(0);
  absl::StrAppend(&text, "the best takes ", FormatSeconds(winner.step_time_s()), ", ",
                  FormatNumber(winner.tokens_per_s_per_chip(), 4), " tokens/s per chip");
  if (report.has_baseline()) {
    absl::StrAppend(&text,
                    " (the scenario as it is: ", FormatSeconds(report.baseline().step_time_s()),
                    report.baseline().memory().fits() ? ")" : ", and does not fit)");
  }
  if (winner.has_cost()) absl::StrAppend(&text, ", ", FormatNumber(winner.cost()), " a step");
  return text;
}

std::string Proof(const v1::SearchReport& report) {
  if (report.proven()) return "Proven: no other plan of the space is better.";
  if (!report.has_rest_bound_s()) {
    return "Stopped before all plans had a bound: none of these is proven.";
  }
  std::int64_t proven = 0;
  for (const v1::FoundPlan& plan : report.best()) {
    proven += plan.step_time_s() <= report.rest_bound_s() ? 1 : 0;
  }
  return absl::StrCat("Stopped: no plan that is left takes less than ",
                      FormatSeconds(report.rest_bound_s()), "; the first ", proven,
                      " of these are proven.");
}

// Plans that cannot be told from the winner, and what sets them apart.
std::string Ties(const v1::SearchReport& report) {
  int ties = 0, least = 0, plainest = 0;
  for (int i = 0; i < report.best_size(); ++i) {
    if (!report.best(i).tie()) continue;
    ++ties;
    if (Bytes(report.best(i)) < Bytes(report.best(least))) least = i;
    if (Settings(report.best(i)) < Settings(report.best(plainest))) plainest = i;
  }
  if (ties < 2) return "";
  return absl::StrCat("Within the interval of the best one's prediction (marked ~): the first ",
                      ties, ". Of these, ", least + 1, " takes least memory (",
                      FormatBytes(Bytes(report.best(least))), ") and ", plainest + 1,
                      " has the fewest settings.");
}

// The plan and the memory of the second against those of the first, where their steps are one.
std::string Apart(const v1::SearchReport& report) {
  const auto settings = [](const v1::FoundPlan& plan) {
    return std::set<std::string>(plan.set().begin(), plan.set().end());
  };
  const auto only = [](const std::set<std::string>& a, const std::set<std::string>& b) {
    std::vector<std::string> parts;
    std::ranges::set_difference(a, b, std::back_inserter(parts));
    return parts.empty() ? "nothing more" : absl::StrJoin(parts, " ");
  };
  if (report.best_size() < 2) return "nothing differs";
  const v1::FoundPlan &first = report.best(0), &second = report.best(1);
  return absl::StrCat("it says ", only(settings(first), settings(second)), " where that says ",
                      only(settings(second), settings(first)), ", and takes ",
                      FormatBytes(Bytes(first)), " where that takes ", FormatBytes(Bytes(second)));
}

std::vector<std::string> Whys(const v1::SearchReport& report) {
  std::vector<std::string> lines;
  for (const v1::Comparison& why : report.why()) {
    const bool same = std::abs(why.speedup() - 1) < 0.005;  // prints as 1.00
    lines.push_back(why.reasons().empty() ? absl::StrCat("Its step is that of ", why.scenario())
                    : same ? absl::StrCat("What differs from ", why.scenario(), ", about as fast")
                           : absl::StrCat("Why it is ", FormatNumber(why.speedup()),
                                          "x as fast as ", why.scenario()));
    for (int i = 0; i < std::min(kMostReasons, why.reasons_size()); ++i) {
      lines.push_back(absl::StrCat("  ", why.reasons(i).text()));
    }
    if (why.reasons().empty()) lines.push_back("  " + Apart(report));
  }
  return lines;
}

// Memory across, throughput up; the line is the memory of a device.
std::string Picture(const v1::SearchReport& report, double width) {
  constexpr double kLeft = 52, kBottom = 34, kTop = 30, kHeight = 300, kRight = 14;
  double bytes = 0, low = 1e300, high = 0;
  for (const v1::FoundPlan& plan : report.best()) {
    bytes = std::max({bytes, Bytes(plan), static_cast<double>(plan.memory().capacity_bytes())});
    low = std::min(low, plan.tokens_per_s_per_chip());
    high = std::max(high, plan.tokens_per_s_per_chip());
  }
  const double margin = std::max(high - low, 0.01 * high) * 0.08;
  low -= margin;
  high += margin;
  Svg svg(width, kHeight, "Memory and throughput of the best plans");
  const double right = width - kRight, bottom = kHeight - kBottom;
  const auto x = [&](double value) { return kLeft + (right - kLeft) * value / (1.05 * bytes); };
  const auto y = [&](double value) {
    return bottom - (bottom - kTop) * (value - low) / (high - low);
  };
  svg.Line(kLeft, bottom, right, bottom, "axis");
  svg.Line(kLeft, kTop, kLeft, bottom, "axis");
  constexpr double kGiB = 1 << 30;
  for (const double tick : Ticks(bytes / kGiB)) {
    svg.Text(x(tick * kGiB), bottom + 15, FormatNumber(tick), "middle");
  }
  svg.Text(right, kHeight - 4, "peak memory of a device, GiB", "end");
  svg.Text(kLeft - 48, kTop + 2, "tokens/s per chip", "start", "m");
  for (const double value : {low + margin, high - margin}) {
    svg.Line(kLeft, y(value), right, y(value), "grid");
    svg.Text(kLeft - 4, y(value) + 4, FormatNumber(value), "end");
  }
  const double capacity = static_cast<double>(report.best(0).memory().capacity_bytes());
  svg.Line(x(capacity), kTop, x(capacity), bottom, "limit");
  svg.Text(x(capacity) + 4, kTop - 6, "capacity", "end", "s");
  for (int i = report.best_size(); i-- > 0;) {
    const v1::FoundPlan& plan = report.best(i);
    const bool front = std::count(report.front().begin(), report.front().end(), i) > 0;
    svg.Circle(x(Bytes(plan)), y(plan.tokens_per_s_per_chip()),
               i == 0  ? 7
               : front ? 6
                       : 4,
               front ? "compute dot" : "other dot",
               absl::StrCat(i + 1, ": ", FormatNumber(plan.tokens_per_s_per_chip(), 4),
                            " tokens/s/chip, ", FormatBytes(Bytes(plan)), ", ", ShortPlan(plan)));
  }
  return svg.Take();
}

}  // namespace

std::string SearchToText(const v1::SearchReport& report) {
  std::string text = absl::StrCat(Summary(report), "\n\n");
  if (report.best_size() > 0) {
    absl::StrAppend(
        &text, FormatTable(BestRows(report), HasClusters(report) ? "<>>>>>><<" : "<>>>>><<", 2),
        "\n", Proof(report), "\n");
    if (const std::string ties = Ties(report); !ties.empty()) {
      absl::StrAppend(&text, WrapText(ties, 98, 0), "\n");
    }
    absl::StrAppend(&text, "* no other has as much throughput, as little memory and as few chips\n",
                    kBoundOf, "\n");
    for (const std::string& line : Whys(report)) {
      const bool reason = line.starts_with(" ");
      absl::StrAppend(&text, reason ? "  " : "\n", reason ? WrapText(line.substr(2), 96, 4) : line,
                      "\n");
    }
  }
  return absl::StrCat(text, "\nWhat became of the plans\n",
                      FormatTable(CountRows(report), "<>>", 2));
}

std::string SearchToHtml(const v1::SearchReport& report) {
  std::string html = absl::StrCat("<section>\n<h2>Best plans of ", EscapeHtml(report.scenario()),
                                  "</h2>\n", Say(Summary(report)));
  if (report.best_size() > 0) {
    html += Say(Proof(report));
    if (const std::string ties = Ties(report); !ties.empty()) html += Say(ties);
    html += Head("Memory and throughput");
    html +=
        Key({{"compute", "on the front: no other is better in all of throughput, memory, chips"},
             {"other", "the other best plans"}});
    html += Both([&](double width) { return Picture(report, width); });
    html += Head("The best plans") + (HasClusters(report) ? Table(BestRows(report), {0, 7, 8})
                                                          : Table(BestRows(report), {0, 6, 7}));
    html += Say(kBoundOf);
    for (const std::string& line : Whys(report)) html += line[0] == ' ' ? Say(line) : Head(line);
  }
  Rows counts = CountRows(report);
  counts.insert(counts.begin(), {"What became of the plans", "plans", "share"});
  return absl::StrCat(html, Head("The space"), Say(absl::StrJoin(report.dimensions(), ", ")),
                      Table(counts), "</section>\n");
}

std::string SearchToCsv(const v1::SearchReport& report, const Cells& base) {
  std::vector<Cells> rows;
  for (const v1::FoundPlan& plan : report.best()) {
    Cells cells = {{"name", plan.scenario().name()}};
    cells.insert(cells.end(), base.begin(), base.end());
    for (const std::string& set : plan.set()) {
      std::pair<std::string, std::string> cell = CellOf(set);
      std::erase_if(cells, [&](const auto& there) { return there.first == cell.first; });
      cells.push_back(std::move(cell));
    }
    v1::SimulateReport of_plan;
    of_plan.set_chips(plan.chips());
    of_plan.set_step_time_s(plan.step_time_s());
    of_plan.set_tokens_per_s_per_chip(plan.tokens_per_s_per_chip());
    of_plan.set_mfu(plan.mfu());
    *of_plan.mutable_memory() = plan.memory();
    AppendResult(of_plan, &cells);
    cells.emplace_back("bound_s", CellOf(plan.bound_s()));
    cells.emplace_back("binds", plan.binds());
    if (plan.has_cost()) cells.emplace_back("cost", CellOf(plan.cost()));
    rows.push_back(std::move(cells));
  }
  return WriteScenarioTable(rows);
}

}  // namespace meshstep
