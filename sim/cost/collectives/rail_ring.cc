// Rail-aligned ring over k nodes of g chips: g rings at once, one per rail, each through every
// chip. In even nodes ring c enters at chip c and goes up to chip c - 1 (mod g), where it leaves;
// odd nodes run it the other way, so that a ring enters and leaves a node on the same rail. Each
// chip's NIC carries one ring and its NVLink port the other g - 1:
//   all-gather of S bytes, p = g k:
//   (p - 1 - k) alpha_in + k alpha_net + S (p - 1) / (p g) max((g - 1) / B_in, 1 / b).
// On a full mesh of even g, ring c zigzags instead: c, c + 1, c - 1, c + 2, ... to c + g / 2. These
// g paths use every link of the mesh once (Walecki's decomposition, run both ways), so that a link
// carries one ring:
//   ... + S (p - 1) / (p g) max(1 / B_link, 1 / b).
// With one chip of each node, over several tiers, it is one ring over the NICs (g = 1).
// A block moves on as soon as it has come; chips do not wait for one another.
// Source: NCCL's rings with one channel per NIC (github.com/NVIDIA/nccl, src/graph).
// Example: 4 nodes of 8 B200 with 50 GB/s NICs, all-reduce of 4 GiB: 2 · 4.29 GB · 31/32 / 400
// GB/s.

#include <algorithm>
#include <utility>

#include "sim/cost/collective_registry.h"
#include "sim/cost/dim_gather.h"
#include "sim/cost/gather_algorithm.h"

namespace meshstep::collectives {
namespace {

// The rank at place i of ring c.
int RankAt(int c, int i, int g, bool zigzag) {
  const int node = i / g;
  const int place = node % 2 == 0 ? i % g : g - 1 - i % g;
  const int step = place % 2 == 1 ? (place + 1) / 2 : g - place / 2;
  return node * g + (c + (zigzag ? step : place)) % g;
}

bool IsMesh(const Group& group) { return group.dims.front().kind == Level::Kind::kFullMesh; }

// g, chips of a node.
int RailsOf(const Group& group) {
  const Group::Dim& dim = group.dims.front();
  return dim.kind == Level::Kind::kNetwork ? 1 : dim.size;
}

class RailRingAlgorithm final : public GatherAlgorithm {
 public:
  std::string_view name() const override { return "rail-ring"; }

 protected:
  bool SupportsGather(const Group& group) const override {
    const Level::Kind kind = group.dims.front().kind;
    const bool node = kind == Level::Kind::kSwitch || kind == Level::Kind::kNetwork ||
                      (IsMesh(group) && group.dims.front().size % 2 == 0);
    return group.dims.size() > 1 && node &&
           std::all_of(group.dims.begin() + 1, group.dims.end(),
                       [](const Group::Dim& dim) { return dim.kind == Level::Kind::kNetwork; });
  }
  std::vector<TrafficPhase> GatherTraffic(Bytes bytes, const Group& group) const override {
    const int p = group.size(), g = RailsOf(group);
    const auto at = [&](int c, int i) { return RankAt(c, i, g, IsMesh(group)); };
    TrafficPhase phase{Latency(group), {}};
    for (int c = 0; c < g; ++c) {
      for (int i = 0; i < p; ++i) {
        phase.flows.push_back({at(c, i), at(c, (i + 1) % p), bytes / g * (p - 1) / p});
      }
    }
    return {phase};
  }
  int GatherStepsApart(const Group& group) const override { return group.size() - 1; }
  MessageSchedule GatherStep(const Group& group, int s) const override {
    const int p = group.size(), g = RailsOf(group);
    const auto at = [&](int c, int i) { return RankAt(c, i, g, IsMesh(group)); };
    MessageSchedule schedule{g, {}, {}};
    for (int c = 0; c < g; ++c) {
      for (int i = 0; i < p; ++i) {
        const int chunk = at(c, (i - s + p) % p);
        schedule.messages.push_back({s, at(c, i), at(c, (i + 1) % p), {chunk * g + c}, false});
      }
    }
    return schedule;
  }
  MessageSchedule GatherMessages(const Group& group) const override {
    MessageSchedule schedule{RailsOf(group), {}, {}};
    for (int s = 0; s < GatherStepsApart(group); ++s) {
      for (Message& m : GatherStep(group, s).messages) schedule.messages.push_back(std::move(m));
    }
    return schedule;
  }
  Seconds GatherClosedForm(Bytes bytes, const Group& group) const override {
    const double p = group.size(), g = RailsOf(group);
    Seconds slowest;
    if (g > 1) slowest = Bytes(IsMesh(group) ? 1 : g - 1) / LinkBandwidth(group.dims.front());
    // A tier carries g rings out of every unit, that is 1 / (its chips) of them per chip.
    double inside = g;
    for (std::size_t d = g > 1 ? 1 : 0; d < group.dims.size(); ++d) {
      slowest = std::max(slowest, Bytes(g / inside) / group.dims[d].bandwidth);
      inside *= group.dims[d].size;
    }
    return Latency(group) + bytes.value() * (p - 1) / (p * g) * slowest;
  }

 private:
  static Seconds Latency(const Group& group) {
    const int p = group.size(), g = RailsOf(group), k = p / g;
    Seconds network;
    for (const Group::Dim& dim : group.dims) {
      if (dim.kind == Level::Kind::kNetwork) network = std::max(network, dim.latency);
    }
    if (g == 1) return (p - 1) * network;
    return (p - 1 - k) * group.dims.front().latency + k * network;
  }
};

}  // namespace

const CollectiveAlgorithm& RailRing() {
  static const RailRingAlgorithm algorithm;
  return algorithm;
}

}  // namespace meshstep::collectives
