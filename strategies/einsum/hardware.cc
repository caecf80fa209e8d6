#include "strategies/einsum/hardware.h"

#include <algorithm>

namespace meshstep::einsum {

Hardware HardwareOf(const Chip& chip, RateSet set) {
  const Rates& rates = chip.rates(set);
  Hardware hardware;
  hardware.name = chip.name;
  hardware.matmul = rates.matmul;
  hardware.hbm_rate = rates.hbm_rate;
  hardware.hbm = rates.hbm;
  hardware.link = rates.link;
  hardware.scale_out = rates.scale_out;
  hardware.interconnect = chip.interconnect;
  return hardware;
}

std::vector<std::vector<bool>> Rings(const Hardware& hardware, const MeshShape& mesh) {
  using Wraparound = Interconnect::Wraparound;
  const Interconnect& net = hardware.interconnect;
  int dims = 0;
  bool cubes = true;
  for (const MeshShape::Axis& axis : mesh.axes) {
    for (int size : axis.physical) {
      if (size > 1) ++dims;
      cubes = cubes && (size == 1 || size % 4 == 0);
    }
  }
  cubes = cubes && dims == net.dimensions;
  auto wraps = [&](int size) {
    switch (net.wraparound) {
      case Wraparound::kNever:
        return false;
      case Wraparound::kFullAxis:
        return size == net.full_axis;
      case Wraparound::kWholeCubes:
        return cubes;
      case Wraparound::kAlways:
        return size > 2;  // two neighbours have one link either way
    }
    return false;
  };
  std::vector<std::vector<bool>> rings;
  for (const MeshShape::Axis& axis : mesh.axes) {
    std::vector<bool> of_axis;
    for (int size : axis.physical) of_axis.push_back(wraps(size));
    rings.push_back(std::move(of_axis));
  }
  return rings;
}

std::string LinesOf(const Hardware& hardware, const MeshShape& mesh) {
  const std::vector<std::vector<bool>> rings = Rings(hardware, mesh);
  std::string lines;
  for (std::size_t a = 0; a < rings.size(); ++a) {
    for (std::size_t i = 0; i < rings[a].size(); ++i) {
      if (rings[a][i] || mesh.axes[a].physical[i] == 1) continue;
      lines += (lines.empty() ? "" : ", ") + mesh.axes[a].name;
      break;
    }
  }
  return lines;
}

}  // namespace meshstep::einsum
