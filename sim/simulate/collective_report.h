// Times of one collective by itself: as the cost model has it, as its closed form has it, message
// by message, and the least that the fabric allows.

#ifndef MESHSTEP_SIM_SIMULATE_COLLECTIVE_REPORT_H_
#define MESHSTEP_SIM_SIMULATE_COLLECTIVE_REPORT_H_

#include <span>
#include <string>

#include "meshstep/v1/collective_report.pb.h"
#include "sim/base/status.h"
#include "sim/cost/collective.h"
#include "sim/simulate/collective_setup.h"
#include "topologies/chip.h"

namespace meshstep {

struct CollectiveOptions {
  std::string algorithm = "auto";
  Fidelity fidelity = Fidelity::kCalibrated;  // that of the setup
  bool stepwise = false;                      // also every message as its own flow
  bool why = false;                           // also what the library could run
};

// One report per size. sizes: bytes as nccl-tests counts them. Error: no such algorithm, one that
// does not run on the group, or too many ranks to simulate message by message.
StatusOr<v1::CollectiveReports> TimeCollective(const CollectiveSetup& setup, Collective collective,
                                               std::span<const double> sizes,
                                               const CollectiveOptions& options);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_SIMULATE_COLLECTIVE_REPORT_H_
