// The algorithms of sim/cost/collectives/, one function each, defined in the file of the same name.
// A test compares this list with the folder.

#ifndef MESHSTEP_SIM_COST_COLLECTIVE_REGISTRY_H_
#define MESHSTEP_SIM_COST_COLLECTIVE_REGISTRY_H_

#include <span>
#include <string_view>

#include "sim/cost/collective.h"

namespace meshstep {

// All algorithms, ordered by name.
std::span<const CollectiveAlgorithm* const> CollectiveAlgorithms();
const CollectiveAlgorithm* FindAlgorithm(std::string_view name);  // nullptr if unknown

namespace collectives {

const CollectiveAlgorithm& BidirectionalRing();
const CollectiveAlgorithm& BinomialTree();
const CollectiveAlgorithm& Chain();
const CollectiveAlgorithm& CollNet();
const CollectiveAlgorithm& DimensionOrdered();
const CollectiveAlgorithm& Direct();
const CollectiveAlgorithm& DoubleBinaryTree();
const CollectiveAlgorithm& HalvingDoubling();
const CollectiveAlgorithm& Hierarchical();
const CollectiveAlgorithm& InNetwork();
const CollectiveAlgorithm& Line();
const CollectiveAlgorithm& MultiAxisRing();
const CollectiveAlgorithm& NeighbourExchange();
const CollectiveAlgorithm& NvlsSharp();
const CollectiveAlgorithm& NvlsTree();
const CollectiveAlgorithm& Pairwise();
const CollectiveAlgorithm& Pat();
const CollectiveAlgorithm& PointToPoint();
const CollectiveAlgorithm& RailRing();
const CollectiveAlgorithm& Ring();
const CollectiveAlgorithm& SendRecv();

}  // namespace collectives
}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_COLLECTIVE_REGISTRY_H_
