// The cluster that a measured step ran on: a preset and what tests/validation/interconnects.csv
// says of the row's chip and interconnect.

#ifndef MESHSTEP_SIM_VALIDATION_RUN_CLUSTER_H_
#define MESHSTEP_SIM_VALIDATION_RUN_CLUSTER_H_

#include "meshstep/v1/cluster.pb.h"
#include "meshstep/v1/plan.pb.h"
#include "sim/base/csv.h"
#include "sim/base/status.h"
#include "sim/validation/run_row.h"

namespace meshstep {

// Error: the chip, its network or a slice of so many chips is not described.
StatusOr<v1::Cluster> ClusterOf(const RunRow& row, const CsvTable& interconnects);

// Of all slices of as many chips, the one that suits the plan's mesh; not without a slice.
void ShapeSlice(const v1::Plan& plan, v1::Cluster* cluster);

// Equal slices that the row's chips are in; 1 for anything but TPUs.
int SlicesOf(const RunRow& row);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_VALIDATION_RUN_CLUSTER_H_
