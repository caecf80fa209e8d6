// Why a step takes as long as it does: each cause by itself, as the difference to the same step with
// that cause off.
//
//   collectives_take_units  kernels wait for compute units that collectives hold
//   network_contention      transfers in flight at one time share links (NICs above all)
//   stragglers              matmuls go at the pace of the slowest chip
//   host                    the device waits for the host to issue kernels
//   padding                 tiles and waves of matmuls that the shapes do not fill
//   expert_imbalance        the busiest expert rank gets more tokens than the mean
//
// Causes overlap (a kernel that collectives slow and a straggler), so that they need not sum.

#ifndef MESHSTEP_SIM_ADVICE_WHY_H_
#define MESHSTEP_SIM_ADVICE_WHY_H_

#include <vector>

#include "meshstep/v1/report.pb.h"
#include "sim/simulate/simulate.h"

namespace meshstep {

// Those that cost over 1 % of the step, largest first; one without which the step cannot be simulated
// is left out. Cost: one simulation per cause that the step can have; none for a step so large that
// these would take minutes.
std::vector<v1::Cause> Why(const SimulatedStep& base, const SimulateOptions& options);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_ADVICE_WHY_H_
