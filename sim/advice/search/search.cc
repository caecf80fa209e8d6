#include "sim/advice/search/search.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <functional>
#include <iterator>
#include <limits>
#include <mutex>
#include <queue>
#include <set>
#include <thread>
#include <utility>

#include "sim/advice/search/candidates.h"
#include "sim/base/parallel.h"

namespace meshstep {
namespace {

constexpr std::int64_t kNone = std::numeric_limits<std::int64_t>::max();

// What waits: a group of plans, by its quick bound or by the closer one, or a plan that is bounded.
struct Waiting {
  std::int64_t bound_ps = 0;
  PlanGroup group;         // if plan < 0
  bool closely = false;    // the group's bound
  std::int64_t plan = -1;  // its index
  bool operator>(const Waiting& o) const {
    if (bound_ps != o.bound_ps) return bound_ps > o.bound_ps;
    // Plans before groups: an incumbent prunes.
    if ((plan < 0) != (o.plan < 0)) return plan < 0;
    return plan < 0 ? group > o.group : plan > o.plan;
  }
};

class BestFirst {
 public:
  // [begin, end): the part of the space that is searched; seeds may lie outside of it.
  BestFirst(const PlanSpace& space, const QuickTable& table, const SearchOptions& options,
            std::int64_t begin, std::int64_t end, SearchFile* file, SearchProgress* progress)
      : space_(space),
        table_(table),
        options_(options),
        evaluator_(space, *options.catalog, options.fidelity, options.allow_tight),
        limit_(MemoryLimit(space, options)),
        begin_(begin),
        end_(end),
        file_(file),
        progress_(progress),
        workspaces_(ThreadsOf(options.threads)) {
    if (file_ == nullptr) return;
    for (const v1::LookedAtPlan& record : file_->found().plans) {
      known_[record.index()] = FromRecord(record);
    }
    // What is known already prunes from the start.
    for (const auto& [index, plan] : known_) {
      if (Fits(plan)) Improve(plan);
    }
  }

  // Simulates a promising plan of every degrees one after another, then more of the best degrees, so
  // that the N-th best is low before everything is enumerated. Which ones does not matter for what is
  // found.
  void Seed(const std::vector<PlanGroup>& groups, const Subset& subset) {
    std::map<std::int64_t, std::vector<PlanGroup>> of_degrees;  // each by bound
    const std::int64_t each = space_.stride(Knob::kDegrees);
    for (const PlanGroup& group : groups) of_degrees[group.begin / each].push_back(group);
    std::vector<const std::vector<PlanGroup>*> first;
    for (const auto& [degrees, list] : of_degrees) first.push_back(&list);
    std::sort(first.begin(), first.end(), [](auto* a, auto* b) { return a->front() < b->front(); });
    // Some at a time: the most promising of each lot are simulated before the next is bounded.
    constexpr std::size_t kLot = 32, kOfLot = 4, kOfDegrees = 24;
    std::set<std::pair<std::int64_t, std::int64_t>> promising;  // bound and index
    for (std::size_t lot = 0; lot < first.size(); lot += kLot) {
      const std::size_t count = std::min(kLot, first.size() - lot);
      OnThreads(count, [&](std::size_t i, Workspace* workspace) {
        const Evaluated plan = BestOf(*first[lot + i], subset, workspace);
        const std::lock_guard lock(mutex_);
        if (MayFit(plan)) promising.insert({plan.bound_ps, plan.index});
      });
      SimulateSeeds(kOfLot, &promising);
    }
    SimulateSeeds(promising.size(), &promising);
    // Around the best.
    std::vector<PlanGroup> around;
    for (const auto& [time, index] : best_) {
      std::vector<PlanGroup>& list = of_degrees[index / each];
      const std::size_t count = std::min(kOfDegrees, list.size());
      around.insert(around.end(), list.begin(), list.begin() + static_cast<std::ptrdiff_t>(count));
      list.clear();
    }
    OnThreads(around.size(), [&](std::size_t i, Workspace* workspace) {
      const Evaluated plan = BestOf({around[i]}, subset, workspace);
      const std::lock_guard lock(mutex_);
      if (MayFit(plan)) promising.insert({plan.bound_ps, plan.index});
    });
    SimulateSeeds(promising.size(), &promising);
  }

  void Run(const std::vector<PlanGroup>& groups) {
    for (const PlanGroup& group : groups) {
      if (group.left > 0) queue_.push({group.bound_ps, group, false, -1});
    }
    OnAll([this](Workspace* workspace) { Work(workspace); });
  }

  // When all have stopped.
  Status status() const { return status_; }
  bool done() const { return queue_.empty() || queue_.top().bound_ps > last_; }
  // If it was stopped, with the seeds that it did not come to.
  std::vector<Evaluated> TakePlans(bool all) {
    if (!all) {
      std::erase_if(known_, [&](const auto& known) { return !IsInside(known.first); });
      looked_at_.merge(known_);
    }
    std::vector<Evaluated> plans;
    for (auto& [index, plan] : looked_at_) plans.push_back(std::move(plan));
    return plans;
  }
  std::int64_t rest_ps() const { return queue_.empty() ? kNone : queue_.top().bound_ps; }
  std::int64_t pruned() const { return pruned_; }
  // The time above which nothing is of interest: it falls.
  const std::atomic<std::int64_t>& last() const { return last_; }

 private:
  bool Stopped() const { return options_.stop != nullptr && *options_.stop; }
  bool Fits(const Evaluated& plan) const {
    return plan.simulated && static_cast<double>(plan.peak_bytes) <= limit_;
  }
  bool MayFit(const Evaluated& plan) const {
    return plan.invalid.empty() && static_cast<double>(plan.least_bytes) <= limit_;
  }
  bool IsInside(std::int64_t index) const { return index >= begin_ && index < end_; }

  // Calls job(i, workspace) for every i up to count, unless it is stopped.
  template <class Job>
  void OnThreads(std::size_t count, Job job) {
    std::atomic<std::size_t> next = 0;
    const auto work = [&](Workspace* workspace) {
      for (std::size_t i = next++; i < count && !Stopped(); i = next++) job(i, workspace);
    };
    OnAll(work);
  }
  template <class Work>
  void OnAll(Work work) {
    std::vector<std::jthread> workers;
    for (std::size_t t = 1; t < workspaces_.size(); ++t) {
      workers.emplace_back([&, t] { work(&workspaces_[t]); });
    }
    work(&workspaces_[0]);
  }

  // The plan of the least closer bound that may fit, of the first groups that have any; else one
  // that is invalid.
  Evaluated BestOf(const std::vector<PlanGroup>& groups, const Subset& subset,
                   Workspace* workspace) {
    constexpr std::size_t kMostGroups = 8;
    Evaluated best;
    best.invalid = "none";
    for (std::size_t g = 0; g < std::min(kMostGroups, groups.size()) && !MayFit(best); ++g) {
      const std::int64_t quick = groups[g].bound_ps;
      if (quick > last_ || Stopped()) break;
      const std::int64_t closely =
          std::max(quick, evaluator_.BoundGroup(groups[g].begin, workspace));
      if (closely > last_) continue;
      ForEachLeft(space_, table_, groups[g], limit_, &subset, [&](std::int64_t index) {
        if (Stopped()) return;
        Evaluated plan = BoundSeed(index, quick, closely, workspace);
        if (MayFit(plan) && plan.bound_ps <= last_ &&
            (!MayFit(best) || plan.bound_ps < best.bound_ps)) {
          best = std::move(plan);
        }
      });
    }
    return best;
  }

  Evaluated BoundSeed(std::int64_t index, std::int64_t quick, std::int64_t closely,
                      Workspace* workspace) {
    {
      const std::lock_guard lock(mutex_);
      const auto known = known_.find(index);
      if (known != known_.end()) return known->second;
    }
    Evaluated plan = evaluator_.Bound(index, quick, closely, workspace, last_);
    const std::lock_guard lock(mutex_);
    Keep(plan, true);
    ++progress_->bounded;
    known_[index] = plan;
    Report();
    return plan;
  }

  // The first `count` of them, as long as it pays.
  void SimulateSeeds(std::size_t count, std::set<std::pair<std::int64_t, std::int64_t>>* plans) {
    constexpr int kMostMisses = 32;
    std::atomic<int> misses = 0;
    std::vector<std::pair<std::int64_t, std::int64_t>> chosen;
    for (; chosen.size() < count && !plans->empty(); plans->erase(plans->begin())) {
      chosen.push_back(*plans->begin());
    }
    OnThreads(chosen.size(), [&](std::size_t i, Workspace* workspace) {
      if (chosen[i].first > last_ || misses > kMostMisses) return;
      Evaluated plan;
      {
        const std::lock_guard lock(mutex_);
        plan = known_.at(chosen[i].second);
      }
      if (plan.simulated) return;
      evaluator_.Simulate(&plan, workspace);
      const std::lock_guard lock(mutex_);
      Keep(plan, true);
      ++progress_->simulated;
      const std::int64_t before = last_;
      if (Fits(plan)) Improve(plan);
      misses = last_ < before || last_ == kNone ? 0 : misses + 1;
      known_[plan.index] = std::move(plan);
      Report();
    });
  }

  // mutex_ is held, or nobody else runs.
  void Improve(const Evaluated& plan) {
    best_.insert({plan.time_ps, plan.index});
    while (best_.size() > static_cast<std::size_t>(options_.top))
      best_.erase(std::prev(best_.end()));
    if (best_.size() < static_cast<std::size_t>(options_.top)) return;
    const std::int64_t own = best_.rbegin()->first;
    last_ = std::min<std::int64_t>(last_, own);
    if (file_ != nullptr && own < written_) file_->WriteBound(written_ = own);
  }

  void Work(Workspace* workspace) {
    std::unique_lock lock(mutex_);
    while (!Stopped() && status_.ok()) {
      if (!queue_.empty() && queue_.top().bound_ps <= last_) {
        const Waiting next = queue_.top();
        queue_.pop();
        ++busy_;
        lock.unlock();
        next.plan < 0 ? Open(next, workspace) : SimulateOne(next.plan, workspace);
        lock.lock();
        --busy_;
        Report();
        changed_.notify_all();
      } else if (busy_ == 0) {
        break;
      } else {
        changed_.wait(lock);
      }
    }
    changed_.notify_all();
  }

  // Bounds a group, then its plans.
  void Open(Waiting next, Workspace* workspace) {
    if (!next.closely) {
      next.closely = true;
      next.bound_ps = std::max(next.bound_ps, evaluator_.BoundGroup(next.group.begin, workspace));
      const std::lock_guard lock(mutex_);
      if (next.bound_ps > last_) pruned_ += next.group.left;
      if (next.bound_ps <= last_) queue_.push(next);
      return;
    }
    std::vector<Evaluated> plans;
    bool whole = true;
    ForEachLeft(space_, table_, next.group, limit_, nullptr, [&](std::int64_t index) {
      const auto known = known_.find(index);
      whole = whole && !Stopped();
      if (!whole) return;
      plans.push_back(known != known_.end() ? known->second
                                            : evaluator_.Bound(index, next.group.bound_ps,
                                                               next.bound_ps, workspace, last_));
    });
    const std::lock_guard lock(mutex_);
    if (!whole) {
      queue_.push(next);
      return;
    }
    for (Evaluated& plan : plans) {
      Keep(plan, !known_.contains(plan.index));
      ++progress_->bounded;
      // Such a plan counts as pruned whatever else is said of it.
      if (plan.invalid.empty() && plan.bound_ps > last_) {
        ++pruned_;
        continue;
      }
      if (!plan.simulated && MayFit(plan)) queue_.push({plan.bound_ps, {}, false, plan.index});
      looked_at_[plan.index] = std::move(plan);
    }
  }

  void SimulateOne(std::int64_t index, Workspace* workspace) {
    Evaluated plan;
    {
      const std::lock_guard lock(mutex_);
      plan = looked_at_.at(index);
    }
    evaluator_.Simulate(&plan, workspace);
    const std::lock_guard lock(mutex_);
    Keep(plan, true);
    ++progress_->simulated;
    if (Fits(plan)) Improve(plan);
    looked_at_[index] = std::move(plan);
  }

  void Keep(const Evaluated& plan, bool is_new) {
    if (file_ == nullptr || !is_new || !IsInside(plan.index)) return;
    status_.Update(file_->Append(ToRecord(plan)));
  }

  void Report() {
    const auto now = std::chrono::steady_clock::now();
    if (now - reported_ < std::chrono::milliseconds(100)) return;
    reported_ = now;
    if (file_ != nullptr && options_.shards > 1) {
      last_ = std::min<std::int64_t>(last_, file_->ReadBounds());
    }
    if (!options_.progress) return;
    progress_->best_ps = best_.empty() ? 0 : best_.begin()->first;
    progress_->best_index = best_.empty() ? -1 : best_.begin()->second;
    progress_->last_ps = last_ == kNone ? 0 : last_.load();
    progress_->rest_ps = queue_.empty() ? 0 : queue_.top().bound_ps;
    options_.progress(*progress_);
  }

  const PlanSpace& space_;
  const QuickTable& table_;
  const SearchOptions& options_;
  const Evaluator evaluator_;
  const double limit_;
  const std::int64_t begin_, end_;
  SearchFile* const file_;
  SearchProgress* const progress_;
  std::deque<Workspace> workspaces_;         // one for each thread
  std::map<std::int64_t, Evaluated> known_;  // from the file and of seeds; guarded while seeding
  std::atomic<std::int64_t> last_ = kNone;   // the N-th best time, of other shards, too

  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::priority_queue<Waiting, std::vector<Waiting>, std::greater<>> queue_;
  int busy_ = 0;
  std::map<std::int64_t, Evaluated> looked_at_;           // but those with a bound above last_
  std::int64_t pruned_ = 0;                               // these
  std::set<std::pair<std::int64_t, std::int64_t>> best_;  // time and index, at most `top`
  std::int64_t written_ = kNone;                          // to the file of bounds
  Status status_;
  std::chrono::steady_clock::time_point reported_;
};

// Shows how far the enumeration is while it runs.
Candidates Enumerate(const PlanSpace& space, const QuickTable& table, Enumeration enumeration,
                     const SearchOptions& options, SearchProgress* progress) {
  std::atomic<std::int64_t> seen = 0;
  std::atomic<bool> running = true;
  std::jthread teller;
  if (options.progress) {
    teller = std::jthread([&] {
      while (running) {
        progress->seen = seen;
        options.progress(*progress);
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
    });
  }
  enumeration.capacity = MemoryLimit(space, options);
  enumeration.threads = options.threads;
  enumeration.seen = &seen;
  enumeration.stop = options.stop;
  Candidates found = FindCandidates(space, table, enumeration);
  running = false;
  if (teller.joinable()) teller.join();
  progress->seen = enumeration.end - enumeration.begin;
  return found;
}

// Says in the file what became of the range.
Status Finish(const Searched& searched, SearchFile* file) {
  constexpr std::size_t kEach = 1 << 16;  // of a record
  v1::SearchDone done;
  for (std::size_t i = 0; i < searched.groups.size(); i += kEach) {
    v1::CountedGroups counted;
    for (std::size_t k = i; k < std::min(searched.groups.size(), i + kEach); ++k) {
      counted.add_bound_ps(searched.groups[k].bound_ps);
      counted.add_left(searched.groups[k].left);
      counted.add_too_large(searched.groups[k].too_large);
    }
    RETURN_IF_ERROR(file->Append(counted));
    done.set_group_records(done.group_records() + 1);
  }
  for (const auto& [why, plans] : searched.invalid) (*done.mutable_invalid())[why] = plans;
  done.set_valid(searched.valid);
  return file->Append(done);
}

}  // namespace

double MemoryLimit(const PlanSpace& space, const SearchOptions& options) {
  if (options.max_memory_bytes > 0) return options.max_memory_bytes;
  return std::floor(space.loaded().cluster.chip.device_memory().value());
}

StatusOr<Searched> Search(const PlanSpace& space, const SearchOptions& options, SearchFile* file) {
  const auto edge = [&](int shard) {
    return static_cast<std::int64_t>(static_cast<__int128>(space.size()) * shard / options.shards);
  };
  SearchProgress progress;
  const QuickTable table(space, *options.catalog, options.fidelity);
  const std::int64_t begin = edge(options.shard), end = edge(options.shard + 1);
  BestFirst search(space, table, options, begin, end, file, &progress);
  const Subset coarse = CoarseSubset(space);
  Enumeration of_seeds{.end = space.size(), .subset = &coarse, .memory = false};
  search.Seed(Enumerate(space, table, of_seeds, options, &progress).groups, coarse);
  const Enumeration of_all{.begin = begin, .end = end, .most_ps = &search.last()};
  const Candidates candidates = Enumerate(space, table, of_all, options, &progress);
  Searched searched{candidates.invalid, candidates.valid, {}, {}, true, 0, 0};
  if (options.stop != nullptr && *options.stop) {
    searched.done = false;
    searched.plans = search.TakePlans(/*all=*/false);
    return searched;
  }
  search.Run(candidates.groups);
  RETURN_IF_ERROR(search.status());
  searched.done = search.done();
  searched.rest_ps = search.rest_ps();
  searched.pruned = search.pruned();
  for (const PlanGroup& group : candidates.groups) {
    if (group.bound_ps > search.last()) break;
    searched.groups.push_back({group.bound_ps, group.left, group.too_large});
  }
  searched.plans = search.TakePlans(searched.done);
  if (searched.done && file != nullptr && !file->found().done) {
    RETURN_IF_ERROR(Finish(searched, file));
  }
  return searched;
}

v1::LookedAtPlan ToRecord(const Evaluated& plan) {
  v1::LookedAtPlan record;
  record.set_index(plan.index);
  record.set_quick_ps(plan.quick_ps);
  record.set_invalid(plan.invalid);
  record.set_bound_ps(plan.bound_ps);
  record.set_least_bytes(plan.least_bytes);
  record.set_binds(plan.binds);
  record.set_simulated(plan.simulated);
  record.set_time_ps(plan.time_ps);
  record.set_peak_bytes(plan.peak_bytes);
  return record;
}

Evaluated FromRecord(const v1::LookedAtPlan& record) {
  return {record.index(),     record.quick_ps(),    record.invalid(),
          record.bound_ps(),  record.least_bytes(), record.binds(),
          record.simulated(), record.time_ps(),     record.peak_bytes()};
}

}  // namespace meshstep
