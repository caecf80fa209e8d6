// The arithmetic that regular fabrics share: links come in families, each a mixed-radix box over
// the coordinates of the levels, so that link ids, symmetry keys and their counts are computed.
//
// Symbols: e_l extent of level l; f_l extent of a family along level l (1 if its links do not
// differ along l); v variants of a family (directions, parallel links, peers);
//   link = first + variant + v (c_0 + f_0 (c_1 + f_1 (...)))
//   key  = base  + variant + v (the same over the fixed levels only)
// Example: dimension x of a 4x8 torus that wraps is one family with v = 2 (x+, x-) and f = (4, 8).
//
// The symmetry behind the keys is the group of shifts of each coordinate that is not fixed. A line
// has no shifts, so its level counts as fixed always; the dimensions of a twisted torus are tied:
// fixing one fixes all, because shifting along one moves the others at the seam.

#ifndef MESHSTEP_TOPOLOGIES_LEVEL_FABRIC_H_
#define MESHSTEP_TOPOLOGIES_LEVEL_FABRIC_H_

#include <array>
#include <span>
#include <string>
#include <vector>

#include "topologies/fabric.h"

namespace meshstep {

inline constexpr int kMaxLevels = 16;

// One coordinate per level, unused ones 0 (coordinates) or 1 (extents).
using Coordinates = std::array<int, kMaxLevels>;

struct LinkFamily {
  std::string name;  // "x", "nvlink", "nic", "leaf"
  int variants = 1;
  Coordinates extents;  // f_l
  BytesPerSecond capacity;
  LinkId first = 0;
  LinkId size = 0;
  BytesPerSecond wire;  // data-sheet rate
};

class LevelFabric : public Fabric {
 public:
  BytesPerSecond capacity(LinkId link) const final { return FamilyOf(link).capacity; }
  BytesPerSecond wire(LinkId link) const final { return FamilyOf(link).wire; }
  int SymmetryKeys(const std::vector<bool>& fixed) const final;
  int SymmetryKey(LinkId link, const std::vector<bool>& fixed) const final;
  std::int64_t KeyCount(int key, const std::vector<bool>& fixed) const final;
  LinkId KeyExample(int key, const std::vector<bool>& fixed) const final;
  // Where `link` comes to lie when every coordinate of level l moves on by by[l], which is 0 for
  // levels that do not shift.
  LinkId Moved(LinkId link, std::span<const int> by) const;

 protected:
  // A link taken apart.
  struct LinkPlace {
    int family;
    int variant;
    Coordinates at;
  };

  int AddLevel(Level level);
  // Returns the index of the family. Extents of 0 make an empty family, which is left out: -1.
  // `usable`: the part of the wire's rate that `capacity` is.
  int AddFamily(std::string name, int variants, const Coordinates& extents, BytesPerSecond capacity,
                double usable = 1);
  // Extents of all levels from `first` on; 1 below.
  Coordinates ExtentsFrom(int first) const;

  Coordinates CoordinatesOf(DeviceId device) const;
  DeviceId DeviceAt(const Coordinates& at) const;
  LinkId LinkAt(int family, int variant, const Coordinates& at) const;
  LinkPlace PlaceOf(LinkId link) const;
  const LinkFamily& family(int index) const { return families_[static_cast<std::size_t>(index)]; }
  int families() const { return static_cast<int>(families_.size()); }

  // Calls visit(coordinates) for every point of the box.
  template <class Visit>
  void ForEach(const Coordinates& extents, Visit visit) const {
    Coordinates at{};
    int level = 0;
    while (level < kMaxLevels) {
      visit(at);
      for (level = 0; level < kMaxLevels; ++level) {
        const auto l = static_cast<std::size_t>(level);
        if (++at[l] < extents[l]) break;
        at[l] = 0;
      }
    }
  }

  unsigned always_fixed_ = 0;  // bit per level: lines
  unsigned tied_ = 0;          // bit per level: fixed together or not at all

 private:
  const LinkFamily& FamilyOf(LinkId link) const;
  unsigned FixedBits(const std::vector<bool>& fixed) const;
  // Number of keys of one family, given the fixed levels.
  static int KeysOf(const LinkFamily& family, unsigned fixed);
  // The family that a key belongs to; `key` becomes the offset within it.
  int FamilyOfKey(int* key, unsigned fixed) const;

  std::vector<LinkFamily> families_;
};

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_LEVEL_FABRIC_H_
