#include "sim/report/advice_text.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sim/base/format.h"

namespace meshstep {
namespace {

constexpr std::size_t kMostChanges = 8;

}  // namespace

std::string ToText(const v1::CheckReport& report) {
  const v1::Memory& memory = report.memory();
  const double spare = static_cast<double>(report.spare_bytes());
  const bool tight = memory.verdict() == v1::Memory::TIGHT;
  const std::string verdict =
      !memory.fits() ? absl::StrCat("does not fit, ", FormatBytes(-spare), " too much")
      : tight        ? absl::StrCat("tight, ", FormatBytes(spare), " to spare for a reserve of ",
                                    FormatBytes(static_cast<double>(memory.reserve_bytes())))
                     : absl::StrCat("fits with ", FormatBytes(spare), " to spare");
  std::string text =
      absl::StrCat(report.scenario(), ": valid; ", verdict, " on stage ", memory.stage(), " (peak ",
                   FormatBytes(static_cast<double>(memory.peak_bytes())), " of ",
                   FormatBytes(static_cast<double>(memory.capacity_bytes())), " at ",
                   FormatSeconds(memory.peak_time_s()), ": ", memory.peak_task(), ")\n");
  if (memory.verdict() == v1::Memory::FITS) return text;
  for (const v1::StageReport& stage : report.stages()) {
    const v1::Memory& m = stage.memory();
    if (m.fits() || report.stages_size() == 1) continue;
    absl::StrAppend(&text, "  stage ", stage.stage(), ": ",
                    FormatBytes(static_cast<double>(m.peak_bytes() - m.capacity_bytes())),
                    " too much at ", m.peak_task(), "\n");
  }
  std::vector<std::vector<std::string>> rows = {{"", "step", "against now", "peak memory", ""}};
  for (const v1::PlanChange& change : report.changes()) {
    // Beside a plan that is tight, others that are tell nothing.
    const bool worse = !change.fits() || (tight && change.verdict() != v1::Memory::FITS);
    if (worse || rows.size() > kMostChanges) continue;
    const double time = change.step_time_difference_s() / report.step_time_s();
    rows.push_back({absl::StrJoin(change.set(), " "), FormatSeconds(change.step_time_s()),
                    absl::StrCat(time < 0 ? "-" : "+", FormatPercent(std::abs(time))),
                    FormatBytes(static_cast<double>(change.peak_bytes())),
                    change.verdict() == v1::Memory::TIGHT ? "tight" : ""});
  }
  if (rows.size() > 1) {
    return absl::StrCat(text, "Nearest plans that fit, quickest first:\n",
                        FormatTable(rows, "<>>><", 2));
  }
  absl::StrAppend(&text, "None of the ", report.plans(), " plans around it ",
                  tight ? "has more room." : "fits.");
  if (report.plans_bounded_out() > 0) {
    absl::StrAppend(&text, " What they hold at least is too much in ", report.plans_bounded_out(),
                    " of them.");
  }
  return text + "\n";
}

std::string ToText(const v1::SensitivityReport& report) {
  constexpr int kBar = 24;
  std::string text = absl::StrCat(report.scenario(), ": ", FormatSeconds(report.step_time_s()),
                                  " a step\n\nHardware, each rate alone\n");
  std::vector<std::vector<std::string>> rows = {{"", "twice as good", "half as good", "saves"}};
  for (const v1::HardwareResponse& r : report.hardware()) {
    rows.push_back(
        {r.rate(), r.has_better_step_time_s() ? FormatSeconds(r.better_step_time_s()) : "-",
         FormatSeconds(r.worse_step_time_s()),
         r.has_better_step_time_s() ? FormatPercent(r.saved_fraction()) : "-",
         r.saved_fraction() > 0 ? Bar(std::min(1.0, 2 * r.saved_fraction()), kBar) : r.why()});
  }
  absl::StrAppend(&text, FormatTable(rows, "<>>><", 2), "\nPlan, each change alone\n");
  rows = {{"", "step", "difference", "peak memory"}};
  for (const v1::PlanChange& c : report.plan()) {
    std::string set;
    for (const std::string& s : c.set()) absl::StrAppend(&set, set.empty() ? "" : " ", s);
    rows.push_back(
        {set, FormatSeconds(c.step_time_s()), FormatSecondsDifference(c.step_time_difference_s()),
         FormatBytes(static_cast<double>(c.peak_bytes())), c.fits() ? "" : "does not fit"});
  }
  return text + FormatTable(rows, "<>>><", 2);
}

}  // namespace meshstep
