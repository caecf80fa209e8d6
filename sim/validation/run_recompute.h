// What a row says of recomputation as one of the four policies.

#ifndef MESHSTEP_SIM_VALIDATION_RUN_RECOMPUTE_H_
#define MESHSTEP_SIM_VALIDATION_RUN_RECOMPUTE_H_

#include "meshstep/v1/plan.pb.h"
#include "sim/base/status.h"
#include "sim/validation/run_row.h"

namespace meshstep {

// The nearest policy; the table in the .cc says which and why. Error: words that nobody knows.
Status SetRecompute(const RunRow& row, v1::Plan* plan);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_VALIDATION_RUN_RECOMPUTE_H_
