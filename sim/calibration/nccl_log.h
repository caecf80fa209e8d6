// The text output of nccl-tests (all_reduce_perf and others), as people keep it in logs:
//
//   # Collective test starting: all_reduce_perf
//   #  Rank  0 Group  0 Pid  11 on node0 device  0 [0x00] NVIDIA H100 80GB HBM3
//   #       size   count    type   redop    root     time   algbw   busbw #wrong     time ...
//        1048576  262144   float     sum      -1    43.10   24.33   42.58      0    42.81 ...
//
// The out-of-place columns are taken: every test has them. Lines before the header of the columns
// and lines that do not begin with a number (NCCL INFO) are not looked at; mpirun's
// "[1,0]<stdout>:" is taken off.

#ifndef MESHSTEP_SIM_CALIBRATION_NCCL_LOG_H_
#define MESHSTEP_SIM_CALIBRATION_NCCL_LOG_H_

#include <string>
#include <vector>

#include "sim/base/status.h"
#include "sim/calibration/fit_collective.h"
#include "sim/cost/collective.h"

namespace meshstep {

struct NcclLog {
  Collective collective = Collective::kAllReduce;
  int ranks = 0;
  int hosts = 1;  // that the log lists
  std::vector<CollectiveSample> samples;
};

// `name` is what errors call the file; if the log does not say which test ran, the name does.
// ranks: where the log does not list them; 0: not given. Error: "name:line: ..." for a row that
// cannot be read, wrong results, ranks that are not known or contradict `ranks`, or a bus bandwidth
// that is not what the collective and the ranks make of the algorithm's.
StatusOr<NcclLog> ParseNcclLog(const std::string& name, const std::string& content, int ranks);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_CALIBRATION_NCCL_LOG_H_
