// Binomial tree, for broadcast and reduce: ranks that have the message send it on at distance
// 2^(K-1), ..., 2, 1 along each dim, outer dims first: ceil(log2 X) (alpha + S / B) per dim of X.
// Half-way around an even torus ring a message takes both ways, S / (2 B).
// Source: R. Thakur, R. Rabenseifner and W. Gropp, IJHPCA 19(1), 2005, section 5.
// Example: 8 H100 at 450 GB/s, 1 MiB: 3 alpha + 6.99 us.

#include <algorithm>
#include <bit>
#include <vector>

#include "sim/cost/broadcast_algorithm.h"
#include "sim/cost/collective_registry.h"
#include "sim/cost/dim_gather.h"
#include "sim/cost/rank_grid.h"

namespace meshstep::collectives {
namespace {

// One step: who sends to whom.
struct Step {
  int dim, distance;
  std::vector<std::pair<int, int>> pairs;
};

std::vector<Step> StepsOf(const Group& group) {
  const RankGrid grid(group);
  std::vector<Step> steps;
  std::vector<int> holders = {0};
  for (int d = grid.dims() - 1; d >= 0; --d) {
    for (int k = std::bit_width(static_cast<unsigned>(grid.size(d) - 1)) - 1; k >= 0; --k) {
      Step step{d, 1 << k, {}};
      for (const int rank : holders) {
        if (grid.Digit(rank, d) + step.distance >= grid.size(d)) continue;
        step.pairs.push_back({rank, grid.Shift(rank, d, step.distance)});
      }
      for (const auto& pair : step.pairs) holders.push_back(pair.second);
      steps.push_back(std::move(step));
    }
  }
  return steps;
}

Seconds StepLatency(const Group& group, const Step& step) {
  const Group::Dim& dim = group.dims[static_cast<std::size_t>(step.dim)];
  if (dim.kind != Level::Kind::kTorus) return dim.latency;
  return (dim.ring ? std::min(step.distance, dim.size - step.distance) : step.distance) *
         dim.latency;
}

class BinomialTreeAlgorithm final : public BroadcastAlgorithm {
 public:
  std::string_view name() const override { return "binomial-tree"; }

 protected:
  std::vector<TrafficPhase> BroadcastTraffic(Bytes bytes, const Group& group) const override {
    std::vector<TrafficPhase> phases;
    for (const Step& step : StepsOf(group)) {
      TrafficPhase phase{StepLatency(group, step), {}};
      phase.uneven = true;
      for (const auto& [src, dst] : step.pairs) phase.flows.push_back({src, dst, bytes});
      phases.push_back(std::move(phase));
    }
    return phases;
  }
  MessageSchedule BroadcastMessages(const Group& group) const override {
    MessageSchedule schedule;
    int index = 0;
    for (const Step& step : StepsOf(group)) {
      for (const auto& [src, dst] : step.pairs) {
        schedule.messages.push_back({index, src, dst, {0}, false});
      }
      ++index;
    }
    return schedule;
  }
  Seconds BroadcastClosedForm(Bytes bytes, const Group& group) const override {
    Seconds total;
    for (const Step& step : StepsOf(group)) {
      const Group::Dim& dim = group.dims[static_cast<std::size_t>(step.dim)];
      const bool both_ways =
          dim.kind == Level::Kind::kTorus && dim.ring && 2 * step.distance == dim.size;
      total += StepLatency(group, step) + bytes / LinkBandwidth(dim) / (both_ways ? 2 : 1);
    }
    return total;
  }
};

}  // namespace

const CollectiveAlgorithm& BinomialTree() {
  static const BinomialTreeAlgorithm algorithm;
  return algorithm;
}

}  // namespace meshstep::collectives
