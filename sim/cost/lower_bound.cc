#include "sim/cost/lower_bound.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "sim/base/check.h"
#include "sim/base/index.h"
#include "sim/cost/rank_grid.h"
#include "topologies/graph.h"

namespace meshstep {
namespace {

// Above this many devices graphs are not cut; counted cuts remain.
constexpr int kMostDevicesCut = 8192;

struct Ports {
  std::vector<double> in, out;  // bytes per second of each member
  bool known = false;           // false: a device is attached to ports that it shares
};

// Sum of a device's own links, where it has no attachments.
Ports PortsOf(const Fabric& fabric, const Group& group, const FabricGraph& graph) {
  std::vector<double> in(Index(graph.nodes), 0.0), out(Index(graph.nodes), 0.0);
  for (const FabricEdge& edge : graph.edges) {
    if (edge.link == kNoLink) {
      if (edge.from < fabric.devices() || edge.to < fabric.devices()) return {};
      continue;
    }
    out[Index(edge.from)] += fabric.wire(edge.link).value();
    in[Index(edge.to)] += fabric.wire(edge.link).value();
  }
  Ports ports;
  ports.known = true;
  for (const DeviceId device : group.members) {
    ports.in.push_back(in[Index(device)]);
    ports.out.push_back(out[Index(device)]);
  }
  return ports;
}

bool Combines(const Fabric& fabric) {
  return std::any_of(fabric.levels().begin(), fabric.levels().end(),
                     [](const Level& level) { return level.in_network_reduction; });
}

// Bytes that must pass into the member with the least W, per the table.
double InjectedBytes(Collective collective, double bytes, double p) {
  switch (collective) {
    case Collective::kAllGather:
    case Collective::kReduceScatter:
    case Collective::kAllToAll:
      return bytes * (p - 1) / p;
    case Collective::kAllReduce:
    case Collective::kBroadcast:
    case Collective::kReduce:
    case Collective::kPermute:
    case Collective::kExchange:
      return bytes;
  }
  return 0;
}

double CutBytes(Collective collective, double bytes, double p, double u) {
  switch (collective) {
    case Collective::kAllGather:
    case Collective::kReduceScatter:
      return (p - u) / p * bytes;
    case Collective::kAllToAll:
      return u * (p - u) / p * bytes;
    case Collective::kAllReduce:
    case Collective::kBroadcast:
    case Collective::kReduce:
      return bytes;
    case Collective::kPermute:
    case Collective::kExchange:
      return 0;
  }
  return 0;
}

// Of one device at the level, by the wires.
double WireOf(const Fabric& fabric, const Group::Dim& dim) {
  return dim.bandwidth.value() / fabric.levels()[Index(dim.level)].usable;
}

// Capacity of the cut of a group that is a whole torus, between the lower half of dim d and the
// rest; nothing otherwise.
std::optional<double> CountedCut(const Fabric& fabric, const Group& group, int d) {
  if (group.size() != fabric.devices()) return std::nullopt;
  for (const Group::Dim& dim : group.dims) {
    const bool twisted = !fabric.levels()[Index(dim.level)].shifts && dim.ring;
    const bool whole = dim.size == dim.extent;
    if (dim.kind != Level::Kind::kTorus || twisted || !whole) return std::nullopt;
  }
  const Group::Dim& dim = group.dims[Index(d)];
  const double rows = static_cast<double>(group.size()) / dim.size;
  return rows * (dim.ring && dim.size > 2 ? 2 : 1) * WireOf(fabric, dim);
}

// Capacity out of one unit below a network level, all its NICs or uplinks together; nothing for
// other levels.
std::optional<double> UnitCut(const Fabric& fabric, const Group::Dim& dim) {
  const std::vector<Level>& levels = fabric.levels();
  if (dim.kind != Level::Kind::kNetwork || !levels[Index(dim.level)].shifts) return std::nullopt;
  double devices = 1;
  for (int l = 0; l < dim.level; ++l) devices *= levels[Index(l)].extent;
  return devices * WireOf(fabric, dim);
}

// Members whose coordinate in dim d is below `digits` and, if `unit`, 0 in all dims above.
std::vector<bool> MemberSet(const RankGrid& grid, int d, int digits, bool unit) {
  std::vector<bool> set;
  for (int rank = 0; rank < grid.ranks(); ++rank) {
    bool in = grid.Digit(rank, d) < digits;
    for (int e = d + 1; unit && e < grid.dims(); ++e) in = in && grid.Digit(rank, e) == 0;
    set.push_back(in);
  }
  return set;
}

class Cuts {
 public:
  Cuts(const Fabric& fabric, const Group& group, Collective collective, Bytes bytes)
      : fabric_(fabric), group_(group), collective_(collective), bytes_(bytes.value()) {}

  double Worst() {
    const RankGrid grid(group_);
    double worst = 0;
    for (int d = 0; d < grid.dims(); ++d) {
      const int half = grid.size(d) / 2;
      if (const auto capacity = UnitCut(fabric_, group_.dims[Index(d)])) {
        worst = std::max(worst, UnitTime(grid.stride(d), *capacity));
      }
      if (const auto capacity = CountedCut(fabric_, group_, d)) {
        const double u = static_cast<double>(grid.ranks()) / grid.size(d) * half;
        worst = std::max(worst, Time(u, *capacity));
        continue;
      }
      if (fabric_.devices() > kMostDevicesCut) continue;
      worst = std::max(worst, GraphCut(MemberSet(grid, d, half, false)));
      if (d + 1 < grid.dims()) {
        worst = std::max(worst, GraphCut(MemberSet(grid, d, grid.size(d), true)));
      }
    }
    return worst;
  }

 private:
  // Both U and the rest must get what they lack.
  double Time(double u, double capacity) const {
    const double p = group_.size();
    return std::max(CutBytes(collective_, bytes_, p, u), CutBytes(collective_, bytes_, p, p - u)) /
           capacity;
  }
  // What one unit of u ranks must get, or give, through `capacity` each way.
  double UnitTime(double u, double capacity) const {
    return CutBytes(collective_, bytes_, group_.size(), u) / capacity;
  }
  double GraphCut(const std::vector<bool>& set) {
    if (!graph_) graph_.emplace(fabric_);
    std::vector<DeviceId> inside, outside;
    for (std::size_t rank = 0; rank < set.size(); ++rank) {
      (set[rank] ? inside : outside).push_back(group_.members[rank]);
    }
    const double out = graph_->MinCut(inside, outside).capacity.value();
    const double in = graph_->MinCut(outside, inside).capacity.value();
    // A direction of which the bytes of either set make use.
    return Time(static_cast<double>(inside.size()), std::max(in, out));
  }

  const Fabric& fabric_;
  const Group& group_;
  Collective collective_;
  double bytes_;
  std::optional<Graph> graph_;
};

double Injection(const Fabric& fabric, const Group& group, Collective collective, double bytes) {
  const double p = group.size();
  const Ports ports = PortsOf(fabric, group, fabric.Explicit());
  const double each = InjectedBytes(collective, bytes, p);
  if (!ports.known) {
    if (fabric.devices() > kMostDevicesCut) return 0;
    const Graph graph(fabric);
    const std::vector<DeviceId> others(group.members.begin() + 1, group.members.end());
    const std::vector<DeviceId> first = {group.members.front()};
    return each / std::max(graph.MinCut(others, first).capacity.value(),
                           graph.MinCut(first, others).capacity.value());
  }
  const bool rooted = collective == Collective::kBroadcast || collective == Collective::kReduce;
  const auto least = [&](const std::vector<double>& rates) {
    return rooted ? rates.front() : *std::min_element(rates.begin(), rates.end());
  };
  // A rank that need not send or receive (a root) does not bind.
  double bound = each / std::max(least(ports.in), least(ports.out));
  if (collective == Collective::kAllReduce && !Combines(fabric)) {
    double sum = 0;
    for (const double rate : ports.out) sum += rate;
    bound = std::max(bound, 2 * (p - 1) * bytes / sum);
  }
  return bound;
}

// The same where no sum over dims knows the way: a twisted torus, all of whose ranks are alike.
Seconds FarthestOnTwisted(const Fabric& fabric, const Group& group, bool permute) {
  Seconds longest;
  for (std::size_t r = 0; r < group.members.size(); ++r) {
    const DeviceId from = group.members[permute ? r : 0];
    const DeviceId to = group.members[permute ? (r + 1) % group.members.size() : r];
    longest = std::max(longest, fabric.Latency(from, to));
  }
  return longest;
}

// Alpha between the two ranks farthest apart, or of a permute or an exchange from the last rank to
// the first: torus dims add up.
Seconds FarthestLatency(const Fabric& fabric, const Group& group, Collective collective) {
  const bool permute = collective == Collective::kPermute || collective == Collective::kExchange;
  if (group.twist > 0) return FarthestOnTwisted(fabric, group, permute);
  Seconds torus, longest;
  for (const Group::Dim& dim : group.dims) {
    if (dim.kind != Level::Kind::kTorus) {
      longest = std::max(longest, dim.latency);
      continue;
    }
    const int hops = !dim.ring ? dim.size - 1 : permute ? 1 : dim.size / 2;
    torus += hops * dim.latency;
  }
  return std::max(torus, longest);
}

}  // namespace

Seconds LowerBound::value() const { return std::max({injection, cut, latency}); }

LowerBound LowerBoundOf(const Fabric& fabric, const Group& group, Collective collective,
                        Bytes bytes) {
  CHECK_GT(group.size(), 1);
  LowerBound bound;
  bound.latency = FarthestLatency(fabric, group, collective);
  if (bytes.value() <= 0) return bound;
  bound.injection = Seconds(Injection(fabric, group, collective, bytes.value()));
  bound.cut = Seconds(Cuts(fabric, group, collective, bytes).Worst());
  return bound;
}

}  // namespace meshstep
