// PAT, parallel aggregated trees: every rank's block spreads along a binomial tree rooted there,
// all trees at once, far partners first while messages are small. Any p, on a switch or the NICs of
// one chip of each node:
//   all-gather of S bytes: ceil(log2 p) alpha + S (p - 1) / (p B),
// over tapered tiers each step as its busiest uplink.
// At distance D (the powers of two below p, falling) rank r sends to r + D the blocks of the roots
// r - o with o a multiple of 2D and o + D < p.
// Source: S. Jeaugey, "PAT: a new algorithm for all-gather and reduce-scatter operations at scale",
// arXiv 2506.20252, 2025.
// Example: 8 nodes, 1 MiB: 3 alpha + 0.92 MB through each NIC.

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "sim/cost/collective_registry.h"
#include "sim/cost/gather_algorithm.h"
#include "sim/cost/rank_grid.h"

namespace meshstep::collectives {
namespace {

int CeilLog2(int p) { return std::bit_width(static_cast<unsigned>(p - 1)); }

// Offsets o of the roots whose blocks cross distance D.
std::vector<int> Offsets(int p, int distance) {
  std::vector<int> offsets;
  for (int o = 0; o + distance < p; o += 2 * distance) offsets.push_back(o);
  return offsets;
}

Seconds LongestLatency(const Group& group) {
  Seconds longest;
  for (const Group::Dim& dim : group.dims) longest = std::max(longest, dim.latency);
  return longest;
}

class PatAlgorithm final : public GatherAlgorithm {
 public:
  std::string_view name() const override { return "pat"; }

 protected:
  bool SupportsGather(const Group& group) const override {
    const Level::Kind kind = group.dims.front().kind;
    return kind == Level::Kind::kNetwork ||
           (group.dims.size() == 1 && kind == Level::Kind::kSwitch);
  }
  std::vector<TrafficPhase> GatherTraffic(Bytes bytes, const Group& group) const override {
    const int p = group.size();
    if (group.dims.size() > 1) return StepByStep(bytes, group);
    TrafficPhase phase{CeilLog2(p) * group.dims.front().latency, {}};
    phase.shifted = true;
    for (int k = CeilLog2(p) - 1; k >= 0; --k) {
      const double blocks = static_cast<double>(Offsets(p, 1 << k).size());
      phase.flows.push_back({0, 1 << k, blocks * bytes / p});
    }
    return {phase};
  }
  MessageSchedule GatherMessages(const Group& group) const override {
    const int p = group.size();
    MessageSchedule schedule;
    for (int k = CeilLog2(p) - 1; k >= 0; --k) {
      for (int rank = 0; rank < p; ++rank) {
        Message m{CeilLog2(p) - 1 - k, rank, (rank + (1 << k)) % p, {}, false};
        for (const int offset : Offsets(p, 1 << k)) m.chunks.push_back((rank - offset + p) % p);
        schedule.messages.push_back(std::move(m));
      }
    }
    return schedule;
  }
  Seconds GatherClosedForm(Bytes bytes, const Group& group) const override {
    const int p = group.size();
    Seconds total;
    for (int k = CeilLog2(p) - 1; k >= 0; --k) {
      const double blocks = static_cast<double>(Offsets(p, 1 << k).size());
      Seconds drain;
      int unit = 1;
      for (const Group::Dim& dim : group.dims) {
        const double out = std::min({unit, 1 << k, p - (1 << k)});  // of `unit` ranks in a row
        drain = std::max(drain, blocks * bytes / p * out / unit / dim.bandwidth);
        unit *= dim.size;
      }
      total += LongestLatency(group) + drain;
    }
    return total;
  }

 private:
  // Over several tiers ranks count on across units, so that not all shift alike, and the steps load
  // different links most.
  static std::vector<TrafficPhase> StepByStep(Bytes bytes, const Group& group) {
    const int p = group.size();
    std::vector<TrafficPhase> phases;
    for (int k = CeilLog2(p) - 1; k >= 0; --k) {
      TrafficPhase phase{LongestLatency(group), {}};
      phase.uneven = true;
      const double blocks = static_cast<double>(Offsets(p, 1 << k).size());
      for (int rank = 0; rank < p; ++rank) {
        phase.flows.push_back({rank, (rank + (1 << k)) % p, blocks * bytes / p});
      }
      phases.push_back(std::move(phase));
    }
    return phases;
  }
};

}  // namespace

const CollectiveAlgorithm& Pat() {
  static const PatAlgorithm algorithm;
  return algorithm;
}

}  // namespace meshstep::collectives
