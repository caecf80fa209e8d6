#include "sim/advice/check.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "sim/advice/variants.h"

namespace meshstep {
namespace {

constexpr std::size_t kMostPaired = 3;

// The changes that save most, each with every other change of other fields.
void AddPairs(const ScenarioFile& input, const v1::SimulateReport& base,
              const SimulateOptions& options, std::vector<v1::PlanChange>* changes) {
  std::vector<v1::PlanChange> most = *changes;
  std::ranges::stable_sort(most, {}, &v1::PlanChange::peak_bytes);
  if (most.size() > kMostPaired) most.resize(kMostPaired);
  const auto field = [](const std::string& set) { return set.substr(0, set.find('=')); };
  std::vector<PlanEdit> pairs;
  for (std::size_t first = 0; first < most.size(); ++first) {
    const PlanEdit with(most[first].set().begin(), most[first].set().end());
    for (const v1::PlanChange& second : *changes) {
      const bool paired =
          std::any_of(most.begin(), most.begin() + static_cast<std::ptrdiff_t>(first),
                      [&](const v1::PlanChange& before) { return before.text() == second.text(); });
      const bool same = std::ranges::any_of(second.set(), [&](const std::string& a) {
        return std::ranges::any_of(with,
                                   [&](const std::string& b) { return field(a) == field(b); });
      });
      if (paired || same) continue;
      PlanEdit both = with;
      both.insert(both.end(), second.set().begin(), second.set().end());
      pairs.push_back(std::move(both));
    }
  }
  for (v1::PlanChange& change : SimulateEdits(input, pairs, base, options)) {
    if (change.fits()) changes->push_back(std::move(change));
  }
}

}  // namespace

v1::CheckReport Check(const ScenarioFile& input, const v1::SimulateReport& base,
                      const SimulateOptions& options) {
  v1::CheckReport report;
  report.set_scenario(base.scenario());
  report.set_step_time_s(base.step_time_s());
  *report.mutable_memory() = base.memory();
  report.set_spare_bytes(base.memory().capacity_bytes() - base.memory().peak_bytes());
  *report.mutable_stages() = base.stages();
  if (base.memory().fits()) return report;
  std::vector<v1::PlanChange> changes = SimulateEdits(input, PlanEdits(input), base, options);
  const auto fits = [](const v1::PlanChange& change) { return change.fits(); };
  if (std::ranges::none_of(changes, fits)) AddPairs(input, base, options, &changes);
  std::ranges::stable_partition(changes, fits);
  for (v1::PlanChange& change : changes) *report.add_changes() = std::move(change);
  return report;
}

}  // namespace meshstep
