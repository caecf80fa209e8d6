// A CollectiveCalibration from measured times of one collective by one algorithm inside one domain,
// for `meshstep calibrate`:
//
//   T(p, S) = latency(p) + w(p) S / port(p, S)
//
// w bytes through one port, one way, for a byte of S. For each p: the median time of each size,
// made to rise with the size (pool adjacent violators: Barlow et al., Statistical Inference under
// Order Restrictions, 1972); latency from the line alpha + beta S through the quick sizes,
// robustly; and a rate for each size from what is left, never above the link's. Sizes below 16 KiB
// tell the latency and are not kept in the table.

#ifndef MESHSTEP_SIM_CALIBRATION_FIT_COLLECTIVE_H_
#define MESHSTEP_SIM_CALIBRATION_FIT_COLLECTIVE_H_

#include <span>
#include <string_view>

#include "sim/calibration/minimize.h"
#include "topologies/chip.h"

namespace meshstep {

struct CollectiveSample {
  int ranks;     // at least 2
  Bytes bytes;   // as nccl-tests counts them; above 0
  Seconds time;  // above 0
};

struct CollectiveFit {
  CollectiveCalibration calibration;
  Residuals residuals;  // |predicted / measured - 1| of all samples
};

// Bytes through one port, one way, for a byte of the collective on p ranks. A port of a full mesh
// is the link to one peer.
double PortBytes(std::string_view collective, std::string_view algorithm, bool full_mesh, int p);

// At least one sample. `entry` names collective, algorithm and the ranks it holds for; its sizes
// and groups are replaced. link: of a port, one way.
CollectiveFit FitCollective(std::span<const CollectiveSample> samples, CollectiveCalibration entry,
                            BytesPerSecond link, bool full_mesh);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_CALIBRATION_FIT_COLLECTIVE_H_
