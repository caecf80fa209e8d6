#include "topologies/colouring.h"

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <utility>

#include "sim/base/check.h"

namespace meshstep {
namespace {

// Direction (0 out, 1 in), weight and colour at the other end.
using Seen = std::array<int, 3>;

}  // namespace

std::vector<int> RefineColours(const FabricGraph& graph, std::span<const int> weight,
                               std::vector<int> colour) {
  CHECK_EQ(weight.size(), graph.edges.size());
  CHECK_EQ(colour.size(), static_cast<std::size_t>(graph.nodes));
  using Signature = std::pair<int, std::vector<Seen>>;
  std::size_t colours = 0;
  for (int round = 0; round < kMaxColourRounds; ++round) {
    std::vector<Signature> signatures(colour.size());
    for (std::size_t n = 0; n < colour.size(); ++n) signatures[n].first = colour[n];
    for (std::size_t e = 0; e < graph.edges.size(); ++e) {
      const auto from = static_cast<std::size_t>(graph.edges[e].from);
      const auto to = static_cast<std::size_t>(graph.edges[e].to);
      signatures[from].second.push_back({0, weight[e], colour[to]});
      signatures[to].second.push_back({1, weight[e], colour[from]});
    }
    std::map<Signature, int> number;
    for (Signature& signature : signatures) {
      std::sort(signature.second.begin(), signature.second.end());
      number.emplace(signature, 0);
    }
    int next = 0;
    for (auto& entry : number) entry.second = next++;
    for (std::size_t n = 0; n < colour.size(); ++n) colour[n] = number.at(signatures[n]);
    if (number.size() == colours) return colour;
    colours = number.size();
  }
  std::iota(colour.begin(), colour.end(), 0);
  return colour;
}

}  // namespace meshstep
