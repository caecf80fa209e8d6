// In-network reduction (NVLS, SHARP): the switch adds what goes to one rank and copies what one
// rank sends to all. On one switch that can, p ranks:
//   reduce-scatter: every rank sends S (p - 1) / p, gets S / p:  alpha + S (p - 1) / (p B);
//   all-gather: the mirror image;
//   all-reduce: both at once in a pipeline, up and down links each carry S: 2 alpha + S / B;
//   broadcast, reduce: alpha + S / B.
// Source: B. Klenk et al., "An in-network architecture for accelerating shared-memory
// multiprocessor collectives", ISCA 2020; NCCL's NVLS. Example: 8 H100 at 450 GB/s, all-reduce of 1
// GiB: 2 alpha + 2.39 ms against 4.18 ms by a ring.

#include "sim/cost/collective_registry.h"

namespace meshstep::collectives {
namespace {

class InNetworkAlgorithm final : public CollectiveAlgorithm {
 public:
  std::string_view name() const override { return "in-network"; }

  bool Supports(Collective collective, const Group& group) const override {
    return group.dims.size() == 1 && group.dims.front().kind != Level::Kind::kNetwork &&
           group.dims.front().in_network_reduction && collective != Collective::kAllToAll &&
           collective != Collective::kPermute && collective != Collective::kExchange;
  }

  std::vector<TrafficPhase> Traffic(Collective collective, Bytes bytes,
                                    const Group& group) const override {
    TrafficPhase phase{Latency(collective, group), {}};
    const int p = group.size();
    const Bytes part = bytes / p;
    const bool rooted = collective == Collective::kBroadcast || collective == Collective::kReduce;
    phase.uneven = rooted;
    for (int rank = 0; rank < (rooted ? 1 : p); ++rank) {
      const Bytes size = rooted ? bytes : part;
      for (int other = 0; other < p; ++other) {
        if (other == rank) continue;
        if (Reduces(collective)) phase.flows.push_back({other, rank, size, Combine::kReduce});
        if (Copies(collective)) phase.flows.push_back({rank, other, size, Combine::kMulticast});
      }
    }
    return {phase};
  }

  MessageSchedule Messages(Collective collective, const Group& group) const override {
    MessageSchedule schedule;
    const int p = group.size();
    std::vector<int> all;
    for (int chunk = 0; chunk < p; ++chunk) all.push_back(chunk);
    const bool rooted = collective == Collective::kBroadcast || collective == Collective::kReduce;
    int step = 0;
    for (const bool reduce : {true, false}) {
      if (!(reduce ? Reduces(collective) : Copies(collective))) continue;
      for (int rank = 0; rank < (rooted ? 1 : p); ++rank) {
        const std::vector<int> chunks =
            collective == Collective::kReduce ? all : std::vector<int>{rank};
        for (int other = 0; other < p; ++other) {
          if (other == rank) continue;
          schedule.messages.push_back({step, reduce ? other : rank, reduce ? rank : other, chunks,
                                       reduce, reduce ? Combine::kReduce : Combine::kMulticast});
        }
      }
      ++step;
    }
    return schedule;
  }

  Seconds ClosedForm(Collective collective, Bytes bytes, const Group& group) const override {
    const double p = group.size();
    const bool parts =
        collective == Collective::kAllGather || collective == Collective::kReduceScatter;
    return Latency(collective, group) +
           bytes * (parts ? (p - 1) / p : 1.0) / group.dims.front().bandwidth;
  }

 private:
  static bool Reduces(Collective collective) {
    return collective == Collective::kReduceScatter || collective == Collective::kAllReduce ||
           collective == Collective::kReduce;
  }
  static bool Copies(Collective collective) {
    return collective == Collective::kAllGather || collective == Collective::kAllReduce ||
           collective == Collective::kBroadcast;
  }
  static Seconds Latency(Collective collective, const Group& group) {
    return (collective == Collective::kAllReduce ? 2.0 : 1.0) * group.dims.front().latency;
  }
};

}  // namespace

const CollectiveAlgorithm& InNetwork() {
  static const InNetworkAlgorithm algorithm;
  return algorithm;
}

}  // namespace meshstep::collectives
