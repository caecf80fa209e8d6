// What physics allows: no algorithm finishes a collective sooner than its lower bound.
//
// Symbols: p ranks, S bytes (the nccl-tests size), W what one device can send (or receive), C(U)
// capacity of the links from the rest of the group into (or out of) a set U of u ranks.
//
//   collective              injection       cut
//   all-gather              (p-1)/p S / W   (p-u)/p S / C(U)
//   reduce-scatter          (p-1)/p S / W   (p-u)/p S / C(U)
//   all-reduce              S / W, and 2 (p-1) S / sum of W if no switch adds up    S / C(U)
//   broadcast, reduce       S / W           S / C(U)
//   all-to-all              (p-1)/p S / W   u (p-u)/p S / C(U)
//   permute, exchange       S / W           -
// Capacities are those of the wires (450 GB/s of an H100), not what libraries reach of them.
// Sets U: halves along each dim of the group, and what one unit of each level holds. On a whole
// torus C is counted (2 N/X links of a dim of X that closes, N/X of one that does not), and so are
// the NICs or uplinks of a unit; elsewhere it is a minimum cut of the fabric's graph. The bound is
// for one group alone on the fabric. Nor is any sooner than one message between the two ranks
// farthest apart.
//
// Source: P. Patarasuk and X. Yuan, JPDC 69(2), 2009 (all-reduce); the rest counts bytes.
// Example: all-to-all of 64 MB per chip on 16x16 TPU v5e: cut of 32 links, 128 · 64 MB / 2 / C.

#ifndef MESHSTEP_SIM_COST_LOWER_BOUND_H_
#define MESHSTEP_SIM_COST_LOWER_BOUND_H_

#include "sim/cost/collective.h"

namespace meshstep {

struct LowerBound {
  Seconds injection, cut, latency;
  Seconds value() const;
  // Of `times` the bytes: injection and cut are in proportion to them.
  LowerBound Times(double times) const { return {injection * times, cut * times, latency}; }
};

// Bounds of one group by the links of the whole fabric; p > 1.
LowerBound LowerBoundOf(const Fabric& fabric, const Group& group, Collective collective,
                        Bytes bytes);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_LOWER_BOUND_H_
