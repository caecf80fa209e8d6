// Pages of comparisons and of sensitivities.

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "sim/base/format.h"
#include "sim/report/compare_table.h"
#include "sim/report/html/html.h"
#include "sim/report/html/html_charts.h"
#include "sim/report/html/html_parts.h"
#include "sim/report/html/svg.h"

namespace meshstep {
namespace {

constexpr double kSmall = 0.005;  // of the baseline: reasons below are folded

// One sentence each, its difference beside it and as a bar below it.
std::string ReasonList(const std::vector<const v1::Reason*>& reasons, bool per_token) {
  if (reasons.empty()) return "";
  double faster = 0, slower = 0;
  const auto difference = [per_token](const v1::Reason& r) {
    return per_token ? r.difference_per_token_s() : r.difference_s();
  };
  for (const v1::Reason* r : reasons) {
    faster = std::max(faster, -difference(*r));
    slower = std::max(slower, difference(*r));
  }
  const double all = faster + slower, scale = all > 0 ? 1000 / all : 0, zero = faster * scale;
  std::string out = "<div class=\"reasons\">\n";
  for (const v1::Reason* r : reasons) {
    const double d = difference(*r), w = std::max(1.0, std::abs(d) * scale);
    Svg bar(1000, 10, FormatSecondsDifference(d), /*stretched=*/true);
    bar.Rect(0, 4, 1000, 1, "idle");
    bar.Rect(d < 0 ? zero - w : zero, 0, w, 9, d < 0 ? "faster" : "slower");
    absl::StrAppend(&out, "<span>", EscapeHtml(r->text()), "</span><b>",
                    EscapeHtml(FormatSecondsDifference(d)), "</b>", bar.Take());
  }
  return out + "</div>\n";
}

std::string ComparisonSection(const v1::Comparison& c, const v1::SimulateReport& base) {
  const bool per_token = !c.same_tokens();
  std::string out =
      Head(per_token ? absl::StrCat(c.scenario(), ": ", FormatNumber(c.throughput_ratio()),
                                    " times the tokens/s of ", base.scenario())
                     : absl::StrCat(c.scenario(), ": ", FormatNumber(c.speedup()),
                                    " times the speed of ", base.scenario()));
  out += Say(per_token ? "The steps do different work: below, chip-time of one token."
                       : "Seconds of the step, reason by reason; they add up.");
  const double step = base.step_time_s();
  const double whole = per_token ? static_cast<double>(base.chips()) / base.tokens_per_s() : step;
  std::vector<const v1::Reason*> large, small;
  for (const v1::Reason& r : c.reasons()) {
    const double d = per_token ? r.difference_per_token_s() : r.difference_s();
    (std::abs(d) < kSmall * whole ? small : large).push_back(&r);
  }
  out += ReasonList(large, per_token);
  if (!small.empty()) {
    out += Folded(absl::StrCat(small.size(), " of less than 0.5 % each"),
                  ReasonList(small, per_token));
  }
  return out;
}

}  // namespace

std::string CompareToHtml(const v1::CompareReport& report) {
  std::string out = "<section>\n<h2>Side by side</h2>\n";
  out += Table(CompareTable(report));
  std::vector<BarOfParts> bars;
  TableRow head = {"field"};
  for (const v1::SimulateReport& scenario : report.scenarios()) {
    bars.push_back(PartsOf(scenario.scenario(), scenario.breakdown()));
    head.push_back(scenario.scenario());
  }
  absl::StrAppend(&out, Both([&](double w) { return BreakdownChart(bars, w); }), BreakdownKey());
  std::vector<TableRow> rows = {head};
  for (const v1::FieldDifference& field : report.fields()) {
    TableRow row = {field.field()};
    row.insert(row.end(), field.values().begin(), field.values().end());
    rows.push_back(std::move(row));
  }
  absl::StrAppend(&out, Head("What differs"), Table(rows));
  for (const v1::Comparison& comparison : report.comparisons()) {
    out += ComparisonSection(comparison, report.scenarios(report.baseline()));
  }
  return out + "</section>\n";
}

std::string SensitivityToHtml(const v1::SensitivityReport& report) {
  std::string out = absl::StrCat("<section>\n<h2>", EscapeHtml(report.scenario()), "</h2>\n",
                                 Say(FormatSeconds(report.step_time_s()) + " a step."));
  std::vector<DifferenceBar> better, plan;
  std::vector<TableRow> rows = {{"rate", "twice as good", "half as good", "saves"}};
  for (const v1::HardwareResponse& r : report.hardware()) {
    const bool known = r.has_better_step_time_s();
    if (known) {
      better.push_back(
          {r.rate() + " twice as good", r.better_step_time_s() - report.step_time_s()});
    }
    better.push_back({r.rate() + " half as good", r.worse_step_time_s() - report.step_time_s()});
    rows.push_back({r.rate(), known ? FormatSeconds(r.better_step_time_s()) : "-",
                    FormatSeconds(r.worse_step_time_s()),
                    known ? FormatPercent(r.saved_fraction()) : "-"});
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

}  // namespace meshstep
