// v1::Chip as a value: ranges checked, defaults filled in.

#ifndef MESHSTEP_TOPOLOGIES_LOAD_CHIP_H_
#define MESHSTEP_TOPOLOGIES_LOAD_CHIP_H_

#include <string>

#include "sim/base/diagnostics.h"
#include "topologies/chip.h"

namespace meshstep {

namespace v1 {
class Chip;
}

// The preset, if any, is resolved already. `field` is the chip's path in errors ("cluster.chip").
// Defaults: book rates are the data sheet's, field by field; an unknown vector rate is infinite
// (HBM binds), other unknown rates are 0; calibration that is missing takes the estimates named in
// load_chip.cc. Problems go to `diagnostics`; the value is then safe to read but not to use.
Chip LoadChip(const v1::Chip& proto, const std::string& field, Diagnostics* diagnostics);

// Of a v1::Chip::Confidence; unset is kDataSheet.
Confidence LoadConfidence(int proto, const std::string& field, Diagnostics* diagnostics);

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_LOAD_CHIP_H_
