// What a chip reaches where it may not draw what its data sheet says.
//
// Matmuls and attention that follow each other for long are held by power: the clock falls until the
// chip draws no more than it may. Under a limit of w watts they run at r(w) of their rate, r between
// the measured points of Chip::power_curve; kernels that HBM binds do not slow down, as the memory's
// clock does not fall.

#ifndef MESHSTEP_TOPOLOGIES_LOAD_POWER_H_
#define MESHSTEP_TOPOLOGIES_LOAD_POWER_H_

#include <string>

#include "sim/base/diagnostics.h"
#include "topologies/chip.h"

namespace meshstep {

namespace v1 {
class Chip;
}

// power_watts and power_curve. `field` is the chip's path in errors.
void LoadPower(const v1::Chip& proto, const std::string& field, Diagnostics* diagnostics,
               Chip* chip);

// r(watts); 1 without a curve.
double PowerRate(const Chip& chip, double watts);

// The calibrated rates of `chip` under a limit. Error, at `field`: a limit that is no number of watts,
// or one below power_watts of a chip without a curve.
void LimitPower(double watts, const std::string& field, Diagnostics* diagnostics, Chip* chip);

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_LOAD_POWER_H_
