// Whether predictions put plans in the right order.
//
// Rows of one group (family, model, chips, sequence, number format) are compared by seconds per
// token. A pair counts whose measured values are at least 10 % apart; it is right if the predicted
// ones are in the same order. The regret of a group is what its best-predicted row took over its
// best-measured, less one.

#ifndef MESHSTEP_SIM_VALIDATION_PLAN_ORDER_H_
#define MESHSTEP_SIM_VALIDATION_PLAN_ORDER_H_

#include "meshstep/v1/validate_report.pb.h"

namespace meshstep {

// Fills in `order` from the rows that have a predicted and a measured time.
void SummarizeOrder(v1::ValidateReport* report);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_VALIDATION_PLAN_ORDER_H_
