// Neighbour exchange: half of what is handed on goes each way around, so that both links of a dim
// that closes are busy: alpha + S / (2 B). On a switch or network one port carries both halves:
// alpha + S / B. Matmuls in parts beside a ring of TPUs move their parts so.
// Source: S. Wang et al., "Overlap Communication with Dependent Computation via Decomposition in
// Large Deep Learning Models", ASPLOS 2023, section 5.4 (bidirectional transfer).
// Example: 16 MB among 8 v5p on a ring, 90 GB/s a link: 1 us + 89 us, where a permute takes 178.

#include "sim/cost/collective_registry.h"
#include "sim/cost/dim_gather.h"

namespace meshstep::collectives {
namespace {

class NeighbourExchangeAlgorithm final : public CollectiveAlgorithm {
 public:
  std::string_view name() const override { return "neighbour-exchange"; }
  bool Supports(Collective collective, const Group& group) const override {
    if (collective != Collective::kExchange || group.dims.size() != 1) return false;
    const Group::Dim& dim = group.dims.front();
    return dim.kind != Level::Kind::kTorus || (dim.ring && dim.size > 2);
  }
  std::vector<TrafficPhase> Traffic(Collective, Bytes bytes, const Group& group) const override {
    TrafficPhase phase{group.dims.front().latency, {}};
    for (int rank = 0; rank < group.size(); ++rank) {
      for (const int to : {Next(rank, group), Previous(rank, group)}) {
        phase.flows.push_back({rank, to, bytes / 2});
      }
    }
    return {phase};
  }
  MessageSchedule Messages(Collective, const Group& group) const override {
    MessageSchedule schedule;
    schedule.splits = 2;
    for (int rank = 0; rank < group.size(); ++rank) {
      schedule.messages.push_back({0, rank, Next(rank, group), {2 * rank}, false});
      schedule.messages.push_back({0, rank, Previous(rank, group), {2 * rank + 1}, false});
    }
    return schedule;
  }
  Seconds ClosedForm(Collective, Bytes bytes, const Group& group) const override {
    const Group::Dim& dim = group.dims.front();
    // Two ranks of a full mesh have one link for both halves.
    const bool two_links =
        dim.kind == Level::Kind::kTorus || (dim.kind == Level::Kind::kFullMesh && dim.size > 2);
    return dim.latency + bytes / (two_links ? 2 : 1) / LinkBandwidth(dim);
  }

 private:
  static int Next(int rank, const Group& group) { return (rank + 1) % group.size(); }
  static int Previous(int rank, const Group& group) {
    return (rank + group.size() - 1) % group.size();
  }
};

}  // namespace

const CollectiveAlgorithm& NeighbourExchange() {
  static const NeighbourExchangeAlgorithm algorithm;
  return algorithm;
}

}  // namespace meshstep::collectives
