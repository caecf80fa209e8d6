// A mesh on its fabric with the prices of its collectives, which many plans share.
//
// Prices depend on the cluster, on the axes and where they are placed, and on the axes along which
// devices differ; not on the model, nor on what moves. A search asks for the same few hundred again
// and again: a cache keeps them. It belongs to one thread.

#ifndef MESHSTEP_STRATEGIES_STEP_PLACEMENT_H_
#define MESHSTEP_STRATEGIES_STEP_PLACEMENT_H_

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "sim/base/status.h"
#include "sim/cost/collective_model.h"
#include "topologies/axis.h"
#include "topologies/cluster.h"
#include "topologies/fabric.h"
#include "topologies/mesh.h"

namespace meshstep {

// Parts refer to those before them.
struct PlacedMesh {
  std::unique_ptr<Fabric> fabric;
  std::optional<Mesh> mesh;
};
struct PricedMesh {
  std::shared_ptr<const PlacedMesh> placed;
  std::optional<LinkClasses> classes;
  std::optional<CollectiveModel> collectives;
};

// Of one cluster at one fidelity.
class PlacementCache {
 public:
  PlacementCache();
  // Error: the axes do not fit (Mesh::Place).
  StatusOr<std::shared_ptr<const PlacedMesh>> Place(const Cluster& cluster,
                                                    const std::vector<AxisRequest>& axes,
                                                    Fidelity fidelity);
  std::shared_ptr<const PricedMesh> Price(const std::shared_ptr<const PlacedMesh>& placed,
                                          const std::vector<AxisId>& distinguished,
                                          Fidelity fidelity);

 private:
  using Axes = std::vector<std::tuple<std::string, int, std::string, std::string>>;
  std::shared_ptr<LoadCounters> counters_;
  std::map<Axes, std::shared_ptr<const PlacedMesh>> placed_;
  std::map<std::pair<const PlacedMesh*, std::vector<AxisId>>, std::shared_ptr<const PricedMesh>>
      priced_;
};

// Lends caches of one cluster at one fidelity to threads that simulate variants of one scenario.
class PlacementPool {
 public:
  // A cache for as long as the lease lives.
  class Lease {
   public:
    explicit Lease(PlacementPool* pool);
    ~Lease();
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    PlacementCache* get() const { return cache_.get(); }

   private:
    PlacementPool* pool_;
    std::unique_ptr<PlacementCache> cache_;
  };

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<PlacementCache>> free_;
};

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_STEP_PLACEMENT_H_
