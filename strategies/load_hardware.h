// Hardware of an exercise by the name of a chip: a file under topologies/chips, or the short name
// that the book uses ("v5e", "TPU v4p", "H100").

#ifndef MESHSTEP_STRATEGIES_LOAD_HARDWARE_H_
#define MESHSTEP_STRATEGIES_LOAD_HARDWARE_H_

#include <string>

#include "sim/base/status.h"
#include "strategies/einsum/hardware.h"

namespace meshstep {

// Error: the name and the names there are.
StatusOr<einsum::Hardware> LoadHardware(const std::string& chip, RateSet rates);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_LOAD_HARDWARE_H_
