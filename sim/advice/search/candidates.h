// All plans of a range of the space, by rule and by quick bound: counted, or left for a closer look.

#ifndef MESHSTEP_SIM_ADVICE_SEARCH_CANDIDATES_H_
#define MESHSTEP_SIM_ADVICE_SEARCH_CANDIDATES_H_

#include <atomic>
#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "sim/advice/search/plan_space.h"
#include "sim/advice/search/quick_table.h"

namespace meshstep {

// Plans [begin, end) that share all choices up to Knob::kCustom; some of them fit, as far as the
// quick bound tells.
struct PlanGroup {
  std::int64_t bound_ps = 0;
  std::int64_t begin = 0, end = 0;
  auto operator<=>(const PlanGroup&) const = default;
};

struct Candidates {
  std::map<std::string, std::int64_t> invalid;  // by rule
  std::int64_t does_not_fit = 0;                // by the quick bound
  std::int64_t left = 0;                        // in the groups
  std::vector<PlanGroup> groups;                // by bound, then by index
};

// capacity: bytes of a device. seen, if not null, grows with the plans that are passed; stop, if
// not null and set, ends it early.
Candidates FindCandidates(const PlanSpace& space, const QuickTable& table, std::int64_t begin,
                          std::int64_t end, double capacity, int threads,
                          std::atomic<std::int64_t>* seen, const std::atomic<bool>* stop);

// Calls visit(index) for each plan of a group that is left.
template <class Visit>
void ForEachLeft(const PlanSpace& space, const QuickTable& table, const PlanGroup& group,
                 double capacity, Visit visit);

// Whether the rules of the knobs after kCustom refuse the plan; "": they do not.
const char* RefusesLeaf(const PlanSpace& space, const Choices& choices);

template <class Visit>
void ForEachLeft(const PlanSpace& space, const QuickTable& table, const PlanGroup& group,
                 double capacity, Visit visit) {
  const GroupBound bound = table.Group(space.ChoicesOf(group.begin));
  for (std::int64_t index = group.begin; index < group.end; ++index) {
    const Choices choices = space.ChoicesOf(index);
    if (*RefusesLeaf(space, choices) != '\0') continue;
    if (table.Peak(choices, bound) > capacity) continue;
    visit(index);
  }
}

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ADVICE_SEARCH_CANDIDATES_H_
