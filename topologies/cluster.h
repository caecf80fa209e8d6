// Chips and the network between them as a value.

#ifndef MESHSTEP_TOPOLOGIES_CLUSTER_H_
#define MESHSTEP_TOPOLOGIES_CLUSTER_H_

#include <string>
#include <vector>

#include "topologies/chip.h"

namespace meshstep {

// A tier of switches that joins groups of nodes; 0 nodes means all.
struct Tier {
  std::string name;
  int nodes = 0;
  double oversubscription = 1;
  Seconds latency;
  bool rails = false;
};

struct Nodes {
  int chips_per_node = 1;
  int nics_per_node = 1;
  BytesPerSecond nic;  // one NIC, one way
  double nic_usable_fraction = 1;
  Seconds nic_latency;
  std::vector<Tier> tiers;  // lowest first
};

struct Cluster {
  std::string name;
  Chip chip;
  int chips = 1;
  std::vector<int> slice;   // torus: chips per dimension; empty: a cluster of nodes
  std::vector<bool> wraps;  // torus: per dimension, by the chip's rule
  bool twisted = false;
  Nodes nodes;  // used if slice is empty

  bool is_torus() const { return !slice.empty(); }
  int devices() const { return chips * chip.devices_per_chip; }
};

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_CLUSTER_H_
