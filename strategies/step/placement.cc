#include "strategies/step/placement.h"

#include <utility>

#include "sim/cost/link_load.h"
#include "topologies/build_fabric.h"
#include "topologies/tiers.h"

namespace meshstep {
namespace {

// Some tens of megabytes.
constexpr std::size_t kMostKept = 1024;

}  // namespace

PlacementCache::PlacementCache() : counters_(std::make_shared<LoadCounters>()) {}

StatusOr<std::shared_ptr<const PlacedMesh>> PlacementCache::Place(
    const Cluster& cluster, const std::vector<AxisRequest>& axes, Fidelity fidelity) {
  Axes key;
  for (const AxisRequest& axis : axes) {
    key.emplace_back(axis.name, axis.size, axis.physical, axis.part_of);
  }
  const auto there = placed_.find(key);
  if (there != placed_.end()) return there->second;
  auto placed = std::make_shared<PlacedMesh>();
  placed->fabric = BuildFabric(FitTiers(cluster, axes), RateSet::kDatasheet, fidelity);
  ASSIGN_OR_RETURN(placed->mesh, Mesh::Place(*placed->fabric, axes));
  if (placed_.size() >= kMostKept) {
    placed_.clear();
    priced_.clear();
  }
  return placed_.emplace(std::move(key), std::move(placed)).first->second;
}

std::shared_ptr<const PricedMesh> PlacementCache::Price(
    const std::shared_ptr<const PlacedMesh>& placed, const std::vector<AxisId>& distinguished,
    Fidelity fidelity) {
  std::shared_ptr<const PricedMesh>& there = priced_[{placed.get(), distinguished}];
  if (there == nullptr) {
    auto priced = std::make_shared<PricedMesh>();
    priced->placed = placed;
    priced->classes.emplace(*placed->mesh, distinguished);
    priced->collectives.emplace(*placed->mesh, &*priced->classes, fidelity, counters_);
    there = std::move(priced);
  }
  return there;
}

PlacementPool::Lease::Lease(PlacementPool* pool) : pool_(pool) {
  const std::lock_guard lock(pool->mutex_);
  if (pool->free_.empty()) {
    cache_ = std::make_unique<PlacementCache>();
  } else {
    cache_ = std::move(pool->free_.back());
    pool->free_.pop_back();
  }
}

PlacementPool::Lease::~Lease() {
  const std::lock_guard lock(pool_->mutex_);
  pool_->free_.push_back(std::move(cache_));
}

}  // namespace meshstep
