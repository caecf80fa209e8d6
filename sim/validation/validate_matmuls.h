// Measured matmuls against the compute model.

#ifndef MESHSTEP_SIM_VALIDATION_VALIDATE_MATMULS_H_
#define MESHSTEP_SIM_VALIDATION_VALIDATE_MATMULS_H_

#include <string>

#include "meshstep/v1/validate_report.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/status.h"

namespace meshstep {

// Reads a table of either kind:
//  - device, dtype ("bf16xbf16->f32"), batch, m, n, k, time_us (device as XLA calls it);
//  - id, chip, op, m, n, k, dtype, out_dtype, time_ms.
// Only single matmuls (op "gemm") are expressed; other rows get a reason, and so do rows flagged as
// faster than the chip can be. Error: the file cannot be read or lacks columns.
StatusOr<v1::ValidateReport> ValidateMatmuls(const std::string& path, const Catalog& catalog);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_VALIDATION_VALIDATE_MATMULS_H_
