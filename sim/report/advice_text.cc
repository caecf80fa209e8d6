#include "sim/report/advice_text.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sim/base/format.h"

namespace meshstep {
namespace {

constexpr int kMostChanges = 8;

}  // namespace

std::string ToText(const v1::CheckReport& report) {
  const v1::Memory& memory = report.memory();
  const std::string by = FormatBytes(std::abs(static_cast<double>(report.spare_bytes())));
  std::string text = absl::StrCat(
      report.scenario(), ": valid; ",
      memory.fits() ? "fits with " + by + " to spare" : "does not fit, " + by + " too much",
      " on stage ", memory.stage(), " (peak ",
      FormatBytes(static_cast<double>(memory.peak_bytes())), " of ",
      FormatBytes(static_cast<double>(memory.capacity_bytes())), " at ",
      FormatSeconds(memory.peak_time_s()), ": ", memory.peak_task(), ")\n");
  if (memory.fits()) return text;
  for (const v1::StageReport& stage : report.stages()) {
    const v1::Memory& m = stage.memory();
    if (m.fits() || report.stages_size() == 1) continue;
    absl::StrAppend(&text, "  stage ", stage.stage(), ": ",
                    FormatBytes(static_cast<double>(m.peak_bytes() - m.capacity_bytes())),
                    " too much at ", m.peak_task(), "\n");
  }
  int shown = 0;
  for (const v1::PlanChange& change : report.changes()) {
    if (!change.fits() || shown++ >= kMostChanges) continue;
    absl::StrAppend(&text, shown == 1 ? "Changes that fit, quickest first:\n" : "", "  ",
                    change.text(), "\n");
  }
  if (shown == 0) text += "No change of the plan, and no two of them, fits.\n";
  return text;
}

std::string ToText(const v1::SensitivityReport& report) {
  constexpr int kBar = 24;
  std::string text = absl::StrCat(report.scenario(), ": ", FormatSeconds(report.step_time_s()),
                                  " a step\n\nHardware, each rate alone\n");
  std::vector<std::vector<std::string>> rows = {{"", "twice as good", "half as good", "saves"}};
  for (const v1::HardwareResponse& r : report.hardware()) {
    rows.push_back(
        {r.rate(), FormatSeconds(r.better_step_time_s()), FormatSeconds(r.worse_step_time_s()),
         FormatPercent(r.saved_fraction()),
         r.saved_fraction() > 0 ? Bar(std::min(1.0, 2 * r.saved_fraction()), kBar) : ""});
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
