// A mesh of named axes placed on a fabric, and the groups (communicators) its axes form.
//
// Placement rule: axes are placed innermost first. On a torus an axis takes whole physical
// dimensions whose product is its size if it can, else the parts of dimensions that give it the
// most links (topologies/torus_split.h). On a cluster of nodes axes fill levels in rank order.
// `physical` overrides it on a torus. An axis given in parts (AxisRequest) is placed as a whole and
// then divided.

#ifndef MESHSTEP_TOPOLOGIES_MESH_H_
#define MESHSTEP_TOPOLOGIES_MESH_H_

#include <span>
#include <string>
#include <vector>

#include "sim/base/ids.h"
#include "sim/base/status.h"
#include "topologies/axis.h"
#include "topologies/fabric.h"

namespace meshstep {

// Communicator: its members in rank order, and the shape that algorithms use.
struct Group {
  // One factor of the group's size: a ring or line of a torus, the chips of a switch, one tier.
  struct Dim {
    Level::Kind kind;
    int level;  // of the fabric
    int size;
    int stride;                // devices of the same level between neighbours (torus)
    bool ring;                 // kTorus: it goes once around a dimension that wraps
    BytesPerSecond bandwidth;  // Level::bandwidth
    Seconds latency;           // alpha between neighbours of the group in this dim
    bool in_network_reduction;
    int extent = 0;  // of the level
  };
  std::vector<Dim> dims;          // minor first; sizes multiply to members.size(); no size 1
  std::vector<DeviceId> members;  // rank r has mixed-radix digits over dims, minor first
  int twist = 0;                  // Level::twist, if it has the whole of the torus
  int size() const { return static_cast<int>(members.size()); }
  // A shift from each rank to the next, the last to the first, loads all its links alike.
  bool ShiftsEvenly() const {
    if (dims.size() != 1) return dims.empty();
    return dims.front().kind != Level::Kind::kTorus || dims.front().ring || dims.front().size == 2;
  }
};

class Mesh {
 public:
  // Requests are innermost first. Errors name the axis and what would fit.
  static StatusOr<Mesh> Place(const Fabric& fabric, std::span<const AxisRequest> requests);

  const Fabric& fabric() const { return *fabric_; }
  const std::vector<MeshAxis>& axes() const { return axes_; }
  // -1 if there is none of that name.
  AxisId Find(std::string_view name) const;
  int size(AxisId axis) const { return axes_[static_cast<std::size_t>(axis)].size; }

  int Coordinate(DeviceId device, AxisId axis) const;
  DeviceId Device(std::span<const int> coordinates) const;  // one per axis

  // The group of `device` along `axes` (major first, as in A[I_XY]: X major). Ranks count with the
  // last axis fastest, but parts of one level that continue each other are joined into one dim at
  // the place of the first, so that a torus dimension taken whole is one ring.
  Group GroupOf(std::span<const AxisId> axes, DeviceId device) const;

 private:
  const Fabric* fabric_ = nullptr;
  std::vector<MeshAxis> axes_;
};

// Link classes under a mesh: links that every plan on this mesh loads alike. `distinguished` axes
// are those along which devices differ (pipeline): links that serve different coordinates of them
// are different classes, as are links at different places of a line, of a dimension or full mesh
// that several axes share, or of any other level that cannot be shifted.
//
// Where several axes share a torus dimension, or a level that is not a torus cannot be shifted,
// devices at different places of it are not alike either: their collectives meet different traffic
// on the links between. Such levels are distinguished.
class LinkClasses {
 public:
  LinkClasses(const Mesh& mesh, std::span<const AxisId> distinguished);

  int size() const { return static_cast<int>(capacity_.size()); }
  BytesPerSecond capacity(int link_class) const {
    return capacity_[static_cast<std::size_t>(link_class)];
  }
  // Number of explicit links in the class.
  std::int64_t count(int link_class) const { return count_[static_cast<std::size_t>(link_class)]; }
  int ClassOf(LinkId link) const;
  // A number that links of equal place in the fabric share, whatever the mesh.
  int KindOf(int link_class) const;
  std::string Name(int link_class) const { return Name(link_class, count(link_class)); }
  // If it stands for `links` of several classes.
  std::string Name(int link_class, std::int64_t links) const;
  // Levels whose coordinates distinguish links, and axes along which devices differ.
  const std::vector<bool>& fixed() const { return fixed_; }
  const std::vector<AxisId>& distinguished() const { return distinguished_; }
  bool IsDistinguished(int level) const { return apart_[static_cast<std::size_t>(level)]; }
  // What tells apart devices that are not alike: coordinates on the distinguished axes and levels.
  std::vector<int> DeviceKey(DeviceId device) const;

 private:
  const Mesh* mesh_;
  const Fabric* fabric_;
  std::vector<AxisId> distinguished_;
  std::vector<bool> fixed_;  // levels whose coordinates distinguish links
  std::vector<bool> apart_;  // levels whose coordinates distinguish devices
  std::vector<BytesPerSecond> capacity_;
  std::vector<std::int64_t> count_;
};

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_MESH_H_
