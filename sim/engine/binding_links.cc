#include "sim/engine/binding_links.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "sim/base/index.h"

namespace meshstep {
namespace {

constexpr std::size_t kFewLinks = 64;
constexpr std::size_t kMostCompared = 128;

// One link's demands, as seconds of it.
struct Use {
  std::size_t phase;
  double seconds;
  bool operator==(const Use&) const = default;
};

// Calls visit(phase number, demands) for every phase of the patterns.
template <class Visit>
void ForEachPhase(const TaskGraph& graph, PatternId patterns, Visit visit) {
  std::size_t p = 0;
  for (PatternId pattern = 0; pattern < patterns; ++pattern) {
    for (const Phase& phase : graph.phases(pattern)) visit(p++, phase.demands);
  }
}

PatternId PatternsOf(const TaskGraph& graph) {
  PatternId patterns = 0;
  for (TaskId t = 0; t < graph.tasks(); ++t) patterns = std::max(patterns, graph.pattern(t) + 1);
  return patterns;
}

// Links that are kept, with what each phase asks of them.
class Front {
 public:
  explicit Front(std::size_t phases) : phases_(phases) {}

  bool Covers(std::span<const Use> uses) const {
    for (std::size_t i = 0; i < links_; ++i) {
      const double* const row = rows_.data() + i * phases_;
      if (std::ranges::all_of(uses, [&](const Use& u) { return u.seconds <= row[u.phase]; })) {
        return true;
      }
    }
    return false;
  }
  void Add(std::span<const Use> uses) {
    if (links_ == kMostCompared) return;
    ++links_;
    rows_.resize(links_ * phases_);
    for (const Use& u : uses) rows_[(links_ - 1) * phases_ + u.phase] = u.seconds;
  }

 private:
  const std::size_t phases_;
  std::size_t links_ = 0;
  std::vector<double> rows_;
};

}  // namespace

BindingLinks::BindingLinks(const TaskGraph& graph) : graph_(graph) {
  if (graph.links().size() <= kFewLinks) return;
  const PatternId patterns = PatternsOf(graph);
  std::size_t phases = 0;
  for (PatternId pattern = 0; pattern < patterns; ++pattern) {
    first_phase_.push_back(phases);
    phases += graph.phases(pattern).size();
  }
  const std::vector<bool> kept = KeptLinks(phases);
  begin_.push_back(0);
  ForEachPhase(graph, patterns, [&](std::size_t, const std::vector<FlowDemand>& demands) {
    for (const FlowDemand& d : demands) {
      if (kept[Index(d.link)]) demands_.push_back(d);
    }
    begin_.push_back(demands_.size());
  });
}

std::vector<bool> BindingLinks::KeptLinks(std::size_t phases) const {
  const std::size_t links = graph_.links().size();
  const auto patterns = static_cast<PatternId>(first_phase_.size());
  const auto seconds = [&](const FlowDemand& d) {
    return d.bytes / graph_.links()[Index(d.link)].value();
  };
  std::vector<std::size_t> begin(links + 1, 0);
  std::vector<double> longest(phases, 0);
  ForEachPhase(graph_, patterns, [&](std::size_t p, const std::vector<FlowDemand>& demands) {
    for (const FlowDemand& d : demands) {
      ++begin[Index(d.link) + 1];
      longest[p] = std::max(longest[p], seconds(d));
    }
  });
  std::partial_sum(begin.begin(), begin.end(), begin.begin());
  std::vector<Use> uses(begin.back());
  std::vector<std::size_t> next(begin.begin(), begin.end() - 1);
  std::vector<double> sum(links, 0);
  ForEachPhase(graph_, patterns, [&](std::size_t p, const std::vector<FlowDemand>& demands) {
    for (const FlowDemand& d : demands) {
      uses[next[Index(d.link)]++] = {p, seconds(d)};
      sum[Index(d.link)] += seconds(d) / longest[p];
    }
  });
  std::vector<std::size_t> order(links);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater<>(), [&](std::size_t l) { return sum[l]; });
  std::vector<bool> kept(links, false);
  Front front(phases);
  std::span<const Use> before;
  for (const std::size_t l : order) {
    const std::span<const Use> of(uses.data() + begin[l], uses.data() + begin[l + 1]);
    if (of.empty() || std::ranges::equal(of, before)) continue;
    before = of;
    if (front.Covers(of)) continue;
    kept[l] = true;
    front.Add(of);
  }
  return kept;
}

}  // namespace meshstep
