// v1::ComputeCalibration's attention kernels as values, for topologies/load_chip.cc.

#ifndef MESHSTEP_TOPOLOGIES_LOAD_ATTENTION_H_
#define MESHSTEP_TOPOLOGIES_LOAD_ATTENTION_H_

#include <string>

#include "sim/base/diagnostics.h"
#include "topologies/chip.h"

namespace meshstep {

namespace v1 {
class ComputeCalibration;
}

// `field` is the calibration's path in errors.
void LoadAttention(const v1::ComputeCalibration& proto, const std::string& field,
                   Diagnostics* diagnostics, ComputeCalibration* calibration);

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_LOAD_ATTENTION_H_
