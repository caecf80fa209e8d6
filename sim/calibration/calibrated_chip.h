// Fitted constants written into a chip message, for `meshstep calibrate`.

#ifndef MESHSTEP_SIM_CALIBRATION_CALIBRATED_CHIP_H_
#define MESHSTEP_SIM_CALIBRATION_CALIBRATED_CHIP_H_

#include <string>
#include <vector>

#include "meshstep/v1/chip.pb.h"
#include "sim/base/dtype.h"
#include "sim/base/status.h"
#include "sim/calibration/fit_collective.h"
#include "sim/calibration/fit_matmul.h"
#include "topologies/chip.h"

namespace meshstep {

// The entry of `dtype` in calibration.matmul becomes `calibration`.
void SetMatmul(Dtype dtype, const MatmulCalibration& calibration, v1::Chip* chip);

// One fitted entry and what it says of itself.
struct FittedCollective {
  CollectiveFit fit;
  std::string summary;  // "all-reduce (ring) on 2, 4, 8 ranks: 60 rows, median error ..."
};

// Fits the samples of one collective on `chip`, split over the entries that the chip has for it:
// each keeps its algorithm and its ranks, and takes the samples of the ranks that it is the first
// to hold for. Ranks without an entry: "direct" for an all-to-all and on a full mesh, else "ring".
// usable_fraction rises to the highest rate measured. The other entries of the collective hold from
// beyond the largest group measured, so that what was measured is what is predicted. source: of the
// samples. Error: samples of more ranks than a domain has, or a chip without switch or full mesh.
StatusOr<std::vector<FittedCollective>> FitCollectiveInto(
    const std::string& collective, const std::vector<CollectiveSample>& samples, const Chip& chip,
    const std::string& source, v1::Chip* message);

// "60 rows, median error 1.2 %, 90th percentile 3.4 %".
std::string ResidualsText(const Residuals& residuals);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_CALIBRATION_CALIBRATED_CHIP_H_
