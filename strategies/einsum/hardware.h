// The few numbers of a chip that an exercise needs, from a chip's data file or written inline.

#ifndef MESHSTEP_STRATEGIES_EINSUM_HARDWARE_H_
#define MESHSTEP_STRATEGIES_EINSUM_HARDWARE_H_

#include <array>
#include <string>
#include <vector>

#include "sim/base/dtype.h"
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
  BytesPerSecond scale_out;  // per chip, one way
  Interconnect interconnect;

  FlopsPerSecond peak(Dtype dtype) const { return matmul[static_cast<std::size_t>(dtype)]; }
  bool is_switch() const {
    return interconnect.kind == Interconnect::Kind::kSwitch ||
           interconnect.kind == Interconnect::Kind::kFullMesh;
  }
};

Hardware HardwareOf(const Chip& chip, RateSet rates);

// Per physical dimension of each mesh axis: whether it closes into a ring on this chip. Every
// physical dimension of the mesh is taken as one of the torus; those not named have size 1.
std::vector<std::vector<bool>> Rings(const Hardware& hardware, const MeshShape& mesh);

// The axes that are lines on this chip: "X, Y"; "" if there are none.
std::string LinesOf(const Hardware& hardware, const MeshShape& mesh);

}  // namespace meshstep::einsum

#endif  // MESHSTEP_STRATEGIES_EINSUM_HARDWARE_H_
