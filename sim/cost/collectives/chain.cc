// Chain, for broadcast and reduce: along each dim, outer dims first, every rank passes the message
// on to the next while it still receives: (X - 1) alpha + S / B per dim of X, cut finely enough.
// Source: E. Chan et al., CCPE 19(13), 2007 (pipelined broadcast).
// Example: 8 H100 at 450 GB/s, 1 GiB: 7 alpha + 2.39 ms.

#include "sim/cost/broadcast_algorithm.h"
#include "sim/cost/collective_registry.h"
#include "sim/cost/dim_gather.h"
#include "sim/cost/rank_grid.h"

namespace meshstep::collectives {
namespace {

// Pieces in the message-by-message form; the closed form is the limit of many.
constexpr int kPieces = 4;

class ChainAlgorithm final : public BroadcastAlgorithm {
 public:
  std::string_view name() const override { return "chain"; }

 protected:
  std::vector<TrafficPhase> BroadcastTraffic(Bytes bytes, const Group& group) const override {
    const RankGrid grid(group);
    std::vector<TrafficPhase> phases;
    for (int d = grid.dims() - 1; d >= 0; --d) {
      const Group::Dim& dim = group.dims[static_cast<std::size_t>(d)];
      TrafficPhase phase{(dim.size - 1) * dim.latency, {}};
      phase.uneven = true;
      ForEachHop(grid, d, [&](int, int src, int dst) { phase.flows.push_back({src, dst, bytes}); });
      phases.push_back(std::move(phase));
    }
    return phases;
  }
  MessageSchedule BroadcastMessages(const Group& group) const override {
    const RankGrid grid(group);
    MessageSchedule schedule;
    schedule.splits = kPieces;
    int step = 0;
    for (int d = grid.dims() - 1; d >= 0; --d) {
      for (int piece = 0; piece < kPieces; ++piece) {
        ForEachHop(grid, d, [&](int hop, int src, int dst) {
          schedule.messages.push_back({step + hop + piece, src, dst, {piece}, false});
        });
      }
      step += grid.size(d) - 2 + kPieces;
    }
    return schedule;
  }
  Seconds BroadcastClosedForm(Bytes bytes, const Group& group) const override {
    Seconds total;
    for (const Group::Dim& dim : group.dims) {
      total += (dim.size - 1) * dim.latency + bytes / LinkBandwidth(dim);
    }
    return total;
  }

 private:
  // The ranks that have the message when dim d is reached are 0 in the dims below it and in d.
  template <class Visit>
  static void ForEachHop(const RankGrid& grid, int d, Visit visit) {
    for (int rank = 0; rank < grid.ranks(); rank += grid.stride(d)) {
      const int i = grid.Digit(rank, d);
      if (i + 1 < grid.size(d)) visit(i, rank, grid.Shift(rank, d, 1));
    }
  }
};

}  // namespace

const CollectiveAlgorithm& Chain() {
  static const ChainAlgorithm algorithm;
  return algorithm;
}

}  // namespace meshstep::collectives
