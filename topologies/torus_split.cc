#include "topologies/torus_split.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

namespace meshstep {
namespace {

constexpr int kMostSplits = 20000;

using Sizes = std::vector<int>;  // per level

// What a split is judged by, least first; times in seconds per byte.
struct Merit {
  int slices = 1;
  int whole = 1;  // product of the dimensions taken whole
  double time = 0;
  int hops = 0;

  auto Key() const { return std::tuple(slices, -whole, time); }
};

class Search {
 public:
  explicit Search(const std::vector<Level>& levels) : levels_(levels) {
    for (const Level& level : levels) twisted_ = twisted_ || level.twist > 0;
  }

  // The best split of the first of `sizes` and the merits of all, in order; empty: it does not fit.
  struct Found {
    Sizes split;
    std::vector<Merit> merits;
  };
  Found Best(std::span<const int> sizes, const Sizes& left, const Sizes& stride) {
    Found best;
    if (sizes.empty()) return best;
    std::vector<std::pair<Merit, Sizes>> splits;
    Sizes split(levels_.size(), 1);
    Enumerate(sizes.front(), left, stride, &split, &splits);
    if (splits.empty()) return best;
    const Merit least =
        std::min_element(splits.begin(), splits.end(), [](const auto& a, const auto& b) {
          return a.first.Key() < b.first.Key();
        })->first;
    for (const auto& [merit, sizes_of] : splits) {
      if (!Ties(merit, least) || (!best.split.empty() && looked_at_ > kMostSplits)) continue;
      Sizes rest = left, above = stride;
      for (std::size_t l = 0; l < rest.size(); ++l) {
        rest[l] /= sizes_of[l];
        above[l] *= sizes_of[l];
      }
      Found found{sizes_of, {merit}};
      const std::vector<Merit> later = Best(sizes.subspan(1), rest, above).merits;
      found.merits.insert(found.merits.end(), later.begin(), later.end());
      if (best.split.empty() || Better(found.merits, best.merits)) best = std::move(found);
    }
    return best;
  }

 private:
  bool IsTorus(std::size_t l) const { return levels_[l].kind == Level::Kind::kTorus; }

  // As much as possible of the first levels first.
  void Enumerate(int need, const Sizes& left, const Sizes& stride, Sizes* split,
                 std::vector<std::pair<Merit, Sizes>>* splits, std::size_t level = 0) {
    if (level == levels_.size()) {
      if (need != 1) return;
      ++looked_at_;
      splits->emplace_back(MeritOf(*split, stride), *split);
      return;
    }
    for (int part = std::min(need, left[level]); part >= 1; --part) {
      if (left[level] % part != 0 || need % part != 0) continue;
      (*split)[level] = part;
      Enumerate(need / part, left, stride, split, splits, level + 1);
    }
    (*split)[level] = 1;
  }

  Merit MeritOf(const Sizes& split, const Sizes& strides) const {
    Merit merit;
    double ranks = 1, links = 0, sharing = 1;
    for (std::size_t l = 0; l < levels_.size(); ++l) {
      const Level& level = levels_[l];
      const int stride = strides[l];
      const double others = 1 - 1.0 / split[l];
      if (level.kind == Level::Kind::kNetwork) {
        merit.slices = split[l];
      } else if (!IsTorus(l)) {
        sharing *= level.extent / split[l];
        merit.time += others / level.bandwidth.value();
      } else if (split[l] > 1) {
        const bool ring = level.wraps && stride * split[l] == level.extent && level.extent > 2;
        merit.hops += stride * (ring ? split[l] / 2 : split[l] - 1);
        const bool both_ways = ring && (split[l] > 2 || stride > 1);
        links += (both_ways ? 2.0 : 1.0) / stride * level.bandwidth.value();
        ranks *= split[l];
      }
      const bool slices = level.kind == Level::Kind::kNetwork;
      if (!slices && !twisted_ && split[l] == level.extent) merit.whole *= split[l];
    }
    if (links > 0) merit.time += (1 - 1 / ranks) * sharing / links;
    return merit;
  }

  static bool Ties(const Merit& a, const Merit& b) {
    return a.slices == b.slices && a.whole == b.whole && a.time <= b.time * (1 + 1e-9);
  }

  static bool Better(const std::vector<Merit>& a, const std::vector<Merit>& b) {
    int hops_a = 0, hops_b = 0;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      if (!Ties(a[i], b[i]) || !Ties(b[i], a[i])) return a[i].Key() < b[i].Key();
      hops_a += a[i].hops;
      hops_b += b[i].hops;
    }
    return hops_a < hops_b;
  }

  const std::vector<Level>& levels_;
  bool twisted_ = false;
  int looked_at_ = 0;
};

}  // namespace

std::optional<std::vector<int>> TorusSplit::Best(int size, std::span<const int> later) const {
  std::vector<int> sizes = {size};
  // An axis of one rank takes nothing.
  std::copy_if(later.begin(), later.end(), std::back_inserter(sizes), [](int n) { return n > 1; });
  Search::Found found = Search(levels_).Best(sizes, left_, stride_);
  if (found.split.empty()) return std::nullopt;
  return std::move(found.split);
}

}  // namespace meshstep
