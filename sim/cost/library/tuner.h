// The tuner of a library of collectives: what each of its algorithms and protocols takes on a
// group, by the library's own formulas.
//
// Symbols: n ranks on N nodes, r = n / N; a node is what one switch or full mesh joins. a, i, o, e:
// base latency, node step, overhead and network step of the entry. e grows by what the cluster's
// network takes beyond what the library takes for granted, at each tier for the steps that cross
// it.
//   ring           a + k ((n - N) max(i, o) + (N - 1) e), k 2 for an all-reduce, else 1
//   tree           a + 2 ((r - 1) i + log2(N) e)
//   NVLS           a + i, across nodes whose network adds up a + i + e
//   NVLS tree      a + i + 2 log2(N) e
//   CollNet direct a + 2 (min(1, r - 1) i + (r - 1) o) + e
//   CollNet chain  a + 2 (r - 1) i + e
//   PAT            a + log2(N) e / 3.5, at least one message, + n o
//   send, receive  a + e + (n - 1) o, and one message at a NIC for each of the n - r ranks
//   elsewhere
// The node step is at least the overhead where N > 1. Rate: the bus bandwidth B is that of the
// links (of the node's ports, and of its NICs where N > 2) times the protocol's part, at most its
// cap; an all-reduce by ring takes 2 (n - 1) / n S / B, others of it 2 S / B, the rest (n - 1) / n
// S / B.
//
// Two times of each entry: by the library's own constants, as its tuner sees it; and simulated: by
// the constants that measurements correct, the bytes draining over the fabric's links at the part
// of their rates that the entry reaches. The quickest simulated runs: the tuner with the constants
// it should have. Nothing simulated falls with bytes, ranks or distance, since no formula does.
//
// Source: NVIDIA/nccl 2.30.7 src/graph/tuning.cc as facts; the constants are in
// topologies/libraries.
// Example: 8 KiB over 512 H100 in 64 nodes, tree with LL: 6.8 + 2 (7 · 0.6 + 6 · 5.0) = 75.2 us.

#ifndef MESHSTEP_SIM_COST_LIBRARY_TUNER_H_
#define MESHSTEP_SIM_COST_LIBRARY_TUNER_H_

#include <vector>

#include "sim/cost/collective.h"
#include "topologies/library.h"
#include "topologies/mesh.h"

namespace meshstep {

// A group as the tuner sees it.
struct LibraryShape {
  struct Tier {
    int units;        // of the tier below that the group spans
    Seconds latency;  // of one message that turns around here
  };
  int ranks = 1, nodes = 1;
  BytesPerSecond port;     // of one rank inside its node; 0: it is alone there
  BytesPerSecond network;  // of the group's share of a node's NICs
  std::vector<Tier> tiers;
  BytesPerSecond whole_port;  // as `port`, whether or not the group has others in the node

  double per_node() const { return static_cast<double>(ranks) / nodes; }
};

LibraryShape ShapeOf(const Fabric& fabric, const Group& group);

// One algorithm and protocol on a group, for any size.
struct LibraryEntry {
  const LibraryAlgorithm* entry = nullptr;
  const CollectiveAlgorithm* runs = nullptr;  // moves its bytes
  Seconds tuner_latency;                      // by the library's own constants
  BytesPerSecond tuner_bus;
  Seconds latency;  // as simulated
  // Of the calibrated rates of links inside nodes and between them.
  double node_fraction = 1, network_fraction = 1;
  // Compute units held over those of a ring that fills the links inside a node.
  double units = 1;

  // The part of its rates that it reaches at this size, between the sizes given.
  double SizeFactor(Bytes bytes) const;
};

// Those that run the collective on the group.
std::vector<LibraryEntry> EntriesOf(const CollectiveLibrary& library, const LibraryShape& shape,
                                    Collective collective, const Group& group);

// What the library's tuner takes the time for.
Seconds TunerTime(const LibraryEntry& entry, const LibraryShape& shape, Collective collective,
                  Bytes bytes);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_LIBRARY_TUNER_H_
