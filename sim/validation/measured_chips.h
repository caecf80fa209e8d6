// What tables of measurements call a chip.

#ifndef MESHSTEP_SIM_VALIDATION_MEASURED_CHIPS_H_
#define MESHSTEP_SIM_VALIDATION_MEASURED_CHIPS_H_

#include <string>

namespace meshstep {

// A name under topologies/chips; "" if the device is not described.
std::string ChipOfDevice(const std::string& device);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_VALIDATION_MEASURED_CHIPS_H_
