// Colour refinement (the 1-dimensional Weisfeiler-Leman algorithm): splits the nodes of a directed
// graph until nodes of one colour have, for every colour, equally many links of every weight to and
// from nodes of that colour (an equitable partition).
//
// Why it serves for link classes: if the ends of a message have colours of their own, then distance
// to the destination, the number of links that lead on, and (by induction over the distance) the
// share of the message that a node passes on depend on its colour only. So links whose ends agree
// in colour carry equal shares of every message, if all devices have colours of their own.
//
// Example: two spines that join the same leaves get one colour; so do their links to a leaf.
//
// Source: A. Cardon and M. Crochemore, "Partitioning a graph in O(|A| log |V|)", 1982; here by
// rounds, O(rounds * edges log edges).

#ifndef MESHSTEP_TOPOLOGIES_COLOURING_H_
#define MESHSTEP_TOPOLOGIES_COLOURING_H_

#include <span>
#include <vector>

#include "topologies/fabric.h"

namespace meshstep {

// Colours 0, 1, ... of the nodes. `initial` has one per node; `weight` one per edge: edges of
// different weights are told apart. The numbers depend on the input only. A graph that is not
// stable after kMaxColourRounds rounds (a long chain) gets a colour per node: always right, never
// coarser.
inline constexpr int kMaxColourRounds = 64;
std::vector<int> RefineColours(const FabricGraph& graph, std::span<const int> weight,
                               std::vector<int> initial);

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_COLOURING_H_
