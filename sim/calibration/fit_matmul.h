// Constants of sim/cost/matmul.h from measured matmuls of one number format, for `meshstep
// calibrate`. Fitted are launch, peak_fraction and hbm_fraction, by Minimize on the errors of the
// logarithm of the time; a row below 1 GFLOP weighs 0.15, as in tests/validation/fit_matmul.py. The
// other constants (tiles, loads, stores, cache) stay as they are: a few dozen matmuls do not tell
// them apart. A constant that no row answers to keeps its value too.
//
// sustained_fraction is the median of the three highest rates over the peak among matmuls of at
// least 1 ms, where the power limit has had time to act; with fewer such rows it stays.

#ifndef MESHSTEP_SIM_CALIBRATION_FIT_MATMUL_H_
#define MESHSTEP_SIM_CALIBRATION_FIT_MATMUL_H_

#include <span>

#include "sim/calibration/minimize.h"
#include "sim/cost/matmul.h"

namespace meshstep {

struct MatmulSample {
  MatmulShape shape;
  MatmulDevice device;
  Seconds time;  // above 0
};

struct MatmulFit {
  MatmulCalibration calibration;
  Residuals before, after;  // |predicted / measured - 1|, with the constants given and found
  bool sustained = false;   // whether sustained_fraction was measured
};

// At least one sample.
MatmulFit FitMatmul(std::span<const MatmulSample> samples, const MatmulCalibration& base);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_CALIBRATION_FIT_MATMUL_H_
