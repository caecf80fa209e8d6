// The few numbers of a chip that an exercise needs, from a chip's data file or written inline.

#ifndef MESHSTEP_STRATEGIES_EINSUM_HARDWARE_H_
#define MESHSTEP_STRATEGIES_EINSUM_HARDWARE_H_

#include <array>
#include <set>
#include <string>
#include <vector>

#include "sim/base/dtype.h"
#include "sim/base/ids.h"
#include "sim/base/units.h"
#include "strategies/einsum/notation/mesh_shape.h"
#include "topologies/chip.h"

namespace meshstep::einsum {

// Rates per chip; 0 where a number is not known.
struct Hardware {
  std::string name;
  std::array<FlopsPerSecond, kDtypes> matmul{};
  BytesPerSecond hbm_rate;
  Bytes hbm;
  BytesPerSecond link;       // torus: one link, one way; switch: all links of a chip, one way
  BytesPerSecond scale_out;  // per chip, one way, out of the domain of a switch
  Interconnect interconnect;

  FlopsPerSecond peak(Dtype dtype) const { return matmul[static_cast<std::size_t>(dtype)]; }
  bool is_switch() const {
    return interconnect.kind == Interconnect::Kind::kSwitch ||
           interconnect.kind == Interconnect::Kind::kFullMesh;
  }
};

Hardware HardwareOf(const Chip& chip, RateSet rates);

// Per physical dimension of each mesh axis: whether it closes into a ring on this chip. Every
// physical dimension of the mesh is taken as a whole one of the slice that topologies/wraparound.h
// takes the mesh to lie on (X=4,Y=8 of a v5p: 4x8x4), as `meshstep collective --chip` does.
std::vector<std::vector<bool>> Rings(const Hardware& hardware, const MeshShape& mesh);

// Per mesh axis: how many of its chips are in one domain of a switch, if chips fill domains with
// the axes in `order`, innermost first (empty: the last axis is innermost).
std::vector<double> LocalSizes(const Hardware& hardware, const MeshShape& mesh,
                               const std::vector<AxisId>& order);

// Where the axes are, for people: "X a ring of 4, Y a line of 8, on a slice of 4x8x1"; "Z inside a
// node of 8, Y 2 in each of 2 nodes, X 1 in each of 4 nodes (innermost first)".
std::string PlacementOf(const Hardware& hardware, const MeshShape& mesh,
                        const std::vector<AxisId>& order);

// What the placement costs the axes that communicate, and how to change it: lines that do not
// close, more axes than the torus has dimensions, axes across nodes that fit in one.
std::vector<std::string> PlacementNotes(const Hardware& hardware, const MeshShape& mesh,
                                        const std::vector<AxisId>& order,
                                        const std::set<AxisId>& communicate);

}  // namespace meshstep::einsum

#endif  // MESHSTEP_STRATEGIES_EINSUM_HARDWARE_H_
