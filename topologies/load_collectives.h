// v1::CollectiveCalibration as a value, for topologies/load_chip.cc.

#ifndef MESHSTEP_TOPOLOGIES_LOAD_COLLECTIVES_H_
#define MESHSTEP_TOPOLOGIES_LOAD_COLLECTIVES_H_

#include <string>
#include <vector>

#include "sim/base/diagnostics.h"
#include "topologies/chip.h"

namespace meshstep {

namespace v1 {
class Chip;
}

// `field` is the chip's path in errors. That the names of collective and algorithm exist is checked
// where algorithms are known; an entry of other names is never used.
std::vector<CollectiveCalibration> LoadCollectives(const v1::Chip& proto, const std::string& field,
                                                   Diagnostics* diagnostics);

// v1::NetworkCalibration as values.
std::vector<NetworkCalibration> LoadAcrossNodes(const v1::Chip& proto, const std::string& field,
                                                Diagnostics* diagnostics);

// v1::TorusCollective as values.
std::vector<TorusCollective> LoadTorusCollectives(const v1::Chip& proto, const std::string& field,
                                                  Diagnostics* diagnostics);

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_LOAD_COLLECTIVES_H_
