// Chips and the network between them as a value.

#ifndef MESHSTEP_TOPOLOGIES_CLUSTER_H_
#define MESHSTEP_TOPOLOGIES_CLUSTER_H_

#include <memory>
#include <string>
#include <vector>

#include "topologies/chip.h"
#include "topologies/library.h"

namespace meshstep {

// A tier of switches that joins groups of nodes; 0 nodes means all.
struct Tier {
  std::string name;
  int nodes = 0;
  double oversubscription = 1;
  Seconds latency;
  bool rails = false;
  double usable_fraction = 1;  // of the uplinks' rate
};

struct Nodes {
  int chips_per_node = 1;
  int nics_per_node = 1;
  BytesPerSecond nic;  // one NIC, one way
  double nic_usable_fraction = 1;
  Seconds nic_latency;
  std::vector<Tier> tiers;  // lowest first
  std::vector<std::string> missing_protocols = {};
  Seconds message{};               // of a dispatcher or an all-to-all at a NIC, beyond its bytes
  bool network_reduction = false;  // switches between nodes add up
};

// One direction of a link of a custom graph. Nodes 0 .. devices-1 are the devices, those above
// switches.
struct GraphLink {
  int from = 0, to = 0;
  BytesPerSecond bandwidth;
  Seconds latency;
};

struct Cluster {
  std::string name;
  Confidence confidence = Confidence::kDataSheet;  // the weaker of the chip's and the network's
  Chip chip;
  int chips = 1;            // of all slices
  std::vector<int> slice;   // torus: chips per dimension of one slice; empty: no torus
  std::vector<bool> wraps;  // torus: per dimension, by the chip's rule
  bool twisted = false;
  Nodes nodes;         // used if slice and graph are empty
  int slices = 1;      // torus: equal slices joined by the data-center network
  BytesPerSecond dcn;  // one way, per chip; used if slices > 1
  Seconds dcn_latency;
  int switches = 0;              // custom graph
  std::vector<GraphLink> graph;  // custom graph: every device reaches every other
  std::shared_ptr<const CollectiveLibrary> library;  // null: the quickest of all algorithms

  bool is_torus() const { return !slice.empty(); }
  bool is_graph() const { return !graph.empty(); }
  int devices() const { return chips * chip.devices_per_chip; }
};

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_CLUSTER_H_
