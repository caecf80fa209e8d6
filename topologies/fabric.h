// A fabric: devices, directed links with a capacity, and routes between devices.
//
// Devices are numbered in mixed radix over the fabric's levels, innermost first:
//   device = c_0 + e_0 (c_1 + e_1 (c_2 + ...)),  c_l in [0, e_l), e_l = levels()[l].extent.
// A torus 8x8x16 has levels of extent 8, 8, 16; 64 nodes of 8 under leaves of 32 nodes have 8, 32,
// 2; a chip of two dies has a level of extent 2 below the others.
//
// Links are computed, not stored: a LinkId encodes what it is, so a fabric of 10^5 chips costs
// nothing to make. Explicit() lists every link; topologies/graph.h asks Boost.Graph about them.

#ifndef MESHSTEP_TOPOLOGIES_FABRIC_H_
#define MESHSTEP_TOPOLOGIES_FABRIC_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/base/ids.h"
#include "sim/base/status.h"
#include "sim/base/units.h"
#include "topologies/cluster.h"

namespace meshstep {

// A part of a route: `fraction` of the message's bytes cross `link`. Routes split evenly over equal
// shortest ways (both directions of a ring at distance n/2, parallel links), so fractions may be
// below 1 and sum to 1 per hop.
struct Hop {
  LinkId link;
  double fraction;
};

struct Level {
  enum class Kind {
    kTorus,     // neighbours along one dimension; wraps or is a line
    kSwitch,    // one hop up, one hop down (NVSwitch, dies of one chip)
    kFullMesh,  // a link for every pair
    kNetwork,   // NICs and a tier of leaf, spine or core switches
  };
  Kind kind;
  std::string name;          // "x", "node", "leaf"
  int extent;                // units of the level below that one unit of this level joins
  bool wraps = false;        // kTorus
  BytesPerSecond bandwidth;  // one way, per device: what one device can send into this level alone.
                             // kTorus: one link. kNetwork: its share of the NIC or tapered uplink.
  Seconds latency;           // alpha of one message between neighbours at this level
  bool in_network_reduction = false;
  // Moving everything along this level by one maps the fabric onto itself. Not so on a line of more
  // than two, in a twisted torus (which moves other dimensions at its seam) and in a custom graph.
  bool shifts = true;
  // How long a library's collectives inside one unit of this level take; empty: not measured, or
  // not asked for (kIdeal).
  std::vector<CollectiveCalibration> measured = {};
  // kNetwork: the same of collectives across nodes.
  std::vector<NetworkCalibration> across = {};
  double usable = 1;  // `bandwidth` over that of the wires
  // Of a torus, its dies and its slices: what collectives take beyond hops and bytes.
  std::vector<TorusCollective> torus = {};
  // kTorus: n of a twisted torus n x n x 2n or n x 2n x 2n; 0: not twisted.
  int twist = 0;
};

// The fabric as an explicit directed graph. Nodes 0 .. devices-1 are the devices; further nodes are
// switches and ports. An edge with link kNoLink attaches a device to a port: it has no length and
// no limit. Ports are one-way, so that no path turns around inside a port.
inline constexpr LinkId kNoLink = -1;
struct FabricEdge {
  int from, to;
  LinkId link;
};
struct FabricGraph {
  int nodes = 0;
  std::vector<FabricEdge> edges;
};

class Fabric {
 public:
  virtual ~Fabric() = default;

  const std::vector<Level>& levels() const { return levels_; }
  // What runs the collectives; null: the quickest of all algorithms. On an ideal machine only its
  // latencies hold.
  const CollectiveLibrary* library() const { return library_.get(); }
  DeviceId devices() const { return devices_; }
  LinkId links() const { return links_; }

  // At the fidelity asked for: what large transfers reach.
  virtual BytesPerSecond capacity(LinkId link) const = 0;
  // What no transfer exceeds: the data sheet's rate.
  virtual BytesPerSecond wire(LinkId link) const { return capacity(link); }
  // For people: "x+ (3,0,1)", "nic up 17".
  virtual std::string LinkName(LinkId link) const = 0;
  // Appends the hops from src to dst. src == dst appends nothing.
  virtual void Route(DeviceId src, DeviceId dst, std::vector<Hop>* hops) const = 0;
  // alpha of one message from src to dst, software included; 0 if src == dst.
  virtual Seconds Latency(DeviceId src, DeviceId dst) const = 0;

  // What a link is under the symmetry of the fabric that keeps every coordinate of the levels in
  // `fixed` (one bool per level) and of nothing else: links with equal keys are images of each
  // other. A key is small and dense in [0, SymmetryKeys(fixed)).
  virtual int SymmetryKeys(const std::vector<bool>& fixed) const = 0;
  virtual int SymmetryKey(LinkId link, const std::vector<bool>& fixed) const = 0;
  // Number of links with that key, and one of them.
  virtual std::int64_t KeyCount(int key, const std::vector<bool>& fixed) const = 0;
  virtual LinkId KeyExample(int key, const std::vector<bool>& fixed) const = 0;

  // Every link and attachment; O(links). topologies/graph.h answers questions about it.
  virtual FabricGraph Explicit() const = 0;

  int Coordinate(DeviceId device, int level) const;

 protected:
  std::vector<Level> levels_;
  DeviceId devices_ = 0;
  LinkId links_ = 0;
  std::shared_ptr<const CollectiveLibrary> library_;
};

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_FABRIC_H_
