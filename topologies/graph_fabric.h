// Any network, given link by link: one level, whose extent is the number of devices.
//
// Routes take the shortest ways by number of links; every node splits what passes through evenly
// over the links that lead on (equal-cost multipath). Hops to every device are found with
// Boost.Graph when the fabric is built: O(devices (nodes + links)) time, devices * nodes ints of
// memory.
//
// A graph has no coordinates that a symmetry could keep, so `fixed` is not used: links are of one
// key if colour refinement with every device told apart does not tell them apart (colouring.h);
// then they carry equal shares of every message. Mostly every link is alone with its key.
//
// The level is a kNetwork; its bandwidth is the least that any device can send (the sum of its
// links), its latency the hop diameter times the greatest latency of a link.
//
// Example: three devices in a row, 0 - 1 - 2: 0 to 2 crosses two links.

#ifndef MESHSTEP_TOPOLOGIES_GRAPH_FABRIC_H_
#define MESHSTEP_TOPOLOGIES_GRAPH_FABRIC_H_

#include <string>
#include <vector>

#include "topologies/fabric.h"

namespace meshstep {

// Most devices of a custom graph, and most devices * nodes.
inline constexpr int kMaxGraphDevices = 4096;
inline constexpr std::int64_t kMaxGraphHops = 1 << 24;

class GraphFabric final : public Fabric {
 public:
  // Links must have ends in range, positive bandwidth, and join every device to every other.
  explicit GraphFabric(const Cluster& cluster);

  BytesPerSecond capacity(LinkId link) const override;
  std::string LinkName(LinkId link) const override;
  void Route(DeviceId src, DeviceId dst, std::vector<Hop>* hops) const override;
  Seconds Latency(DeviceId src, DeviceId dst) const override;
  int SymmetryKeys(const std::vector<bool>& fixed) const override;
  int SymmetryKey(LinkId link, const std::vector<bool>& fixed) const override;
  std::int64_t KeyCount(int key, const std::vector<bool>& fixed) const override;
  LinkId KeyExample(int key, const std::vector<bool>& fixed) const override;
  FabricGraph Explicit() const override;

 private:
  // Calls visit(link) for the links out of `node` that lead on to `dst`.
  template <class Visit>
  void ForEachNext(int node, DeviceId dst, Visit visit) const;
  int hops(int node, DeviceId dst) const {
    return hops_[static_cast<std::size_t>(dst)][static_cast<std::size_t>(node)];
  }
  void FindKeys();

  int nodes_;
  std::vector<GraphLink> graph_;  // by LinkId
  std::vector<int> out_begin_;    // links out of node n: out_[out_begin_[n] .. out_begin_[n+1])
  std::vector<LinkId> out_;
  std::vector<std::vector<int>> hops_;  // per destination, per node; -1: no way
  std::vector<int> key_;                // per link
  std::vector<std::int64_t> key_count_;
  std::vector<LinkId> key_example_;
};

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_GRAPH_FABRIC_H_
