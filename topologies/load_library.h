// v1::CollectiveLibrary as a value, for topologies/load_cluster.cc.

#ifndef MESHSTEP_TOPOLOGIES_LOAD_LIBRARY_H_
#define MESHSTEP_TOPOLOGIES_LOAD_LIBRARY_H_

#include <memory>
#include <string>

#include "sim/base/diagnostics.h"
#include "topologies/cluster.h"
#include "topologies/library.h"

namespace meshstep {

namespace v1 {
class CollectiveLibrary;
}

// The preset that runs on chips of this vendor; "": none.
std::string LibraryOfVendor(const std::string& vendor);

// With the rates and corrections of the cluster's chip and nodes, and without the protocols that
// its transport does not carry. That the algorithms it runs as exist is checked where algorithms
// are known.
std::shared_ptr<const CollectiveLibrary> LoadLibrary(const v1::CollectiveLibrary& proto,
                                                     const Cluster& cluster,
                                                     const std::string& field,
                                                     Diagnostics* diagnostics);

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_LOAD_LIBRARY_H_
