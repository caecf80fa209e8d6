// All-to-alls whose items are copies: a token goes to several experts. An algorithm that passes
// through the nodes sends an item across the network once for all copies that the ranks of a node
// get, and within the node once for all that one rank gets; on the way back they are summed there.
// Source: DeepEP's dispatch and combine, arXiv 2412.19437 §3.2.2.
//
//   the copies of an item go to m = min(places, L max(1, places / G)) of the nodes or ranks;
//   c copies that are drawn evenly lie in m (1 - (1 - 1/m)^c) of them, and that share of c moves.
//
// Example: 8 copies in 4 of 8 groups, on 8 nodes of 8: 3.6 nodes and 7.2 ranks, 45 % and 90 % of
// the bytes.

#ifndef MESHSTEP_SIM_COST_COPIES_H_
#define MESHSTEP_SIM_COST_COPIES_H_

#include <string_view>

namespace meshstep {

// What moves them: the library of all collectives, or a dispatcher of routed tokens.
// HybridEP has a kernel that sends tokens to their experts and one that sums them on the way back.
// DeepEP's low-latency kernels send every copy of a token as a message of its own, straight to its
// rank, and have their own times there (FP8) and back (BF16).
enum class Mover {
  kLibrary,
  kDeepEp,
  kHybridEp,
  kHybridEpCombine,
  kLowLatency,
  kLowLatencyCombine
};

struct Copies {
  double copies = 1;  // c, of one item
  // G runs of equal length, one after another, that the ranks fall into; all copies of an item go
  // to L of them.
  double groups = 1, groups_of_item = 1;
  // Every algorithm sends an item once to a rank that gets several copies, which makes them itself.
  bool by_rank = false;
  Mover mover = Mover::kLibrary;
  double item_bytes = 0;  // of one copy; what a dispatcher's rate depends on
  bool operator==(const Copies&) const = default;
  auto operator<=>(const Copies&) const = default;
};

// Bytes that reach `places` nodes or ranks over those of all copies.
double JoinedShare(const Copies& copies, double places);

// As chip files name it: "", "deepep", "hybridep", "hybridep-combine", "deepep-low-latency",
// "deepep-low-latency-combine".
std::string_view NameOf(Mover mover);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_COPIES_H_
