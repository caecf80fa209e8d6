// Torus of 1 to 6 dimensions: each dimension a ring or a line, by the wraparound rule of the chip's
// generation; twisted tori n x n x 2n and n x 2n x 2n; the dies of a chip one level below.
//
// A dimension of size 2 is one pair of links (one per direction), wrapping or not; of size 1, none.
// Twist: where a short dimension (n) closes, every long one (2n) moves on by n. These are the
// rectangular lattices of J. M. Camara et al., "Twisted Torus Topologies for Enhanced
// Interconnection Networks", TPDS 2010, which the TPU v4 paper (arXiv 2304.01433, section 2.8)
// names: all links alike, so that an all-to-all uses every dimension equally.
//
// Several slices are joined by the data-center network: a message goes from the chip's host up and
// to the other chip's host down. The chips of a host share its NICs as one link each way; where a
// host's shape does not divide the slice's, the largest shape that does is taken.
//
// Routes are shortest and dimension-ordered. Half-way around an even ring both ways are used
// equally; on a twisted torus, every shortest displacement is.
//
// Example: (0,0) -> (2,1) on a ring of 4 by a ring of 4: half of the bytes go x+ x+, half x- x-,
// then all y+.

#ifndef MESHSTEP_TOPOLOGIES_TORUS_FABRIC_H_
#define MESHSTEP_TOPOLOGIES_TORUS_FABRIC_H_

#include <string>
#include <vector>

#include "topologies/level_fabric.h"

namespace meshstep {

// Dimensions' names in order: x, y, z, u, v, w.
inline constexpr int kMaxTorusDimensions = 6;

class TorusFabric final : public LevelFabric {
 public:
  TorusFabric(const Cluster& cluster, RateSet rates, Fidelity fidelity);

  std::string LinkName(LinkId link) const override;
  void Route(DeviceId src, DeviceId dst, std::vector<Hop>* hops) const override;
  Seconds Latency(DeviceId src, DeviceId dst) const override;
  FabricGraph Explicit() const override;

 private:
  // A signed number of hops per torus dimension.
  using Displacement = std::array<int, kMaxTorusDimensions>;

  double usable_ = 1;  // of the links' rate

  void AddTorusLevels(const Cluster& cluster, BytesPerSecond link, Seconds latency);
  int level_of(int dimension) const { return first_ + dimension; }
  int extent(int dimension) const {
    return levels_[static_cast<std::size_t>(level_of(dimension))].extent;
  }
  void AddTorusLinks(BytesPerSecond link);
  // usable: the part of the network's rate that large transfers reach.
  void AddSlices(const Cluster& cluster, double usable);
  // Coordinates of the host of a chip, in the box of the hosts' links.
  Coordinates HostOf(Coordinates at) const;
  bool SameSlice(const Coordinates& a, const Coordinates& b) const;
  void ExplicitSlices(FabricGraph* graph, int chips_out, int chips_in) const;
  bool SameChip(const Coordinates& a, const Coordinates& b) const;
  // Moves one hop; returns the link crossed.
  LinkId Step(int dimension, int direction, Coordinates* at) const;
  // Appends the hops of `count` steps and moves `at`.
  void Walk(int dimension, int direction, int count, double fraction, Coordinates* at,
            std::vector<Hop>* hops) const;
  void RouteStraight(Coordinates at, const Coordinates& to, std::vector<Hop>* hops) const;
  void RouteTwisted(const Coordinates& from, const Coordinates& to, std::vector<Hop>* hops) const;
  std::vector<Displacement> ShortestDisplacements(const Coordinates& from,
                                                  const Coordinates& to) const;
  // One candidate: `choice` has a base-3 digit per short dimension, `halves` a bit per long one.
  // Returns its length, -1 if there is no such candidate.
  int DisplacementOf(const Coordinates& from, const Coordinates& to, int choice, int halves,
                     Displacement* way) const;
  int Distance(const Coordinates& from, const Coordinates& to) const;

  int first_ = 0;  // level of dimension x
  int dimensions_ = 0;
  int die_family_ = -1;
  int dcn_family_ = -1;      // -1: one slice
  Coordinates host_{};       // chips of a host, per level
  std::vector<int> family_;  // per dimension; -1: no links
  std::vector<bool> ring_;   // per dimension: closes, on itself or with a twist
  int twist_ = 0;            // n; 0: not twisted
};

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_TORUS_FABRIC_H_
