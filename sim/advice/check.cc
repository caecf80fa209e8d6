#include "sim/advice/check.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "sim/advice/fitting_plans.h"
#include "sim/advice/variants.h"
#include "sim/base/set_field.h"
#include "strategies/bounds/plan/plan_bounds.h"
#include "strategies/plan/load_scenario.h"
#include "strategies/step/placement.h"

namespace meshstep {
namespace {

// Enough plans that fit, and tasks that may be simulated to find them: a few seconds.
constexpr int kEnough = 8;
constexpr std::int64_t kMostTasks = 4'000'000;
// Loading and bounding a plan takes some milliseconds.
constexpr std::int64_t kMostPlans = 400;
// Simulated together, on all threads.
constexpr std::size_t kTogether = 16;

// Single changes, then combinations of more and more knobs, until enough fit.
class Search {
 public:
  Search(const ScenarioFile& input, const v1::SimulateReport& base, const SimulateOptions& options,
         v1::CheckReport* report)
      : input_(input),
        base_(base),
        options_(options),
        catalog_(options.catalog != nullptr ? *options.catalog : own_),
        report_(report) {
    options_.placements = &placements_;
  }

  void Run() {
    const std::int64_t each = std::max<std::int64_t>(1, base_.simulation().tasks());
    left_ = std::max<std::int64_t>(kTogether, kMostTasks / each);
    std::vector<PlanEdit> single = PlanEdits(input_);
    // Other numbers are the last resort.
    std::stable_partition(single.begin(), single.end(),
                          [](const PlanEdit& e) { return !ChangesNumbers(e); });
    Simulate(single);
    const std::vector<PlanCandidate> plans = FittingPlans(input_);
    for (std::size_t i = 0; i < plans.size() && !Enough(plans[i].knobs);) {
      std::vector<PlanEdit> edits;
      const int knobs = plans[i].knobs;
      for (; i < plans.size() && plans[i].knobs == knobs && edits.size() < kTogether; ++i) {
        edits.push_back(plans[i].edit);
      }
      Simulate(Bounded(std::move(edits)));
      knobs_ = knobs;
    }
  }

 private:
  // Plans further away are not looked at once some fit.
  bool Enough(int knobs) const {
    return left_ <= 0 || report_->plans() >= kMostPlans || fitting_ >= kEnough ||
           (fitting_ > 0 && knobs > std::max(2, knobs_));
  }

  // What it holds at least is no more than a device has. Plans that are not valid stay in.
  bool MayFit(const PlanEdit& edit) const {
    v1::Scenario changed = input_.proto;
    for (const std::string& set : edit) {
      if (!SetField(set, &changed).ok()) return true;
    }
    Diagnostics diagnostics;
    const Scenario scenario = LoadScenario(changed, catalog_, &diagnostics);
    if (!diagnostics.ok()) return true;
    const StatusOr<PlanBounds> bounds = QuickBounds(scenario, options_.fidelity);
    const double memory = scenario.cluster.chip.device_memory().value();
    return !bounds.ok() || static_cast<double>(bounds->memory.peak_bytes) <= memory;
  }

  // Those that may fit.
  std::vector<PlanEdit> Bounded(std::vector<PlanEdit> edits) {
    const auto out = std::erase_if(edits, [&](const PlanEdit& edit) { return !MayFit(edit); });
    report_->set_plans_bounded_out(report_->plans_bounded_out() + static_cast<std::int64_t>(out));
    report_->set_plans(report_->plans() + static_cast<std::int64_t>(out));
    return edits;
  }

  void Simulate(std::vector<PlanEdit> edits) {
    if (static_cast<std::int64_t>(edits.size()) > left_) {
      edits.resize(static_cast<std::size_t>(left_));
    }
    report_->set_plans(report_->plans() + static_cast<std::int64_t>(edits.size()));
    left_ -= static_cast<std::int64_t>(edits.size());
    for (v1::PlanChange& change : SimulateEdits(input_, edits, base_, options_)) {
      const bool known = std::ranges::any_of(report_->changes(), [&](const v1::PlanChange& c) {
        return c.step_time_s() == change.step_time_s() && c.peak_bytes() == change.peak_bytes();
      });
      if (known) continue;
      fitting_ += change.fits() ? 1 : 0;
      *report_->add_changes() = std::move(change);
    }
  }

  const ScenarioFile& input_;
  const v1::SimulateReport& base_;
  PlacementPool placements_;
  SimulateOptions options_;
  const Catalog own_;
  const Catalog& catalog_;
  v1::CheckReport* report_;
  std::int64_t left_ = 0;  // simulations that may still be made
  int fitting_ = 0, knobs_ = 0;
};

}  // namespace

v1::CheckReport Check(const ScenarioFile& input, const v1::SimulateReport& base,
                      const SimulateOptions& options) {
  v1::CheckReport report;
  report.set_scenario(base.scenario());
  report.set_step_time_s(base.step_time_s());
  *report.mutable_memory() = base.memory();
  report.set_spare_bytes(base.memory().capacity_bytes() - base.memory().peak_bytes());
  *report.mutable_stages() = base.stages();
  if (base.memory().verdict() == v1::Memory::FITS) return report;
  Search(input, base, options, &report).Run();
  std::stable_sort(report.mutable_changes()->begin(), report.mutable_changes()->end(),
                   [](const v1::PlanChange& x, const v1::PlanChange& y) {
                     if (x.fits() != y.fits()) return x.fits();
                     return x.step_time_s() < y.step_time_s();
                   });
  return report;
}

}  // namespace meshstep
