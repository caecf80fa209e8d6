// What a compiler's collectives take on a torus beyond the hops and bytes of their algorithm.
//
// Symbols: the group has a axes of more than one rank, counting each dimension of the torus, the
// dies of a chip and the slices; g passes over them (2 of an all-reduce, a reduce-scatter and an
// all-gather; else 1). From the chip's data (TorusCollective in chip.proto):
//   latency   launch + g a axis, and network_launch if slices are crossed; it is spread evenly over
//             the phases of the algorithm
//   bytes     every byte holds links inside the slice for 1 / link_fraction as long
// Data-sheet rates (--fidelity=ideal) have no such terms.
//
// Source: accelerator-microbenchmarks issue 71 and tpu-recipes c8cfe2f (v7x), marin issue 6736 (v5p
// and v6e); the chip files give each figure.
// Example: 16 KiB to the next of 2 v5p: 3.5 us launch + 1 us hop + 0.2 us = 4.7 us, 4.5 to 5.5
// measured.

#ifndef MESHSTEP_SIM_COST_TORUS_OVERHEADS_H_
#define MESHSTEP_SIM_COST_TORUS_OVERHEADS_H_

#include <vector>

#include "sim/cost/collective.h"

namespace meshstep {

// Adds both to the phases of one algorithm; nothing where the group's fabric was not measured so.
void AddTorusOverheads(const Fabric& fabric, const Group& group, Collective collective,
                       std::vector<TrafficPhase>* phases);

// The latency of one message from `src` to `dst` beyond the fabric's own.
Seconds SendOverhead(const Fabric& fabric, DeviceId src, DeviceId dst);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_COST_TORUS_OVERHEADS_H_
