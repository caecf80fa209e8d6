// The named axes and sizes of a mesh as an exercise writes them, placed on no fabric, in any
// spelling:
//   X=4,Y=8   {X:4,Y:8}   Mesh({'X': 4, 'Y': 8})   Mesh(mesh_shape=(4, 8), axis_names=('X', 'Y'))
//   v5e 4x4   16x16x16    X=4x4,Y=8 (the axis X spans two physical dimensions)
// Unnamed dimensions are called X, Y, Z, W in order.

#ifndef MESHSTEP_STRATEGIES_EINSUM_NOTATION_MESH_SHAPE_H_
#define MESHSTEP_STRATEGIES_EINSUM_NOTATION_MESH_SHAPE_H_

#include <string>
#include <string_view>
#include <vector>

#include "sim/base/ids.h"
#include "sim/base/status.h"

namespace meshstep::einsum {

struct MeshShape {
  struct Axis {
    std::string name;
    int size = 1;
    std::vector<int>
        physical;  // sizes of the physical dimensions it spans; their product is `size`
  };
  std::vector<Axis> axes;
  std::string chip;  // the word before the sizes ("v5e" in "v5e 4x4"), else ""

  // -1 if there is none of that name.
  AxisId Find(std::string_view name) const;
  std::vector<std::string> Names() const;
  std::vector<int> Sizes() const;
  double Chips() const;  // product of the sizes
};

inline constexpr std::size_t kMaxMeshAxes = 64;

// Error: what is wrong, with the axis, and how a mesh is written.
StatusOr<MeshShape> ParseMeshShape(const std::string& text);

// Makes a mesh of names and sizes, with the checks of ParseMeshShape.
StatusOr<MeshShape> MakeMeshShape(std::vector<MeshShape::Axis> axes);

// "{X:4,Y:8}".
std::string ToString(const MeshShape& mesh);

}  // namespace meshstep::einsum

#endif  // MESHSTEP_STRATEGIES_EINSUM_NOTATION_MESH_SHAPE_H_
