#include "sim/cost/collective_registry.h"

#include <algorithm>
#include <vector>

namespace meshstep {

std::span<const CollectiveAlgorithm* const> CollectiveAlgorithms() {
  static const auto* const kAlgorithms = [] {
    auto* all = new std::vector<const CollectiveAlgorithm*>{
        &collectives::BidirectionalRing(),
        &collectives::BinomialTree(),
        &collectives::Chain(),
        &collectives::CollNet(),
        &collectives::DimensionOrdered(),
        &collectives::Direct(),
        &collectives::DoubleBinaryTree(),
        &collectives::HalvingDoubling(),
        &collectives::Hierarchical(),
        &collectives::InNetwork(),
        &collectives::Line(),
        &collectives::MultiAxisRing(),
        &collectives::NeighbourExchange(),
        &collectives::NvlsSharp(),
        &collectives::NvlsTree(),
        &collectives::Pairwise(),
        &collectives::Pat(),
        &collectives::PointToPoint(),
        &collectives::RailRing(),
        &collectives::Ring(),
        &collectives::SendRecv(),
    };
    std::sort(all->begin(), all->end(),
              [](const CollectiveAlgorithm* a, const CollectiveAlgorithm* b) {
                return a->name() < b->name();
              });
    return all;
  }();
  return *kAlgorithms;
}

const CollectiveAlgorithm* FindAlgorithm(std::string_view name) {
  for (const CollectiveAlgorithm* algorithm : CollectiveAlgorithms()) {
    if (algorithm->name() == name) return algorithm;
  }
  return nullptr;
}

}  // namespace meshstep
