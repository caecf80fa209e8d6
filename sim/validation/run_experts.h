// How a row's framework runs experts: which dispatcher and kernels, and whether their transfers
// hide behind another micro-batch.

#ifndef MESHSTEP_SIM_VALIDATION_RUN_EXPERTS_H_
#define MESHSTEP_SIM_VALIDATION_RUN_EXPERTS_H_

#include "meshstep/v1/plan.pb.h"
#include "sim/base/csv.h"
#include "sim/validation/run_row.h"

namespace meshstep {

// Of a model with experts; `plan` has its pipeline. What the row's `overlap` column does not state
// is that of the entry of `defaults` (tests/validation/expert_defaults.csv) with the longest prefix
// of the row's family and, among equals, the longest prefix of its chip, then the latest release
// since which the entry holds. An entry may hold only for rows of a number format, and only since a
// release of the framework's container, which the row's `source_ref` names.
void SetExpertKernels(const RunRow& row, const CsvTable& defaults, v1::Plan* plan);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_VALIDATION_RUN_EXPERTS_H_
