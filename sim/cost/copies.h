// All-to-alls whose items are copies: a token goes to several experts. What passes through a node
// on its way crosses the network once for all copies that the node's ranks get, and is copied (or,
// on the way back, summed) there.
// Source: DeepEP's dispatch and combine, arXiv 2412.19437 §3.2.2.
//
//   m = max(1, reach k) of k nodes can get copies of an item; c copies to ranks drawn evenly lie in
//   m (1 - (1 - 1/m)^c) of them, that share of c crosses.
//
// Example: 8 copies within 4 of 8 nodes: 3.6 nodes, 45 % of the bytes.

#ifndef MESHSTEP_SIM_COST_COPIES_H_
#define MESHSTEP_SIM_COST_COPIES_H_

namespace meshstep {

struct Copies {
  double copies = 1;  // c, of one item
  double reach = 1;   // share of the group's ranks that one item can go to
  bool operator==(const Copies&) const = default;
  auto operator<=>(const Copies&) const = default;
};

// Bytes between nodes over those of all copies, for a group on `nodes` nodes.
double CrossingShare(const Copies& copies, double nodes);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_COPIES_H_
