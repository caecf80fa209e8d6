// All plans of a range of the space, by rule and by quick bound: counted, or left for a closer look.

#ifndef MESHSTEP_SIM_ADVICE_SEARCH_CANDIDATES_H_
#define MESHSTEP_SIM_ADVICE_SEARCH_CANDIDATES_H_

#include <array>
#include <atomic>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sim/advice/search/plan_space.h"
#include "sim/advice/search/quick_table.h"

namespace meshstep {

// Plans [begin, end) that share all choices up to kLastOfGroup.
struct PlanGroup {
  std::int64_t bound_ps = 0;
  std::int64_t begin = 0, end = 0;
  // Plans that no rule refuses: may fit, as far as the quick bound tells, or do not.
  std::int64_t left = 0, too_large = 0;
  auto operator<=>(const PlanGroup&) const = default;
};

struct Candidates {
  std::map<std::string, std::int64_t> invalid;  // by rule
  std::int64_t valid = 0;                       // all others
  std::vector<PlanGroup> groups;                // by bound, then by index
};

// Some choices of every knob.
using Subset = std::array<std::vector<bool>, kKnobs>;

// A few per cent of the space in which some plan is about as good as the best: every degree, but
// one order, whole layers recomputed, few virtual stages, gradients reduced in every micro-batch.
Subset CoarseSubset(const PlanSpace& space);

struct Enumeration {
  std::int64_t begin = 0, end = 0;  // range of the space
  double capacity = 0;              // bytes of a device
  int threads = 0;
  const Subset* subset = nullptr;  // others are passed over; null: none are
  // Whether memory is looked at; else all valid plans are left.
  bool memory = true;
  // Groups whose bound is above this are counted as valid, and left out. It may fall meanwhile.
  const std::atomic<std::int64_t>* most_ps = nullptr;
  std::atomic<std::int64_t>* seen = nullptr;  // grows with the plans that are passed
  const std::atomic<bool>* stop = nullptr;    // when set, it ends early
};

Candidates FindCandidates(const PlanSpace& space, const QuickTable& table,
                          const Enumeration& enumeration);

// Calls visit(index) for each plan of a group that is left.
template <class Visit>
void ForEachLeft(const PlanSpace& space, const QuickTable& table, const PlanGroup& group,
                 double capacity, const Subset* subset, Visit visit);

// Whether the rules of the knobs after kLastOfGroup refuse the plan; "": they do not.
const char* RefusesLeaf(const PlanSpace& space, const Choices& choices);

bool IsIn(const Subset& subset, const Choices& choices);

template <class Visit>
void ForEachLeft(const PlanSpace& space, const QuickTable& table, const PlanGroup& group,
                 double capacity, const Subset* subset, Visit visit) {
  const GroupBound bound = table.Group(space.ChoicesOf(group.begin));
  for (std::int64_t index = group.begin; index < group.end; ++index) {
    const Choices choices = space.ChoicesOf(index);
    if (subset != nullptr && !IsIn(*subset, choices)) continue;
    if (*RefusesLeaf(space, choices) != '\0') continue;
    if (table.Peak(choices, bound) > capacity) continue;
    visit(index);
  }
}

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ADVICE_SEARCH_CANDIDATES_H_
