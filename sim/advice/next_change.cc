#include "sim/advice/next_change.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "sim/advice/variants.h"

namespace meshstep {
namespace {

constexpr double kWorthTelling = 0.01;  // of the step
constexpr std::int64_t kMostTasks = 60'000;

}  // namespace

std::optional<v1::NextChange> BestNextChange(const ScenarioFile& input,
                                             const v1::SimulateReport& base,
                                             const SimulateOptions& options) {
  if (!base.memory().fits() || base.simulation().tasks() > kMostTasks) return std::nullopt;
  std::vector<PlanEdit> edits = PlanEdits(input);
  std::erase_if(edits, ChangesNumbers);
  for (const v1::PlanChange& change : SimulateEdits(input, edits, base, options)) {
    // Quickest first; verdicts count from the best.
    if (change.verdict() > base.memory().verdict()) continue;
    const double saved = -change.step_time_difference_s() / base.step_time_s();
    if (saved < kWorthTelling) return std::nullopt;
    v1::NextChange next;
    *next.mutable_set() = change.set();
    next.set_step_time_s(change.step_time_s());
    next.set_saved_fraction(saved);
    return next;
  }
  return std::nullopt;
}

}  // namespace meshstep
