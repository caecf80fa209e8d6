#include "sim/advice/search/candidates.h"

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <utility>

#include "sim/base/parallel.h"

namespace meshstep {
namespace {

// Walks the choices of one part of the index space, knob by knob.
class Walk {
 public:
  Walk(const PlanSpace& space, const QuickTable& table, std::int64_t begin, std::int64_t end,
       double capacity, const std::atomic<bool>* stop)
      : space_(space), table_(table), begin_(begin), end_(end), capacity_(capacity), stop_(stop) {}

  // All plans from `from` on that share the choices before `knob`.
  void Below(int knob, std::int64_t from) {
    const auto k = static_cast<Knob>(knob);
    const std::int64_t each = space_.stride(k);
    const auto count = static_cast<int>(space_.choices(k).size());
    for (int c = 0; c < count; ++c, from += each) {
      if (from >= end_ || from + each <= begin_) continue;
      if (stop_ != nullptr && *stop_) return;
      choices_[static_cast<std::size_t>(knob)] = c;
      Choose(knob, from, each);
    }
  }

  // The same for one choice of the first knob.
  void One(int choice) {
    const std::int64_t each = space_.stride(Knob::kDegrees);
    choices_[0] = choice;
    if (choice * each < end_ && (choice + 1) * each > begin_) Choose(0, choice * each, each);
  }

  Candidates& found() { return found_; }

 private:
  std::int64_t Inside(std::int64_t from, std::int64_t count) const {
    return std::min(end_, from + count) - std::max(begin_, from);
  }

  void Choose(int knob, std::int64_t from, std::int64_t each) {
    const auto k = static_cast<Knob>(knob);
    if (const char* why = space_.Refuses(k, choices_); *why != '\0') {
      found_.invalid[why] += Inside(from, each);
    } else if (knob + 1 == kKnobs) {
      Leaf();
    } else if (k == Knob::kCustom) {
      Group(from, each);
    } else {
      Below(knob + 1, from);
    }
  }

  void Group(std::int64_t from, std::int64_t each) {
    group_ = table_.Group(choices_);
    const std::int64_t before = found_.left;
    Below(static_cast<int>(Knob::kCustom) + 1, from);
    if (found_.left == before) return;
    found_.groups.push_back({group_.ps, std::max(begin_, from), std::min(end_, from + each)});
  }

  void Leaf() {
    if (table_.Peak(choices_, group_) > capacity_) {
      ++found_.does_not_fit;
    } else {
      ++found_.left;
    }
  }

  const PlanSpace& space_;
  const QuickTable& table_;
  const std::int64_t begin_, end_;
  const double capacity_;
  const std::atomic<bool>* const stop_;
  Choices choices_ = {};
  GroupBound group_;
  Candidates found_;
};

}  // namespace

const char* RefusesLeaf(const PlanSpace& space, const Choices& choices) {
  for (int k = static_cast<int>(Knob::kCustom) + 1; k < kKnobs; ++k) {
    const char* why = space.Refuses(static_cast<Knob>(k), choices);
    if (*why != '\0') return why;
  }
  return "";
}

Candidates FindCandidates(const PlanSpace& space, const QuickTable& table, std::int64_t begin,
                          std::int64_t end, double capacity, int threads,
                          std::atomic<std::int64_t>* seen, const std::atomic<bool>* stop) {
  Candidates all;
  std::mutex mutex;
  const std::int64_t each = space.stride(Knob::kDegrees);
  ParallelFor(space.choices(Knob::kDegrees).size(), threads, [&](std::size_t choice) {
    Walk walk(space, table, begin, end, capacity, stop);
    walk.One(static_cast<int>(choice));
    if (seen != nullptr) *seen += each;
    const std::lock_guard lock(mutex);
    Candidates& found = walk.found();
    for (const auto& [why, plans] : found.invalid) all.invalid[why] += plans;
    all.does_not_fit += found.does_not_fit;
    all.left += found.left;
    all.groups.insert(all.groups.end(), found.groups.begin(), found.groups.end());
  });
  std::sort(all.groups.begin(), all.groups.end());
  return all;
}

}  // namespace meshstep
