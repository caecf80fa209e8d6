#include "topologies/node_fabric.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "sim/base/check.h"
#include "sim/base/index.h"
#include "topologies/tiers.h"

namespace meshstep {
NodeFabric::NodeFabric(const Cluster& cluster, RateSet rates, Fidelity fidelity) {
  const int dies = cluster.chip.devices_per_chip;
  const Interconnect& net = cluster.chip.interconnect;
  if (dies > 1) {
    AddLevel({Level::Kind::kSwitch, "die", dies, false, net.die_to_die, net.latency, false});
    node_ = 1;
  }
  devices_ = cluster.devices();
  library_ = cluster.library;
  AddNodeLevel(cluster, rates, fidelity);
  if (cluster.chips > cluster.nodes.chips_per_node) AddNetwork(cluster, fidelity);
  if (dies > 1) die_family_ = AddFamily("die", 2, ExtentsFrom(0), net.die_to_die);
  const Coordinates chips = ExtentsFrom(node_);
  const int peers = levels_[Index(node_)].extent - 1;
  const double usable = fidelity == Fidelity::kCalibrated ? net.usable_fraction : 1;
  if (peers == 0) return;
  if (levels_[Index(node_)].kind == Level::Kind::kFullMesh) {
    node_family_ = AddFamily("node", peers, chips, levels_[Index(node_)].bandwidth / peers, usable);
  } else {
    node_family_ = AddFamily("node", 2, chips, levels_[Index(node_)].bandwidth, usable);
  }
}

void NodeFabric::AddNodeLevel(const Cluster& cluster, RateSet rates, Fidelity fidelity) {
  const Interconnect& net = cluster.chip.interconnect;
  const int chips = std::min(cluster.chips, cluster.nodes.chips_per_node);
  const double usable = fidelity == Fidelity::kCalibrated ? net.usable_fraction : 1;
  const BytesPerSecond link = cluster.chip.rates(rates).link * usable;
  if (net.kind == Interconnect::Kind::kFullMesh) {
    AddLevel(
        {Level::Kind::kFullMesh, "node", chips, false, link * (chips - 1), net.latency, false});
  } else {
    AddLevel(
        {Level::Kind::kSwitch, "node", chips, false, link, net.latency, net.in_network_reduction});
  }
  levels_.back().usable = usable;
  if (fidelity == Fidelity::kCalibrated) levels_.back().measured = cluster.chip.collectives;
}

void NodeFabric::AddNetwork(const Cluster& cluster, Fidelity fidelity) {
  const Nodes& nodes = cluster.nodes;
  const int per_node = nodes.chips_per_node;
  CHECK_EQ(cluster.chips % per_node, 0);
  const StatusOr<std::vector<Tier>> tiers = UsedTiers(nodes.tiers, cluster.chips / per_node);
  CHECK(tiers.ok()) << tiers.status().ToString();
  const bool calibrated = fidelity == Fidelity::kCalibrated;
  const double usable = calibrated ? nodes.nic_usable_fraction : 1;
  const BytesPerSecond nic = nodes.nic * usable;
  // What a tier's uplinks pass on of what reaches it.
  const auto passed = [&](const Tier& tier) {
    return (calibrated ? tier.usable_fraction : 1) / tier.oversubscription;
  };
  const int nics = nodes.nics_per_node;
  chips_per_nic_ = std::max(1, per_node / nics);
  nics_per_chip_ = std::max(1, nics / per_node);
  CHECK_EQ(per_node * nics_per_chip_, nics * chips_per_nic_);
  const int devices_per_node = per_node * cluster.chip.devices_per_chip;

  int below = 1;
  double taper = 1;       // bandwidth of the NICs over what reaches this tier
  double wire_taper = 1;  // the same by the wires
  for (const Tier& tier : *tiers) {
    AddLevel({Level::Kind::kNetwork, tier.name, tier.nodes / below, false,
              nic * nics / (devices_per_node * taper), nodes.nic_latency + tier.latency,
              nodes.network_reduction});
    levels_.back().usable = usable * wire_taper / taper;
    if (calibrated) levels_.back().across = cluster.chip.across_nodes;
    rails_.push_back(tier.rails);
    // Chips 0 and 1 may share a rail while 1 and 2 do not.
    if (tier.rails && chips_per_nic_ > 1) levels_[Index(node_)].shifts = false;
    below = tier.nodes;
    taper *= std::max(1.0, 1 / passed(tier));
    wire_taper *= std::max(1.0, tier.oversubscription);
  }
  Coordinates extents = ExtentsFrom(node_);
  extents[Index(node_)] = per_node / chips_per_nic_;
  nic_family_ = AddFamily("nic", 2 * nics_per_chip_, extents, nic, usable);
  taper = wire_taper = 1;
  for (std::size_t t = 0; t + 1 < tiers->size(); ++t) {
    const Tier& tier = (*tiers)[t];
    extents[Index(tier_level(static_cast<int>(t)))] = 1;
    const BytesPerSecond uplink = nic * tier.nodes * passed(tier) / taper;
    const double usable_here =
        uplink / (nodes.nic * tier.nodes / (wire_taper * tier.oversubscription));
    taper *= std::max(1.0, 1 / passed(tier));
    wire_taper *= std::max(1.0, tier.oversubscription);
    if (tier.rails) {
      uplink_family_.push_back(
          AddFamily(tier.name, 2 * nics_per_chip_, extents, uplink, usable_here));
    } else {
      Coordinates units = extents;
      units[Index(node_)] = 1;
      uplink_family_.push_back(AddFamily(tier.name, 2, units, uplink * nics, usable_here));
    }
  }
}

bool NodeFabric::SameAbove(const Coordinates& a, const Coordinates& b, int level) const {
  return std::equal(a.begin() + level, a.end(), b.begin() + level);
}

Coordinates NodeFabric::NicOf(Coordinates at) const {
  at[Index(node_)] /= chips_per_nic_;
  return at;
}

int NodeFabric::TurnTier(const Coordinates& from, const Coordinates& to) const {
  const bool same_rail = NicOf(from)[Index(node_)] == NicOf(to)[Index(node_)];
  for (int t = 0; t < tiers(); ++t) {
    if (SameAbove(from, to, tier_level(t) + 1) && (same_rail || !rails_[Index(t)])) return t;
  }
  return -1;
}

void NodeFabric::RouteInNode(const Coordinates& from, const Coordinates& to,
                             std::vector<Hop>* hops) const {
  const Level& node = levels_[Index(node_)];
  const int a = from[Index(node_)], b = to[Index(node_)];
  if (node.kind == Level::Kind::kFullMesh) {
    const int peer = (b - a + node.extent) % node.extent;
    hops->push_back({LinkAt(node_family_, peer - 1, from), 1});
    return;
  }
  hops->push_back({LinkAt(node_family_, 0, from), 1});
  hops->push_back({LinkAt(node_family_, 1, to), 1});
}

void NodeFabric::AppendClimb(const Coordinates& nic, int tier, int direction,
                             std::vector<Hop>* hops) const {
  const int links = tier < 0 ? nic_family_ : uplink_family_[Index(tier)];
  if (tier >= 0 && !rails_[Index(tier)]) {
    hops->push_back({LinkAt(links, direction, nic), 1});
    return;
  }
  for (int j = 0; j < nics_per_chip_; ++j) {
    hops->push_back({LinkAt(links, direction + 2 * j, nic), 1.0 / nics_per_chip_});
  }
}

void NodeFabric::RouteNetwork(const Coordinates& from, const Coordinates& to, int turn,
                              std::vector<Hop>* hops) const {
  const Coordinates up = NicOf(from), down = NicOf(to);
  for (int t = -1; t < turn; ++t) AppendClimb(up, t, 0, hops);
  for (int t = turn - 1; t >= -1; --t) AppendClimb(down, t, 1, hops);
}

void NodeFabric::Route(DeviceId src, DeviceId dst, std::vector<Hop>* hops) const {
  if (src == dst) return;
  Coordinates from = CoordinatesOf(src);
  const Coordinates to = CoordinatesOf(dst);
  if (SameAbove(from, to, node_)) {
    hops->push_back({LinkAt(die_family_, 0, from), 1});
    hops->push_back({LinkAt(die_family_, 1, to), 1});
    return;
  }
  if (SameAbove(from, to, node_ + 1)) return RouteInNode(from, to, hops);
  int turn = TurnTier(from, to);
  if (turn < 0) {
    Coordinates via = from;
    via[Index(node_)] = to[Index(node_)];
    RouteInNode(from, via, hops);
    from = via;
    turn = TurnTier(from, to);
  }
  RouteNetwork(from, to, turn, hops);
}

Seconds NodeFabric::Latency(DeviceId src, DeviceId dst) const {
  if (src == dst) return Seconds(0);
  Coordinates from = CoordinatesOf(src);
  const Coordinates to = CoordinatesOf(dst);
  const Seconds in_node = levels_[Index(node_)].latency;
  if (SameAbove(from, to, node_)) return levels_.front().latency;
  if (SameAbove(from, to, node_ + 1)) return in_node;
  const int turn = TurnTier(from, to);
  if (turn >= 0) return levels_[Index(tier_level(turn))].latency;
  from[Index(node_)] = to[Index(node_)];
  return in_node + levels_[Index(tier_level(TurnTier(from, to)))].latency;
}

std::string NodeFabric::LinkName(LinkId link) const {
  const LinkPlace place = PlaceOf(link);
  const LinkFamily& links = family(place.family);
  std::string name = links.name;
  const int chip = place.at[Index(node_)];
  int unit = 0;  // node, or unit of the tier whose uplink this is
  for (int l = static_cast<int>(levels_.size()) - 1; l > node_; --l) {
    unit = unit * links.extents[Index(l)] + place.at[Index(l)];
  }
  if (place.family == die_family_) {
    return absl::StrCat(name, place.variant == 0 ? " up" : " down", " node ", unit, " chip ", chip,
                        " die ", place.at[0]);
  }
  if (place.family == node_family_ && levels_[Index(node_)].kind == Level::Kind::kFullMesh) {
    const int peer = (chip + place.variant + 1) % levels_[Index(node_)].extent;
    return absl::StrCat(name, " ", unit, " chip ", chip, " to ", peer);
  }
  absl::StrAppend(&name, place.variant % 2 == 0 ? " up " : " down ", unit);
  if (place.family == node_family_) return absl::StrCat(name, " chip ", chip);
  if (place.family == nic_family_ || links.variants > 2 || links.extents[Index(node_)] > 1) {
    absl::StrAppend(&name, place.family == nic_family_ ? " nic " : " rail ",
                    chip * nics_per_chip_ + place.variant / 2);
  }
  return name;
}

void NodeFabric::ExplicitNode(FabricGraph* graph, int chips_out, int chips_in) const {
  const int dies = node_ == 0 ? 1 : levels_.front().extent;
  const int in_node = levels_[Index(node_)].extent;
  const int switches = graph->nodes;
  const bool mesh = levels_[Index(node_)].kind == Level::Kind::kFullMesh;
  if (!mesh) graph->nodes += devices_ / dies / in_node;
  for (int chip = 0; chip < devices_ / dies; ++chip) {
    const Coordinates at = CoordinatesOf(chip * dies);
    if (node_family_ < 0) continue;
    if (mesh) {
      const int base = chip - chip % in_node;
      for (int k = 1; k < in_node; ++k) {
        graph->edges.push_back({chips_out + chip, chips_in + base + (chip % in_node + k) % in_node,
                                LinkAt(node_family_, k - 1, at)});
      }
      continue;
    }
    const int node_switch = switches + chip / in_node;
    graph->edges.push_back({chips_out + chip, node_switch, LinkAt(node_family_, 0, at)});
    graph->edges.push_back({node_switch, chips_in + chip, LinkAt(node_family_, 1, at)});
  }
}

void NodeFabric::ExplicitNetwork(FabricGraph* graph, int chips_out, int chips_in) const {
  const int dies = node_ == 0 ? 1 : levels_.front().extent;
  // Switches of a tier: one per unit and, with rails, per NIC index.
  const int in_node = levels_[Index(node_)].extent;
  const int nics = in_node / chips_per_nic_ * nics_per_chip_;
  const int nodes = devices_ / dies / in_node;
  std::vector<int> first_switch, nodes_of;
  int unit = 1;
  for (int t = 0; t < tiers(); ++t) {
    unit *= levels_[Index(tier_level(t))].extent;
    nodes_of.push_back(unit);
    first_switch.push_back(graph->nodes);
    graph->nodes += nodes / unit * (rails_[Index(t)] ? nics : 1);
  }
  const auto switch_of = [&](int tier, int node, int rail) {
    const int index = node / nodes_of[Index(tier)];
    return first_switch[Index(tier)] + (rails_[Index(tier)] ? index * nics + rail : index);
  };
  const int ports = graph->nodes;
  graph->nodes += 2 * nodes * nics;  // way out and way in of every NIC
  for (int chip = 0; chip < nodes * in_node; ++chip) {
    const int node = chip / in_node;
    const Coordinates at = NicOf(CoordinatesOf(chip * dies));
    for (int j = 0; j < nics_per_chip_; ++j) {
      const int rail = at[Index(node_)] * nics_per_chip_ + j;
      const int port = ports + 2 * (node * nics + rail);
      graph->edges.push_back({chips_out + chip, port, kNoLink});
      graph->edges.push_back({port + 1, chips_in + chip, kNoLink});
      if (chip % chips_per_nic_ != 0) continue;
      const int leaf = switch_of(0, node, rail);
      graph->edges.push_back({port, leaf, LinkAt(nic_family_, 2 * j, at)});
      graph->edges.push_back({leaf, port + 1, LinkAt(nic_family_, 2 * j + 1, at)});
    }
  }
  for (int t = 0; t + 1 < tiers(); ++t) {
    for (int node = 0; node < nodes; node += nodes_of[Index(t)]) {
      const int rails = rails_[Index(t)] ? nics : 1;
      for (int rail = 0; rail < rails; ++rail) {
        Coordinates at = CoordinatesOf(node * in_node * dies);
        at[Index(node_)] = rail / nics_per_chip_;
        const int variant = 2 * (rail % nics_per_chip_);
        const int below = switch_of(t, node, rail), above = switch_of(t + 1, node, rail);
        const int links = uplink_family_[Index(t)];
        graph->edges.push_back({below, above, LinkAt(links, variant, at)});
        graph->edges.push_back({above, below, LinkAt(links, variant + 1, at)});
      }
    }
  }
}

FabricGraph NodeFabric::Explicit() const {
  const int dies = node_ == 0 ? 1 : levels_.front().extent;
  const int chips = devices_ / dies;
  FabricGraph graph{devices_, {}};
  int out = 0, in = 0;
  if (node_ == 1) {
    // Devices, then a switch, a way out and a way in per chip.
    graph.nodes += 3 * chips;
    out = devices_ + chips;
    in = devices_ + 2 * chips;
    for (DeviceId device = 0; device < devices_; ++device) {
      const int chip = device / dies;
      const Coordinates at = CoordinatesOf(device);
      graph.edges.push_back({device, devices_ + chip, LinkAt(die_family_, 0, at)});
      graph.edges.push_back({devices_ + chip, device, LinkAt(die_family_, 1, at)});
      graph.edges.push_back({device, out + chip, kNoLink});
      graph.edges.push_back({in + chip, device, kNoLink});
    }
  }
  ExplicitNode(&graph, out, in);
  if (tiers() > 0) ExplicitNetwork(&graph, out, in);
  return graph;
}

}  // namespace meshstep
