#include "topologies/colouring.h"

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <utility>

#include "sim/base/check.h"

namespace meshstep {
namespace {

// What nodes see along their edges, as numbers that sort by direction (0 out, 1 in), weight and
// colour at the other end. The numbers of one node lie together.
class Signatures {
 public:
  Signatures(const FabricGraph& graph, std::span<const int> weight)
      : graph_(graph), weight_(weight), begin_(static_cast<std::size_t>(graph.nodes) + 1, 0) {
    for (const FabricEdge& edge : graph.edges) {
      ++begin_[static_cast<std::size_t>(edge.from) + 1];
      ++begin_[static_cast<std::size_t>(edge.to) + 1];
    }
    std::partial_sum(begin_.begin(), begin_.end(), begin_.begin());
    seen_.resize(begin_.back());
  }

  void Look(const std::vector<int>& colour) {
    std::vector<std::size_t> next(begin_.begin(), begin_.end() - 1);
    for (std::size_t e = 0; e < graph_.edges.size(); ++e) {
      const auto from = static_cast<std::size_t>(graph_.edges[e].from);
      const auto to = static_cast<std::size_t>(graph_.edges[e].to);
      const auto along = static_cast<std::uint64_t>(weight_[e]) << 32;
      seen_[next[from]++] = along | static_cast<std::uint32_t>(colour[to]);
      seen_[next[to]++] = kInwards | along | static_cast<std::uint32_t>(colour[from]);
    }
    for (std::size_t n = 0; n + 1 < begin_.size(); ++n) {
      std::sort(seen_.begin() + static_cast<std::ptrdiff_t>(begin_[n]),
                seen_.begin() + static_cast<std::ptrdiff_t>(begin_[n + 1]));
    }
  }

  std::span<const std::uint64_t> operator[](int node) const {
    const auto n = static_cast<std::size_t>(node);
    return {seen_.data() + begin_[n], begin_[n + 1] - begin_[n]};
  }

 private:
  static constexpr std::uint64_t kInwards = std::uint64_t{1} << 63;
  const FabricGraph& graph_;
  std::span<const int> weight_;
  std::vector<std::size_t> begin_;
  std::vector<std::uint64_t> seen_;
};

}  // namespace

std::vector<int> RefineColours(const FabricGraph& graph, std::span<const int> weight,
                               std::vector<int> colour) {
  CHECK_EQ(weight.size(), graph.edges.size());
  CHECK_EQ(colour.size(), static_cast<std::size_t>(graph.nodes));
  Signatures signatures(graph, weight);
  std::vector<int> order(colour.size());
  std::iota(order.begin(), order.end(), 0);
  const auto of = [&colour](int node) -> int& { return colour[static_cast<std::size_t>(node)]; };
  int colours = 0;
  for (int round = 0; round < kMaxColourRounds; ++round) {
    signatures.Look(colour);
    std::sort(order.begin(), order.end(), [&](int a, int b) {
      if (of(a) != of(b)) return of(a) < of(b);
      return std::ranges::lexicographical_compare(signatures[a], signatures[b]);
    });
    int next = 0, before = -1;
    std::vector<int> refined(colour.size());
    for (const int node : order) {
      const bool same = before >= 0 && of(node) == of(before) &&
                        std::ranges::equal(signatures[node], signatures[before]);
      if (before >= 0 && !same) ++next;
      refined[static_cast<std::size_t>(node)] = next;
      before = node;
    }
    colour = std::move(refined);
    if (next + 1 == colours) return colour;
    colours = next + 1;
  }
  std::iota(colour.begin(), colour.end(), 0);
  return colour;
}

}  // namespace meshstep
