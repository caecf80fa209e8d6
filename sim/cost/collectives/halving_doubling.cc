// Recursive halving and doubling. In an all-gather by doubling a rank exchanges all it has with the
// partner at distance p/2, p/4, ..., 1, so that what it holds doubles each time; a reduce-scatter
// halves in the reverse order; an all-reduce does both. p a power of two:
//   all-gather of S bytes: log2(p) alpha + S (p - 1) / (p B).
// Over several tiers the outer dims go first, with the small messages.
// Source: R. Thakur, R. Rabenseifner and W. Gropp, "Optimization of collective communication
// operations in MPICH", IJHPCA 19(1), 2005.
// Example: 8 H100 at 450 GB/s, 1 MiB: 3 alpha + 2.04 us.

#include <bit>

#include "sim/cost/collective_registry.h"
#include "sim/cost/gather_algorithm.h"
#include "sim/cost/rank_grid.h"

namespace meshstep::collectives {
namespace {

class HalvingDoublingAlgorithm final : public GatherAlgorithm {
 public:
  std::string_view name() const override { return "halving-doubling"; }

 protected:
  bool SupportsGather(const Group& group) const override {
    for (const Group::Dim& dim : group.dims) {
      const bool switched = dim.kind == Level::Kind::kSwitch || dim.kind == Level::Kind::kNetwork;
      if (!switched || !std::has_single_bit(static_cast<unsigned>(dim.size))) return false;
    }
    return true;
  }

  std::vector<TrafficPhase> GatherTraffic(Bytes bytes, const Group& group) const override {
    const RankGrid grid(group);
    std::vector<TrafficPhase> phases;
    Bytes held = bytes / grid.ranks();
    for (int d = grid.dims() - 1; d >= 0; --d) {
      TrafficPhase phase{Log2(grid.size(d)) * group.dims[static_cast<std::size_t>(d)].latency, {}};
      for (int distance = grid.size(d) / 2; distance >= 1; distance /= 2) {
        for (int rank = 0; rank < grid.ranks(); ++rank) {
          phase.flows.push_back({rank, Partner(grid, rank, d, distance), held});
        }
        held = held * 2;
      }
      phases.push_back(std::move(phase));
    }
    return phases;
  }

  MessageSchedule GatherMessages(const Group& group) const override {
    const RankGrid grid(group);
    MessageSchedule schedule;
    std::vector<std::vector<int>> held(static_cast<std::size_t>(grid.ranks()));
    for (int rank = 0; rank < grid.ranks(); ++rank) {
      held[static_cast<std::size_t>(rank)] = {rank};
    }
    int step = 0;
    for (int d = grid.dims() - 1; d >= 0; --d) {
      for (int distance = grid.size(d) / 2; distance >= 1; distance /= 2, ++step) {
        const auto before = held;
        for (int rank = 0; rank < grid.ranks(); ++rank) {
          const int partner = Partner(grid, rank, d, distance);
          const std::vector<int>& sent = before[static_cast<std::size_t>(rank)];
          schedule.messages.push_back({step, rank, partner, sent, false});
          std::vector<int>& to = held[static_cast<std::size_t>(partner)];
          to.insert(to.end(), sent.begin(), sent.end());
        }
      }
    }
    return schedule;
  }

  Seconds GatherClosedForm(Bytes bytes, const Group& group) const override {
    Seconds total;
    double inside = 1;
    for (const Group::Dim& dim : group.dims) {
      // Ports below the network are shared by the dies of a chip.
      const double sharing = dim.kind == Level::Kind::kNetwork ? 1 : inside;
      total += Log2(dim.size) * dim.latency +
               bytes * sharing * (dim.size - 1) / (inside * dim.size) / dim.bandwidth;
      inside *= dim.size;
    }
    return total;
  }

 private:
  static int Log2(int x) { return std::bit_width(static_cast<unsigned>(x)) - 1; }
  static int Partner(const RankGrid& grid, int rank, int d, int distance) {
    return grid.WithDigit(rank, d, grid.Digit(rank, d) ^ distance);
  }
};

}  // namespace

const CollectiveAlgorithm& HalvingDoubling() {
  static const HalvingDoublingAlgorithm algorithm;
  return algorithm;
}

}  // namespace meshstep::collectives
