// Prices of collectives on one mesh: which algorithm runs, and what it asks of which links.
//
// What "auto" takes, the first that applies:
//   a dispatcher of routed tokens  what was measured of it, inside a node or across nodes;
//   measured inside one domain     the quickest of the algorithms measured (a library ran each);
//   calibrated, with a library     the quickest of the library's entries
//   (sim/cost/library/tuner.h):
//                                  latency by its formula, then the bytes over the real links;
//   else                           the quickest of all algorithms by their closed forms.
// A measured curve corrects the constants of its algorithm: latency and rate between the ranks and
// sizes measured; beyond them it goes on in the library's shape, latency growing as its formula
// does.
//
// Time is affine in bytes per algorithm, and a minimum of such, so that it never falls with bytes.
// Symbols: n ranks, N nodes, S bytes. Links are loaded once per algorithm and group for one byte
// (sim/cost/unit_load.h); a size costs a multiplication per link class.

#ifndef MESHSTEP_SIM_COST_COLLECTIVE_MODEL_H_
#define MESHSTEP_SIM_COST_COLLECTIVE_MODEL_H_

#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "sim/base/status.h"
#include "sim/base/units.h"
#include "sim/cost/collective.h"
#include "sim/cost/collective_cost.h"
#include "sim/cost/copies.h"
#include "topologies/mesh.h"

namespace meshstep {

class LoadCounters;

// Chooses and prices collectives on one mesh. Results are cached by (collective, bytes, axes).
class CollectiveModel {
 public:
  // `classes` may be null: then demands name explicit links and Cost takes the group of `device`.
  // counters: shared with other models of the same thread; null: its own.
  CollectiveModel(const Mesh& mesh, const LinkClasses* classes, Fidelity fidelity,
                  std::shared_ptr<LoadCounters> counters = nullptr);
  ~CollectiveModel();

  // Over `axes` (major first) for every group of the mesh whose devices agree with `device` on the
  // distinguished axes. algorithm: a name, or "auto" for the quickest on an idle fabric. Error: the
  // named algorithm is unknown or does not run on this group. A group of one costs nothing.
  // copies: of an all-to-all; `bytes` are of all copies. as: an earlier answer, whose protocol is
  // taken instead of the quickest on an idle fabric. (Which one is quickest depends on the other
  // groups that share a NIC; the model of explicit links sees one group only.)
  StatusOr<CollectiveCost> Cost(Collective collective, Bytes bytes, std::span<const AxisId> axes,
                                DeviceId device, std::string_view algorithm = "auto",
                                const Copies& copies = {},
                                const CollectiveCost* as = nullptr) const;

  // What the library of the fabric could run, quickest first, each with what its tuner takes it
  // for; empty where none is known for the group.
  struct Offer {
    CollectiveCost cost;
    Seconds tuner;  // by the library's own constants
  };
  std::vector<Offer> Offers(Collective collective, Bytes bytes, std::span<const AxisId> axes,
                            DeviceId device) const;

  // One message of `bytes` from `src` to `dst`, which differ along `axis` only. Folded: every
  // device that agrees with `src` on the distinguished axes sends to its counterpart at once.
  CollectiveCost PointToPoint(Bytes bytes, AxisId axis, DeviceId src, DeviceId dst) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_COLLECTIVE_MODEL_H_
