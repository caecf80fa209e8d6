#include "sim/advice/search/assemble.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/repeated_field.h"
#include "sim/base/check.h"
#include "sim/report/compare.h"
#include "sim/simulate/simulate.h"

namespace meshstep {
namespace {

constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::max();

// The best, in order: time, then place in the space.
std::vector<const Evaluated*> BestOf(const Searched& searched, double limit, int top) {
  std::vector<const Evaluated*> best;
  for (const Evaluated& plan : searched.plans) {
    if (plan.simulated && static_cast<double>(plan.peak_bytes) <= limit) best.push_back(&plan);
  }
  std::sort(best.begin(), best.end(), [](const Evaluated* a, const Evaluated* b) {
    return std::pair(a->time_ps, a->index) < std::pair(b->time_ps, b->index);
  });
  if (best.size() > static_cast<std::size_t>(top)) best.resize(static_cast<std::size_t>(top));
  return best;
}

// Counts every plan once, by what says that it is not among the best with times up to `last`.
v1::SearchCounts CountsOf(const Searched& searched, std::int64_t space, std::int64_t last,
                          double limit) {
  v1::SearchCounts counts;
  for (const auto& [why, plans] : searched.invalid) (*counts.mutable_invalid())[why] = plans;
  std::int64_t too_large = 0, left = 0, simulated = 0, closely = 0;
  for (const CountedGroup& group : searched.groups) {
    if (group.bound_ps > last) continue;
    too_large += group.too_large;
    left += group.left;
  }
  const std::int64_t kernels = searched.valid - left - too_large;
  for (const Evaluated& plan : searched.plans) {
    if (plan.quick_ps > last || plan.bound_ps > last) continue;
    const bool fits = static_cast<double>(plan.least_bytes) <= limit &&
                      static_cast<double>(plan.peak_bytes) <= limit;
    if (!plan.invalid.empty()) {
      ++(*counts.mutable_invalid())[plan.invalid];
    } else if (!fits) {
      ++too_large;
    } else if (plan.simulated) {
      ++simulated;
    } else {
      continue;
    }
    ++closely;
  }
  counts.set_does_not_fit(too_large);
  counts.set_simulated(simulated);
  if (searched.done) {
    (*counts.mutable_pruned())["kernels"] = kernels;
    (*counts.mutable_pruned())["collectives"] = left - closely;
    return counts;
  }
  std::int64_t all = too_large + simulated + searched.pruned;
  for (const auto& [why, plans] : counts.invalid()) all += plans;
  (*counts.mutable_pruned())["collectives"] = searched.pruned;
  (*counts.mutable_pruned())["not looked at"] = space - all;
  return counts;
}

v1::FoundPlan FoundOf(const v1::Scenario& scenario, const v1::SimulateReport& report,
                      std::optional<double> price) {
  v1::FoundPlan found;
  *found.mutable_scenario() = scenario;
  found.set_index(-1);
  found.set_step_time_s(report.step_time_s());
  found.set_tokens_per_s_per_chip(report.tokens_per_s_per_chip());
  found.set_mfu(report.mfu());
  *found.mutable_memory() = report.memory();
  found.set_chips(report.chips());
  found.set_lower_bound_s(report.lower_bound_s());
  if (price) {
    found.set_cost(*price * static_cast<double>(report.chips()) * report.step_time_s() / 3600);
  }
  return found;
}

// Full reports of the best, and why the first of them is.
class Explainer {
 public:
  Explainer(const PlanSpace& space, const SearchOptions& options, const Objective& objective,
            v1::SearchReport* report)
      : space_(space),
        options_(options),
        price_(objective.PriceOf(space.loaded().cluster.chip.name)),
        report_(*report) {}

  void Add(const Evaluated& plan) {
    v1::Scenario scenario = space_.ScenarioOf(plan.index);
    scenario.set_name(absl::StrCat(space_.base().name(), " #", plan.index));
    const StatusOr<v1::SimulateReport> simulated = SimulateIt(scenario);
    CHECK(simulated.ok()) << std::string(simulated.status().message());
    v1::FoundPlan& found = *report_.add_best();
    found = FoundOf(scenario, *simulated, price_);
    found.set_index(plan.index);
    for (const std::string& set : space_.SetOf(plan.index)) found.add_set(set);
    found.set_bound_s(Time(plan.bound_ps).seconds());
    found.set_binds(plan.binds);
    const v1::SimulateReport& first = reports_.empty() ? *simulated : reports_.front();
    const bool interval = first.has_step_time_high_s();
    found.set_tie(found.step_time_s() <=
                  (interval ? first.step_time_high_s() : first.step_time_s()));
    reports_.push_back(*simulated);
    scenarios_.push_back(std::move(scenario));
  }

  void Explain(const v1::Scenario& base) {
    v1::Scenario baseline = base;
    if (baseline.name().empty()) baseline.set_name("the scenario");
    const StatusOr<v1::SimulateReport> simulated = SimulateIt(baseline);
    if (simulated.ok()) *report_.mutable_baseline() = FoundOf(baseline, *simulated, price_);
    if (reports_.empty()) return;
    if (simulated.ok()) Why(baseline, *simulated);
    if (reports_.size() > 1) Why(scenarios_[1], reports_[1]);
  }

 private:
  StatusOr<v1::SimulateReport> SimulateIt(const v1::Scenario& scenario) const {
    return Simulate(scenario, {.catalog = options_.catalog, .fidelity = options_.fidelity});
  }

  void Why(const v1::Scenario& other, const v1::SimulateReport& report) {
    const std::array scenarios = {other, scenarios_[0]};
    const std::array reports = {report, reports_[0]};
    v1::Comparison comparison = Compare(scenarios, reports).comparisons(0);
    comparison.set_scenario(other.name());
    *report_.add_why() = std::move(comparison);
  }

  const PlanSpace& space_;
  const SearchOptions& options_;
  const std::optional<double> price_;
  v1::SearchReport& report_;
  std::vector<v1::Scenario> scenarios_;
  std::vector<v1::SimulateReport> reports_;
};

void AddGroups(const v1::CountedGroups& groups, Searched* searched) {
  const int all = std::min({groups.bound_ps_size(), groups.left_size(), groups.too_large_size()});
  for (int i = 0; i < all; ++i) {
    searched->groups.push_back({groups.bound_ps(i), groups.left(i), groups.too_large(i)});
  }
}

// What the objective makes little of.
double Badness(const v1::FoundPlan& plan, const Objective& objective) {
  if (objective.name == "step") return plan.step_time_s();
  if (objective.name == "tokens_per_chip") return -plan.tokens_per_s_per_chip();
  return plan.has_cost() ? plan.cost() : plan.step_time_s() * static_cast<double>(plan.chips());
}

void AddCounts(const v1::SearchCounts& counts, v1::SearchCounts* sum) {
  for (const auto& [why, plans] : counts.invalid()) (*sum->mutable_invalid())[why] += plans;
  for (const auto& [bound, plans] : counts.pruned()) (*sum->mutable_pruned())[bound] += plans;
  sum->set_does_not_fit(sum->does_not_fit() + counts.does_not_fit());
  sum->set_simulated(sum->simulated() + counts.simulated());
}

}  // namespace

std::optional<double> Objective::PriceOf(const std::string& chip) const {
  const auto own = price_of.find(chip);
  return own != price_of.end() ? own->second : price;
}

std::vector<int> FrontOf(const v1::SearchReport& report) {
  std::vector<int> front;
  const auto figures = [&](int i) {
    const v1::FoundPlan& plan = report.best(i);
    const double chips = static_cast<double>(plan.chips());
    return std::array{-plan.tokens_per_s_per_chip() * chips,
                      static_cast<double>(plan.memory().peak_bytes()), chips};
  };
  for (int i = 0; i < report.best_size(); ++i) {
    const auto own = figures(i);
    bool beaten = false;
    for (int k = 0; k < report.best_size() && !beaten; ++k) {
      const auto other = figures(k);
      const bool no_worse = other[0] <= own[0] && other[1] <= own[1] && other[2] <= own[2];
      beaten = no_worse && (other != own || k < i);
    }
    if (!beaten) front.push_back(i);
  }
  return front;
}

v1::SearchReport Combine(const std::vector<v1::SearchReport>& reports, const Objective& objective,
                         int top) {
  // The search whose best is the best of all says why it is, and how sure that is.
  const auto first_is_worse = [&](const v1::SearchReport& a, const v1::SearchReport& b) {
    if (a.best_size() == 0 || b.best_size() == 0) return a.best_size() > b.best_size();
    return Badness(a.best(0), objective) < Badness(b.best(0), objective);
  };
  const auto winner = std::min_element(reports.begin(), reports.end(), first_is_worse);
  v1::SearchReport all = *winner;
  for (const v1::SearchReport& report : reports) {
    if (&report == &*winner) continue;
    all.set_space(all.space() + report.space());
    AddCounts(report.counts(), all.mutable_counts());
    all.set_proven(all.proven() && report.proven());
    for (const v1::FoundPlan& plan : report.best()) {
      *all.add_best() = plan;
      all.mutable_best()->rbegin()->set_tie(false);
    }
  }
  all.clear_rest_bound_s();
  std::vector<std::string> digests;
  for (const v1::SearchReport& report : reports) digests.push_back(report.digest());
  all.set_digest(absl::StrJoin(digests, "+"));
  std::stable_sort(all.mutable_best()->begin(), all.mutable_best()->end(),
                   [&](const v1::FoundPlan& a, const v1::FoundPlan& b) {
                     return Badness(a, objective) < Badness(b, objective);
                   });
  const std::vector<int> front = FrontOf(all);
  google::protobuf::RepeatedPtrField<v1::FoundPlan> kept;
  for (int i = 0; i < all.best_size(); ++i) {
    const bool on_front = std::find(front.begin(), front.end(), i) != front.end();
    if (i < top || on_front) *kept.Add() = all.best(i);
  }
  all.mutable_best()->Swap(&kept);
  all.clear_front();
  for (const int i : FrontOf(all)) all.add_front(i);
  return all;
}

v1::SearchReport Assemble(const PlanSpace& space, const Searched& searched,
                          const SearchOptions& options, const Objective& objective) {
  v1::SearchReport report;
  report.set_scenario(space.base().name());
  report.set_space(space.size());
  report.set_digest(space.digest());
  report.set_objective(objective.name);
  for (const std::string& dimension : space.Dimensions()) report.add_dimensions(dimension);
  const double limit = MemoryLimit(space, options);
  const std::vector<const Evaluated*> best = BestOf(searched, limit, options.top);
  const bool full = best.size() == static_cast<std::size_t>(options.top);
  const std::int64_t last = full ? best.back()->time_ps : kNone;
  *report.mutable_counts() = CountsOf(searched, space.size(), last, limit);
  report.set_proven(searched.done);
  if (!searched.done && searched.rest_ps > 0) {
    report.set_rest_bound_s(Time(searched.rest_ps).seconds());
  }
  Explainer explainer(space, options, objective, &report);
  for (const Evaluated* plan : best) explainer.Add(*plan);
  explainer.Explain(space.original());
  for (const int i : FrontOf(report)) report.add_front(i);
  return report;
}

StatusOr<Searched> MergeParts(const std::vector<SearchContents>& parts) {
  const v1::SearchHeader& first = parts.front().header;
  std::vector<bool> there(static_cast<std::size_t>(std::max(1, first.shards())));
  Searched merged;
  merged.rest_ps = kNone;
  for (const SearchContents& part : parts) {
    const v1::SearchHeader& header = part.header;
    const std::string name = absl::StrCat("part ", header.shard(), " of ", header.shards());
    if (header.digest() != first.digest() || header.shards() != first.shards() ||
        header.version() != first.version() || header.top() != first.top() ||
        header.max_memory_bytes() != first.max_memory_bytes() ||
        header.allow_tight() != first.allow_tight()) {
      return InvalidInput(absl::StrCat(name, " is of another search (space ", header.digest(),
                                       ", expected ", first.digest(), ")"));
    }
    const auto shard = static_cast<std::size_t>(header.shard());
    if (shard >= there.size() || there[shard]) {
      return InvalidInput(absl::StrCat(name, " is there twice"));
    }
    if (!part.done) return InvalidInput(absl::StrCat(name, " is not done: run it again to go on"));
    there[shard] = true;
    for (const auto& [why, plans] : part.done->invalid()) merged.invalid[why] += plans;
    merged.valid += part.done->valid();
    for (const v1::CountedGroups& groups : part.groups) AddGroups(groups, &merged);
    for (const v1::LookedAtPlan& plan : part.plans) merged.plans.push_back(FromRecord(plan));
  }
  for (std::size_t i = 0; i < there.size(); ++i) {
    if (there[i]) continue;
    return InvalidInput(absl::StrCat("part ", i, " of ", there.size(), " is missing"));
  }
  std::sort(merged.plans.begin(), merged.plans.end(),
            [](const Evaluated& a, const Evaluated& b) { return a.index < b.index; });
  return merged;
}

}  // namespace meshstep
