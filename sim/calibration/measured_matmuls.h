// The rows of a table of measured matmuls that are of one chip, checked, for `meshstep calibrate`.

#ifndef MESHSTEP_SIM_CALIBRATION_MEASURED_MATMULS_H_
#define MESHSTEP_SIM_CALIBRATION_MEASURED_MATMULS_H_

#include <map>
#include <string>
#include <vector>

#include "sim/base/dtype.h"
#include "sim/base/status.h"
#include "sim/calibration/fit_matmul.h"
#include "sim/cost/compute.h"

namespace meshstep {

struct MeasuredMatmuls {
  std::map<Dtype, std::vector<MatmulSample>> samples;
  // Rows that are not used, by reason: "another chip", "another op", "flagged in the table", ...
  std::map<std::string, int> left_out;
};

// path: CSV with the columns of matmul_runs.csv (chip, op, m, n, k, dtype, time_ms) or
// matmul_tables.csv (device, dtype, batch, m, n, k, time_us, flag). Taken are the rows whose chip
// is `device`, or if that is "", those of `chip` by that name or a name known for it
// (sim/validation/measured_chips.h). Error: "path:line: ..." for a row that cannot be read; no row
// at all.
StatusOr<MeasuredMatmuls> ReadMeasuredMatmuls(const std::string& path, const std::string& chip,
                                              const std::string& device, const ComputeModel& model);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_CALIBRATION_MEASURED_MATMULS_H_
