// Nodes of equal chips (an NVLink switch or an xGMI full mesh inside), joined by NICs and a tree of
// switch tiers.
//
// Links, one way each:
//   node   switch: one up and one down per chip; full mesh: one per ordered pair of chips.
//   nic    P chips and G NICs per node: G <= P: P/G chips share one; G > P: a chip owns G/P, and
//          messages split evenly over them.
//   tier   the uplink of a unit of n nodes: n G nic / (product of the oversubscriptions up to
//          it), as one fat link; with rails, one such link per rail (NIC index), 1/G of it.
// Routes climb to the lowest tier that joins both ends. Under a tier with rails a NIC reaches only
// its own rail: other rails are joined one tier higher, or, if every tier has rails (one plane per
// NIC, as DeepSeek's), the message first crosses the node to the chip on the destination's rail.
//
// Example: chip 0 of node 0 to chip 0 of node 1 under one leaf: nic up, nic down.
//
// Source: topology facts of DGX SuperPOD, Meta and DeepSeek clusters in the data files' `sources`.

#ifndef MESHSTEP_TOPOLOGIES_NODE_FABRIC_H_
#define MESHSTEP_TOPOLOGIES_NODE_FABRIC_H_

#include <string>
#include <vector>

#include "topologies/level_fabric.h"

namespace meshstep {

class NodeFabric final : public LevelFabric {
 public:
  NodeFabric(const Cluster& cluster, RateSet rates, Fidelity fidelity);

  std::string LinkName(LinkId link) const override;
  void Route(DeviceId src, DeviceId dst, std::vector<Hop>* hops) const override;
  Seconds Latency(DeviceId src, DeviceId dst) const override;
  FabricGraph Explicit() const override;

 private:
  void AddNodeLevel(const Cluster& cluster, RateSet rates, Fidelity fidelity);
  void AddNetwork(const Cluster& cluster, Fidelity fidelity);
  // Devices that differ from `levels` upwards only are on the same chip, node or unit.
  bool SameAbove(const Coordinates& a, const Coordinates& b, int level) const;
  int tier_level(int tier) const { return node_ + 1 + tier; }
  int tiers() const { return static_cast<int>(levels_.size()) - node_ - 1; }
  // The NIC group of a chip: what takes the chip's place in the coordinates of NICs and rails.
  Coordinates NicOf(Coordinates at) const;
  // The lowest tier that joins the two, -1 if their rails meet at none.
  int TurnTier(const Coordinates& from, const Coordinates& to) const;
  void RouteInNode(const Coordinates& from, const Coordinates& to, std::vector<Hop>* hops) const;
  void RouteNetwork(const Coordinates& from, const Coordinates& to, int turn,
                    std::vector<Hop>* hops) const;
  // The hops of one direction (0 up, 1 down) at one step of the way: tier -1 is the NIC.
  void AppendClimb(const Coordinates& nic, int tier, int direction, std::vector<Hop>* hops) const;
  void ExplicitNode(FabricGraph* graph, int chips_out, int chips_in) const;
  void ExplicitNetwork(FabricGraph* graph, int chips_out, int chips_in) const;

  int node_ = 0;  // level of the node
  int die_family_ = -1, node_family_ = -1, nic_family_ = -1;
  std::vector<int> uplink_family_;  // per tier but the last: from it to the next
  std::vector<bool> rails_;         // per tier
  int chips_per_nic_ = 1;
  int nics_per_chip_ = 1;
};

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_NODE_FABRIC_H_
