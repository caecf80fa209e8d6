// Predictions of measured collectives, row by row.

#ifndef MESHSTEP_SIM_VALIDATION_VALIDATE_COLLECTIVES_H_
#define MESHSTEP_SIM_VALIDATION_VALIDATE_COLLECTIVES_H_

#include <string>

#include "meshstep/v1/validate_report.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/status.h"

namespace meshstep {

// Reads a table of either kind:
//  - inside one domain: device, collective, group_size, tensor_bytes, time_us (device is what XLA
//    calls it: sm_90 = h100-sxm, sm_100_B200, sm_100_GB200, sm_103 = gb300, gfx950 = mi355x);
//  - across nodes: id, family, collective, hardware, ranks, nodes, ranks_per_node, interconnect,
//    bytes, time_us. Words of `interconnect` ("EFA", "TCPX") and the chip name a cluster under
//    topologies/clusters, whose answer is that of `meshstep collective --cluster`; NICs that differ
//    from its own are read as "8x400G" (Gb/s per node).
// Rows that cannot be expressed get a reason. Error: the file cannot be read or lacks columns.
StatusOr<v1::ValidateReport> ValidateCollectives(const std::string& path, const Catalog& catalog);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_VALIDATION_VALIDATE_COLLECTIVES_H_
