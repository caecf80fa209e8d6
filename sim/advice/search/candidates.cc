#include "sim/advice/search/candidates.h"

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <utility>

#include "sim/base/parallel.h"

namespace meshstep {
namespace {

constexpr int kFirstLeafKnob = static_cast<int>(kLastOfGroup) + 1;

// Plans of a group by what the rules of the knobs after kLastOfGroup say, which ask only for the degrees.
struct Leaves {
  struct State {
    std::int64_t offset = 0;  // of the first plan in the group
    std::int64_t plans = 0;   // that no rule refuses
  };
  std::vector<State> states;
  std::map<std::string, std::int64_t> refused;
  std::int64_t valid = 0;
};

// Walks the choices of one part of the index space, knob by knob.
class Walk {
 public:
  Walk(const PlanSpace& space, const QuickTable& table, const Enumeration& of)
      : space_(space), table_(table), of_(of) {}

  // All plans with one choice of the first knob.
  void One(int choice) {
    const std::int64_t each = space_.stride(Knob::kDegrees);
    choices_ = {};
    choices_[0] = choice;
    const bool inside = choice * each < of_.end && (choice + 1) * each > of_.begin;
    if (!inside || !Has(0, choice)) return;
    leaves_ = CountLeaves();
    Choose(0, choice * each, each);
  }

  Candidates& found() { return found_; }

 private:
  bool Has(int knob, int choice) const {
    return of_.subset == nullptr ||
           (*of_.subset)[static_cast<std::size_t>(knob)][static_cast<std::size_t>(choice)];
  }
  std::int64_t Inside(std::int64_t from, std::int64_t count) const {
    return std::min(of_.end, from + count) - std::max(of_.begin, from);
  }

  // All plans from `from` on that share the choices before `knob`.
  void Below(int knob, std::int64_t from) {
    const auto k = static_cast<Knob>(knob);
    const std::int64_t each = space_.stride(k);
    const auto count = static_cast<int>(space_.choices(k).size());
    for (int c = 0; c < count; ++c, from += each) {
      if (from >= of_.end || from + each <= of_.begin || !Has(knob, c)) continue;
      if (of_.stop != nullptr && *of_.stop) return;
      choices_[static_cast<std::size_t>(knob)] = c;
      Choose(knob, from, each);
    }
  }

  void Choose(int knob, std::int64_t from, std::int64_t each) {
    const auto k = static_cast<Knob>(knob);
    if (const char* why = space_.Refuses(k, choices_); *why != '\0') {
      found_.invalid[why] += Inside(from, each);
    } else if (k == kLastOfGroup) {
      Group(from, each);
    } else {
      Below(knob + 1, from);
    }
  }

  // Those of the degrees that are chosen.
  Leaves CountLeaves() {
    Leaves leaves;
    const std::int64_t states = space_.stride(kLastOfGroup) / space_.stride(Knob::kState);
    for (std::int64_t s = 0; s < states; ++s) {
      leaves.states.push_back({s * space_.stride(Knob::kState), 0});
    }
    for (std::int64_t offset = 0; offset < space_.stride(kLastOfGroup); ++offset) {
      if (const int state = CountLeaf(offset, &leaves.refused); state >= 0) {
        ++leaves.states[static_cast<std::size_t>(state)].plans;
        ++leaves.valid;
      }
    }
    return leaves;
  }

  // Its choice of state, or -1 if it is passed over or refused.
  int CountLeaf(std::int64_t offset, std::map<std::string, std::int64_t>* refused) {
    const Choices leaf = space_.ChoicesOf(offset);
    for (int k = kFirstLeafKnob; k < kKnobs; ++k) {
      const int choice = leaf[static_cast<std::size_t>(k)];
      if (!Has(k, choice)) return -1;
      choices_[static_cast<std::size_t>(k)] = choice;
    }
    if (const char* why = RefusesLeaf(space_, choices_); *why != '\0') {
      ++(*refused)[why];
      return -1;
    }
    return leaf[static_cast<std::size_t>(Knob::kState)];
  }

  void Group(std::int64_t from, std::int64_t each) {
    if (Inside(from, each) == each) return GroupOf(from, each, leaves_);
    // The range ends inside of it.
    Leaves part = CountLeaves();
    part.refused.clear();
    part.valid = 0;
    for (Leaves::State& state : part.states) state.plans = 0;
    for (std::int64_t i = std::max(of_.begin, from); i < std::min(of_.end, from + each); ++i) {
      if (const int state = CountLeaf(i - from, &part.refused); state >= 0) {
        ++part.states[static_cast<std::size_t>(state)].plans;
        ++part.valid;
      }
    }
    GroupOf(from, each, part);
  }

  void GroupOf(std::int64_t from, std::int64_t each, const Leaves& leaves) {
    for (const auto& [why, plans] : leaves.refused) found_.invalid[why] += plans;
    found_.valid += leaves.valid;
    if (leaves.valid == 0) return;
    const auto above = [&](std::int64_t ps) { return of_.most_ps != nullptr && ps > *of_.most_ps; };
    if (above(table_.Loosely(choices_))) return;
    const GroupBound bound = table_.Group(choices_);
    if (above(bound.ps)) return;
    PlanGroup group{bound.ps, std::max(of_.begin, from), std::min(of_.end, from + each), 0, 0};
    for (std::size_t s = 0; s < leaves.states.size(); ++s) {
      const std::int64_t plans = leaves.states[s].plans;
      if (plans == 0) continue;
      choices_[static_cast<std::size_t>(Knob::kState)] = static_cast<int>(s);
      const bool fits = !of_.memory || table_.Peak(choices_, bound) <= of_.capacity;
      (fits ? group.left : group.too_large) += plans;
    }
    found_.groups.push_back(group);
  }

  const PlanSpace& space_;
  const QuickTable& table_;
  const Enumeration& of_;
  Choices choices_ = {};
  Leaves leaves_;  // of the degrees
  Candidates found_;
};

// Recomputes as every plan may, in all layers.
bool IsWhole(const Choice& choice) {
  constexpr const char* kPolicies[] = {"none", "selective", "matmuls", "full"};
  return choice.number == 0 && !choice.set.empty() &&
         std::ranges::any_of(kPolicies, [&](const char* policy) {
           return choice.set[0] == std::string("plan.recompute=") + policy;
         });
}

}  // namespace

const char* RefusesLeaf(const PlanSpace& space, const Choices& choices) {
  for (int k = kFirstLeafKnob; k < kKnobs; ++k) {
    const char* why = space.Refuses(static_cast<Knob>(k), choices);
    if (*why != '\0') return why;
  }
  return "";
}

bool IsIn(const Subset& subset, const Choices& choices) {
  for (std::size_t k = 0; k < subset.size(); ++k) {
    if (!subset[k][static_cast<std::size_t>(choices[k])]) return false;
  }
  return true;
}

Subset CoarseSubset(const PlanSpace& space) {
  Subset subset;
  for (int k = 0; k < kKnobs; ++k) {
    const auto knob = static_cast<Knob>(k);
    const std::vector<Choice>& choices = space.choices(knob);
    std::vector<bool>& in = subset[static_cast<std::size_t>(k)];
    for (std::size_t c = 0; c < choices.size(); ++c) {
      const Choice& choice = choices[c];
      const int v = choice.virtual_stages;
      in.push_back(knob == Knob::kOrder       ? c == 0
                   : knob == Knob::kState     ? !choice.on
                   : knob == Knob::kRecompute ? IsWhole(choice)
                   : knob == Knob::kExperts   ? choice.shards == 1
                   : knob == Knob::kSchedule  ? v <= 2 || v == 4 || v == 8
                                              : true);
    }
    if (std::find(in.begin(), in.end(), true) == in.end()) in.assign(choices.size(), true);
  }
  return subset;
}

Candidates FindCandidates(const PlanSpace& space, const QuickTable& table,
                          const Enumeration& enumeration) {
  Candidates all;
  std::mutex mutex;
  const std::int64_t each = space.stride(Knob::kDegrees);
  ParallelFor(space.choices(Knob::kDegrees).size(), enumeration.threads, [&](std::size_t choice) {
    Walk walk(space, table, enumeration);
    walk.One(static_cast<int>(choice));
    if (enumeration.seen != nullptr) *enumeration.seen += each;
    const std::lock_guard lock(mutex);
    Candidates& found = walk.found();
    for (const auto& [why, plans] : found.invalid) all.invalid[why] += plans;
    all.valid += found.valid;
    all.groups.insert(all.groups.end(), found.groups.begin(), found.groups.end());
  });
  std::sort(all.groups.begin(), all.groups.end());
  return all;
}

}  // namespace meshstep
