// Integer ids shared by several layers.

#ifndef MESHSTEP_SIM_BASE_IDS_H_
#define MESHSTEP_SIM_BASE_IDS_H_

#include <cstdint>

namespace meshstep {

using AxisId = int;             // index into the axes of a mesh
using DeviceId = std::int32_t;  // what a framework sees as one device
using LinkId = std::int32_t;    // one direction of one link of a fabric

}  // namespace meshstep

#endif  // MESHSTEP_SIM_BASE_IDS_H_
