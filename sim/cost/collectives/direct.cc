// Direct: every rank sends to every other at once, over the fabric's own routes.
//   all-to-all, all-gather, reduce-scatter of S bytes on a switch of p: alpha + S (p - 1) / (p B);
//   all-reduce is the two-shot kind, a reduce-scatter and an all-gather.
// On a torus routes are dimension-ordered, and every dim carries all of S: the busiest link of a
// ring of even X carries S X / 8, of a line S X / 4. On clusters of nodes a port carries what ends
// in its node, a NIC what leaves it.
// Source: "How To Scale Your Model", chapters 3 (AllToAll) and "GPUs".
// Example: 8 H100 at 450 GB/s, all-to-all of 1 GiB per rank: alpha + 2.09 ms.

#include <algorithm>

#include "sim/cost/collective_registry.h"
#include "sim/cost/dim_gather.h"
#include "sim/cost/gather_algorithm.h"

namespace meshstep::collectives {
namespace {

bool Shifts(const Group& group) {
  return std::all_of(group.dims.begin(), group.dims.end(), [](const Group::Dim& dim) {
    return dim.kind != Level::Kind::kTorus || dim.ring;
  });
}

// The longest way: torus dims add up.
Seconds Latency(const Group& group) {
  Seconds torus, longest;
  for (const Group::Dim& dim : group.dims) {
    if (dim.kind == Level::Kind::kTorus) {
      torus += (dim.ring ? dim.size / 2 : dim.size - 1) * dim.latency;
    } else {
      longest = std::max(longest, dim.latency);
    }
  }
  return std::max(torus, longest);
}

// What the busiest link of `dim` takes to drain. `inside`: ranks that differ only in dims below.
Seconds DimDrain(const Group::Dim& dim, double inside, double ranks, Bytes bytes) {
  const double x = dim.size;
  const double half = dim.size / 2;
  switch (dim.kind) {
    case Level::Kind::kTorus:
      if (!dim.ring) return bytes * inside * half * (x - half) / x / dim.bandwidth;
      return bytes * inside * (dim.size % 2 == 0 ? x * x : x * x - 1) / (8 * x) / dim.bandwidth;
    case Level::Kind::kSwitch:
      return bytes * inside * inside * (x - 1) / ranks / dim.bandwidth;
    case Level::Kind::kFullMesh:
      return bytes * inside * inside / ranks / LinkBandwidth(dim);
    case Level::Kind::kNetwork:
      return bytes * (ranks - inside) / ranks / dim.bandwidth;
  }
  return Seconds(0);
}

class DirectAlgorithm final : public GatherAlgorithm {
 public:
  std::string_view name() const override { return "direct"; }

  bool Supports(Collective collective, const Group& group) const override {
    return (collective == Collective::kAllToAll && group.size() > 1) ||
           GatherAlgorithm::Supports(collective, group);
  }
  std::vector<TrafficPhase> Traffic(Collective collective, Bytes bytes,
                                    const Group& group) const override {
    if (collective == Collective::kAllToAll) return GatherTraffic(bytes, group);
    return GatherAlgorithm::Traffic(collective, bytes, group);
  }
  MessageSchedule Messages(Collective collective, const Group& group) const override {
    if (collective != Collective::kAllToAll) return GatherAlgorithm::Messages(collective, group);
    return Exchange(group, [p = group.size()](int src, int dst) { return src * p + dst; });
  }
  Seconds ClosedForm(Collective collective, Bytes bytes, const Group& group) const override {
    if (collective == Collective::kAllToAll) return GatherClosedForm(bytes, group);
    return GatherAlgorithm::ClosedForm(collective, bytes, group);
  }

 protected:
  // On a torus others are as quick and use the links better. Across nodes only small gathers gain:
  // a NIC carries what every chip of other nodes sends.
  bool SupportsGather(const Group& group) const override {
    return std::none_of(group.dims.begin(), group.dims.end(),
                        [](const Group::Dim& dim) { return dim.kind == Level::Kind::kTorus; });
  }

  std::vector<TrafficPhase> GatherTraffic(Bytes bytes, const Group& group) const override {
    TrafficPhase phase{Latency(group), {}};
    phase.shifted = Shifts(group);
    const RankGrid grid(group);
    const int p = group.size();
    phase.flows.reserve(static_cast<std::size_t>(p));
    for (int src = 0; src < (phase.shifted ? 1 : p); ++src) {
      for (int i = 1; i < p; ++i) {
        phase.flows.push_back({src, grid.ShiftBy(src, i), bytes / p});
      }
    }
    return {phase};
  }
  MessageSchedule GatherMessages(const Group& group) const override {
    return Exchange(group, [](int src, int) { return src; });
  }
  Seconds GatherClosedForm(Bytes bytes, const Group& group) const override {
    Seconds drain;
    double inside = 1;
    for (const Group::Dim& dim : group.dims) {
      // Links of a torus are shared by the dies of a chip only.
      const double below = dim.kind == Level::Kind::kTorus ? Dies(group) : inside;
      drain = std::max(drain, DimDrain(dim, below, group.size(), bytes));
      inside *= dim.size;
    }
    return Latency(group) + drain;
  }

 private:
  static double Dies(const Group& group) {
    const Group::Dim& first = group.dims.front();
    return first.kind == Level::Kind::kSwitch ? first.size : 1;
  }
  template <class ChunkOf>
  static MessageSchedule Exchange(const Group& group, ChunkOf chunk_of) {
    MessageSchedule schedule;
    const RankGrid grid(group);
    for (int src = 0; src < group.size(); ++src) {
      for (int i = 1; i < group.size(); ++i) {
        const int dst = grid.ShiftBy(src, i);
        schedule.messages.push_back({0, src, dst, {chunk_of(src, dst)}, false});
      }
    }
    return schedule;
  }
};

}  // namespace

const CollectiveAlgorithm& Direct() {
  static const DirectAlgorithm algorithm;
  return algorithm;
}

}  // namespace meshstep::collectives
