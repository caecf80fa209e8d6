// A library of collectives as a value: what topologies/libraries/*.textproto says, checked and
// resolved for one chip. What the symbols mean: proto/meshstep/v1/library.proto; what is done with
// them: sim/cost/library/tuner.h.

#ifndef MESHSTEP_TOPOLOGIES_LIBRARY_H_
#define MESHSTEP_TOPOLOGIES_LIBRARY_H_

#include <array>
#include <limits>
#include <string>
#include <vector>

#include "sim/base/units.h"

namespace meshstep {

struct LibraryConstants {
  Seconds base, node_step, network_step, overhead;
  double node_fraction = 1, network_fraction = 1;
  int max_nodes = std::numeric_limits<int>::max();
};

// Constants from a number of nodes on.
struct LibraryCorrection {
  int min_nodes = 1;
  LibraryConstants constants;
};

struct LibraryAlgorithm {
  enum class Formula {
    kRing,
    kTree,
    kNvls,
    kNvlsTree,
    kPat,
    kSendReceive,
    kCollNetDirect,
    kCollNetChain
  };
  std::string name, protocol;
  Formula formula = Formula::kRing;
  std::vector<std::string> collectives, runs_as;
  LibraryConstants own;                      // the library's
  std::vector<LibraryCorrection> corrected;  // by nodes, ascending; the first holds from 1 on
  double bus_fraction = 1;
  std::array<BytesPerSecond, 3> bus = {};  // on one node, two, more; 0: no cap
  std::vector<double> size_factors;        // at 64 B, 128 B, ...
  int min_ranks = 2, min_nodes = 1;
  int max_ranks_per_node = std::numeric_limits<int>::max();
  Bytes max_bytes{std::numeric_limits<double>::infinity()};
  double plateau = 1;     // on the tuner's latency of large all-reduces between nodes
  double unit_share = 1;  // of the compute units of a ring inside a node

  const LibraryConstants& ConstantsOn(int nodes) const {
    std::size_t last = 0;
    while (last + 1 < corrected.size() && corrected[last + 1].min_nodes <= nodes) ++last;
    return corrected[last].constants;
  }
};

struct CollectiveLibrary {
  std::string name, release;
  Seconds launch, network_latency;
  Seconds message;  // of one message of an all-to-all at a NIC, by the cluster's transport
  std::vector<LibraryAlgorithm> algorithms;
};

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_LIBRARY_H_
