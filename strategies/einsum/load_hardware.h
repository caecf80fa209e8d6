// Hardware of an exercise by the name of a chip: a file under topologies/chips, or the short name
// that the book uses ("v5e", "TPU v4p", "H100").

#ifndef MESHSTEP_STRATEGIES_EINSUM_LOAD_HARDWARE_H_
#define MESHSTEP_STRATEGIES_EINSUM_LOAD_HARDWARE_H_

#include <string>

#include "sim/base/status.h"
#include "strategies/einsum/hardware.h"

namespace meshstep {

// The preset that a name means: "v5e" is "tpu-v5e", "H100" is "h100-sxm", "v4p" is "tpu-v4". The
// name as it is, if no preset is meant.
std::string ChipPreset(const std::string& chip);

// Error: the name and the names there are.
StatusOr<einsum::Hardware> LoadHardware(const std::string& chip, RateSet rates);

// The chip of a preset of topologies/clusters, with its nodes and the rate out of a node that
// `chips` chips get (the slowest tier that joins them). On a torus the mesh is a slice of its own.
// Error: the name and the names there are; more chips than the cluster's network joins.
StatusOr<einsum::Hardware> LoadClusterHardware(const std::string& cluster, double chips,
                                               RateSet rates);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_EINSUM_LOAD_HARDWARE_H_
