// The best plans of a space, exactly.
//
// The problem. Find the N plans of a space that take the least time under the simulator, without
// simulating the others, and know that none of those is better.
//
// Method. Every plan has bounds that are never above its simulated time: a quick one (quick_table.h)
// and a closer one (strategies/bounds/plan). A queue holds groups of plans by the quick bound and
// plans by the closer one; the least is taken: a group is opened, its plans bounded; a plan is
// simulated. When the least of the queue is above the N-th best simulated time, so is everything in
// it, and the search is done (best-first search with an admissible bound: Hart, Nilsson and Raphael,
// IEEE Trans. SSC 4(2), 1968).
//
// Before that a few of the most promising groups of a coarse subset are looked into: a low N-th best
// time lets most groups be dropped as they are enumerated.
//
// What is reported does not depend on the order in which threads or shards came to it: the N-th best
// time T is the same for all of them, and every plan with a bound up to T has been looked at. Those
// that somebody looked at beyond T are left out of the counts.
//
// Ties in time are broken by index, the lowest first.

#ifndef MESHSTEP_SIM_ADVICE_SEARCH_SEARCH_H_
#define MESHSTEP_SIM_ADVICE_SEARCH_SEARCH_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "sim/advice/search/evaluate.h"
#include "sim/advice/search/plan_space.h"
#include "sim/advice/search/search_file.h"

namespace meshstep {

struct SearchProgress {
  std::int64_t seen = 0;       // plans that were enumerated
  std::int64_t simulated = 0;  // plans
  std::int64_t bounded = 0;
  std::int64_t best_ps = 0;  // 0: none yet
  std::int64_t best_index = -1;
  std::int64_t last_ps = 0;  // N-th best; 0: fewer than N
  std::int64_t rest_ps = 0;  // least bound of the rest
};

struct SearchOptions {
  const Catalog* catalog = nullptr;
  Fidelity fidelity = Fidelity::kCalibrated;
  int top = 20;
  int threads = 0;
  double max_memory_bytes = 0;  // of a device; 0: the chip's
  bool allow_tight = false;     // also plans that leave no room for the reserve
  int shard = 0, shards = 1;
  const std::atomic<bool>* stop = nullptr;  // when set, the search ends with what it has
  // Some ten times a second, on one thread at a time.
  std::function<void(const SearchProgress&)> progress = {};
};

// Plans that no rule refuses and that share one quick bound: they may fit by it, or do not.
struct CountedGroup {
  std::int64_t bound_ps = 0, left = 0, too_large = 0;
};

// What was found in one part of a space, or in all of it.
struct Searched {
  std::map<std::string, std::int64_t> invalid;  // by rule
  std::int64_t valid = 0;                       // by rule
  std::vector<CountedGroup> groups;             // all with a bound up to the N-th best time
  std::vector<Evaluated> plans;  // with a closer bound up to that, or that the loader refuses
  bool done = true;
  std::int64_t rest_ps =
      0;                    // where not done: the least bound of what was not looked at; 0: unknown
  std::int64_t pruned = 0;  // where not done: plans whose closer bound was above it
};

// Bytes that a plan may take on a device.
double MemoryLimit(const PlanSpace& space, const SearchOptions& options);

// file: what was found is appended to it, and what it holds already is not done again; null: none.
// Error: the file cannot be written.
StatusOr<Searched> Search(const PlanSpace& space, const SearchOptions& options, SearchFile* file);

v1::LookedAtPlan ToRecord(const Evaluated& plan);
Evaluated FromRecord(const v1::LookedAtPlan& record);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ADVICE_SEARCH_SEARCH_H_
