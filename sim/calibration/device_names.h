// What drivers call a chip, against the names of chip files.

#ifndef MESHSTEP_SIM_CALIBRATION_DEVICE_NAMES_H_
#define MESHSTEP_SIM_CALIBRATION_DEVICE_NAMES_H_

#include <string>

namespace meshstep {

// Whether a device that a driver calls `device` ("NVIDIA H100 80GB HBM3") may be the chip `chip`
// ("h100-sxm"). kUnknown: one of the two names no chip of topologies/chips.
enum class DeviceMatch { kSame, kOther, kUnknown };
DeviceMatch MatchDevice(const std::string& device, const std::string& chip);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_CALIBRATION_DEVICE_NAMES_H_
