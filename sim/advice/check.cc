#include "sim/advice/check.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "sim/advice/fitting_plans.h"
#include "sim/advice/variants.h"

namespace meshstep {
namespace {

// Enough plans that fit, and tasks that may be simulated to find them: a few seconds.
constexpr int kEnough = 8;
constexpr std::int64_t kMostTasks = 4'000'000;
// Simulated together, on all threads.
constexpr std::size_t kTogether = 16;

// Single changes, then combinations of more and more knobs, until enough fit.
class Search {
 public:
  Search(const ScenarioFile& input, const v1::SimulateReport& base, const SimulateOptions& options,
         v1::CheckReport* report)
      : input_(input), base_(base), options_(options), report_(report) {}

  void Run() {
    const std::int64_t each = std::max<std::int64_t>(1, base_.simulation().tasks());
    left_ = std::max<std::int64_t>(kTogether, kMostTasks / each);
    std::vector<PlanEdit> single = PlanEdits(input_);
    // Other numbers are the last resort.
    std::ranges::stable_partition(single, [](const PlanEdit& e) { return !ChangesNumbers(e); });
    Simulate(single);
    int bounded_out = 0;
    const std::vector<PlanCandidate> plans = FittingPlans(input_, &bounded_out);
    for (std::size_t i = 0; i < plans.size() && !Enough(plans[i].knobs);) {
      std::vector<PlanEdit> edits;
      const int knobs = plans[i].knobs;
      for (; i < plans.size() && plans[i].knobs == knobs && edits.size() < kTogether; ++i) {
        edits.push_back(plans[i].edit);
      }
      Simulate(edits);
      knobs_ = knobs;
    }
    report_->set_plans(static_cast<std::int64_t>(plans.size() + single.size()) + bounded_out);
    report_->set_plans_bounded_out(bounded_out);
  }

 private:
  // Plans further away are not looked at once some fit.
  bool Enough(int knobs) const {
    return left_ <= 0 || fitting_ >= kEnough || (fitting_ > 0 && knobs > std::max(2, knobs_));
  }

  void Simulate(std::vector<PlanEdit> edits) {
    if (static_cast<std::int64_t>(edits.size()) > left_)
      edits.resize(static_cast<std::size_t>(left_));
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
  const SimulateOptions& options_;
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
