// Prices of collectives on one mesh: which algorithm runs, and what it asks of which links.

#ifndef MESHSTEP_SIM_COST_COLLECTIVE_MODEL_H_
#define MESHSTEP_SIM_COST_COLLECTIVE_MODEL_H_

#include <memory>
#include <span>
#include <string_view>

#include "sim/base/status.h"
#include "sim/base/units.h"
#include "sim/cost/collective.h"
#include "sim/cost/collective_cost.h"
#include "sim/cost/copies.h"
#include "topologies/mesh.h"

namespace meshstep {

// Chooses and prices collectives on one mesh. Results are cached by (collective, bytes, axes).
class CollectiveModel {
 public:
  // `classes` may be null: then demands name explicit links and Cost takes the group of `device`.
  CollectiveModel(const Mesh& mesh, const LinkClasses* classes, Fidelity fidelity);
  ~CollectiveModel();

  // Over `axes` (major first) for every group of the mesh whose devices agree with `device` on the
  // distinguished axes. algorithm: a name, or "auto" for the quickest on an idle fabric. Error: the
  // named algorithm is unknown or does not run on this group. A group of one costs nothing.
  // copies: of an all-to-all; `bytes` are of all copies.
  StatusOr<CollectiveCost> Cost(Collective collective, Bytes bytes, std::span<const AxisId> axes,
                                DeviceId device, std::string_view algorithm = "auto",
                                const Copies& copies = {}) const;

  // One message of `bytes` from `src` to `dst`, which differ along `axis` only. Folded: every
  // device that agrees with `src` on the distinguished axes sends to its counterpart at once.
  CollectiveCost PointToPoint(Bytes bytes, AxisId axis, DeviceId src, DeviceId dst) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_COLLECTIVE_MODEL_H_
