#include "sim/advice/search/search.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
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

// What waits: a group of plans, or a plan that is bounded.
struct Waiting {
  std::int64_t bound_ps = 0;
  PlanGroup group;         // if plan < 0
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
  BestFirst(const PlanSpace& space, const QuickTable& table, const SearchOptions& options,
            SearchFile* file, SearchProgress* progress)
      : space_(space),
        table_(table),
        options_(options),
        evaluator_(space, *options.catalog, options.fidelity, options.allow_tight),
        limit_(MemoryLimit(space, options)),
        file_(file),
        progress_(progress) {
    if (file_ == nullptr) return;
    for (const v1::LookedAtPlan& record : file_->found().plans) {
      known_[record.index()] = FromRecord(record);
    }
  }

  void Run(const std::vector<PlanGroup>& groups) {
    for (const PlanGroup& group : groups) queue_.push({group.bound_ps, group, -1});
    // What is known already prunes from the start.
    for (const auto& [index, plan] : known_) {
      if (Fits(plan)) Improve(plan);
    }
    std::vector<std::jthread> workers;
    for (unsigned t = 1; t < ThreadsOf(options_.threads); ++t) {
      workers.emplace_back([this] { Work(); });
    }
    Work();
  }

  // When all have stopped.
  Status status() const { return status_; }
  std::vector<Evaluated> TakePlans() {
    std::vector<Evaluated> plans;
    for (auto& [index, plan] : looked_at_) plans.push_back(std::move(plan));
    return plans;
  }
  bool done() const { return queue_.empty() || queue_.top().bound_ps > Last(); }
  std::int64_t rest_ps() const { return queue_.empty() ? kNone : queue_.top().bound_ps; }

 private:
  bool Stopped() const { return !status_.ok() || (options_.stop != nullptr && *options_.stop); }
  // The time above which nothing is of interest.
  std::int64_t Last() const {
    const bool full = best_.size() >= static_cast<std::size_t>(options_.top);
    return std::min(others_, full ? best_.rbegin()->first : kNone);
  }
  bool Fits(const Evaluated& plan) const {
    return plan.simulated && static_cast<double>(plan.peak_bytes) <= limit_;
  }

  // mutex_ is held, or nobody else runs.
  void Improve(const Evaluated& plan) {
    best_.insert({plan.time_ps, plan.index});
    while (best_.size() > static_cast<std::size_t>(options_.top))
      best_.erase(std::prev(best_.end()));
    const bool full = best_.size() == static_cast<std::size_t>(options_.top);
    if (full && file_ != nullptr) file_->WriteBound(best_.rbegin()->first);
  }

  void Work() {
    Workspace workspace;
    std::unique_lock lock(mutex_);
    while (!Stopped()) {
      if (!queue_.empty() && queue_.top().bound_ps <= Last()) {
        const Waiting next = queue_.top();
        queue_.pop();
        ++busy_;
        lock.unlock();
        next.plan < 0 ? Open(next, &workspace) : SimulateOne(next.plan, &workspace);
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

  // Bounds the plans of a group.
  void Open(const Waiting& next, Workspace* workspace) {
    std::vector<Evaluated> plans;
    bool whole = true;
    ForEachLeft(space_, table_, next.group, limit_, [&](std::int64_t index) {
      const auto known = known_.find(index);
      whole = whole && !(options_.stop != nullptr && *options_.stop);
      if (!whole) return;
      plans.push_back(known != known_.end() ? known->second
                                            : evaluator_.Bound(index, next.bound_ps, workspace));
    });
    const std::lock_guard lock(mutex_);
    if (!whole) {
      queue_.push(next);
      return;
    }
    for (Evaluated& plan : plans) {
      Keep(plan, !known_.contains(plan.index));
      const bool waits = plan.invalid.empty() && !plan.simulated &&
                         static_cast<double>(plan.least_bytes) <= limit_;
      if (waits) queue_.push({plan.bound_ps, {}, plan.index});
      ++progress_->bounded;
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
    if (file_ != nullptr && is_new) status_.Update(file_->Append(ToRecord(plan)));
  }

  void Report() {
    const auto now = std::chrono::steady_clock::now();
    if (now - reported_ < std::chrono::milliseconds(100)) return;
    reported_ = now;
    if (file_ != nullptr && options_.shards > 1) others_ = std::min(others_, file_->ReadBounds());
    if (!options_.progress) return;
    progress_->best_ps = best_.empty() ? 0 : best_.begin()->first;
    progress_->best_index = best_.empty() ? -1 : best_.begin()->second;
    progress_->last_ps = Last() == kNone ? 0 : Last();
    progress_->rest_ps = queue_.empty() ? progress_->last_ps : queue_.top().bound_ps;
    options_.progress(*progress_);
  }

  const PlanSpace& space_;
  const QuickTable& table_;
  const SearchOptions& options_;
  const Evaluator evaluator_;
  const double limit_;
  SearchFile* const file_;
  SearchProgress* const progress_;
  std::map<std::int64_t, Evaluated> known_;  // from the file

  std::mutex mutex_;  // guards all below
  std::condition_variable changed_;
  std::priority_queue<Waiting, std::vector<Waiting>, std::greater<>> queue_;
  int busy_ = 0;
  std::map<std::int64_t, Evaluated> looked_at_;
  std::set<std::pair<std::int64_t, std::int64_t>> best_;  // time and index, at most `top`
  std::int64_t others_ = kNone;                           // what other shards have
  Status status_;
  std::chrono::steady_clock::time_point reported_;
};

// Shows how far the enumeration is while it runs.
Candidates Enumerate(const PlanSpace& space, const QuickTable& table, std::int64_t begin,
                     std::int64_t end, const SearchOptions& options, SearchProgress* progress) {
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
  Candidates found = FindCandidates(space, table, begin, end, MemoryLimit(space, options),
                                    options.threads, &seen, options.stop);
  running = false;
  if (teller.joinable()) teller.join();
  progress->seen = end - begin;
  return found;
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
  const Candidates candidates =
      Enumerate(space, table, edge(options.shard), edge(options.shard + 1), options, &progress);
  Searched searched{candidates.invalid, candidates.does_not_fit, candidates.left, {}, true, 0};
  if (options.stop != nullptr && *options.stop) {
    searched.done = false;
    return searched;
  }
  BestFirst search(space, table, options, file, &progress);
  search.Run(candidates.groups);
  RETURN_IF_ERROR(search.status());
  searched.done = search.done();
  searched.rest_ps = search.rest_ps();
  searched.plans = search.TakePlans();
  if (searched.done && file != nullptr && !file->found().done) {
    v1::SearchDone done;
    for (const auto& [why, plans] : searched.invalid) (*done.mutable_invalid())[why] = plans;
    done.set_does_not_fit(searched.does_not_fit);
    done.set_left(searched.left);
    RETURN_IF_ERROR(file->Append(done));
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
