// Axes of a mesh: as asked for, and as placed on the levels of a fabric.

#ifndef MESHSTEP_TOPOLOGIES_AXIS_H_
#define MESHSTEP_TOPOLOGIES_AXIS_H_

#include <string>
#include <vector>

namespace meshstep {

// Part of one level that an axis takes: coordinates offset + stride * i for i in [0, size).
struct AxisPart {
  int level;
  int size;
  int stride;  // in coordinates of the level: 1 for the innermost part
  bool operator==(const AxisPart&) const = default;
};

struct AxisRequest {
  std::string name;
  int size;
  std::string physical;  // "" or names of fabric levels, as "x,z"
  // The axis that this one and its neighbours of the same name are parts of, innermost first; "":
  // it is whole. Parts are placed together, as the whole axis would be.
  std::string part_of = {};
};

struct MeshAxis {
  std::string name;
  int size = 1;
  std::vector<AxisPart> parts;  // minor first; the product of their sizes is `size`
};

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_AXIS_H_
