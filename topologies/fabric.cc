#include "topologies/fabric.h"

namespace meshstep {

int Fabric::Coordinate(DeviceId device, int level) const {
  for (int l = 0; l < level; ++l) device /= levels_[static_cast<std::size_t>(l)].extent;
  return device % levels_[static_cast<std::size_t>(level)].extent;
}

}  // namespace meshstep
