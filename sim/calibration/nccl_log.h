// The text output of nccl-tests (all_reduce_perf and others), as people keep it in logs:
//
//   # Collective test starting: all_reduce_perf
//   #  Rank  0 Group  0 Pid  11 on node0 device  0 [0x00] NVIDIA H100 80GB HBM3
//   #       size   count    type   redop    root     time   algbw   busbw #wrong     time ...
//        1048576  262144   float     sum      -1    43.10   24.33   42.58      0    42.81 ...
//
// The out-of-place columns are taken: every test has them. What mpirun, srun and collectors of logs
// put before lines is taken off (sim/calibration/log_line.h). Below the header of the columns,
// lines that do not begin with two whole numbers (NCCL INFO, a shell's words) are passed over and
// counted.

#ifndef MESHSTEP_SIM_CALIBRATION_NCCL_LOG_H_
#define MESHSTEP_SIM_CALIBRATION_NCCL_LOG_H_

#include <optional>
#include <string>
#include <vector>

#include "sim/base/status.h"
#include "sim/calibration/fit_collective.h"
#include "sim/cost/collective.h"

namespace meshstep {

// One run of one test.
struct NcclLog {
  Collective collective = Collective::kAllReduce;
  int ranks = 0;
  int hosts = 1;                     // that the log lists
  std::vector<std::string> devices;  // names that it lists, each once: "NVIDIA H100 80GB HBM3"
  std::vector<CollectiveSample> samples;
  int passed_over = 0;  // lines among the rows that are no rows
};

// The runs of a file, in order. `name` is what errors call it. Which test ran is what "# Collective
// test starting" says; where nothing says it (before version 2.14), `kind`, the only test that the
// log or else the file's name mentions. ranks: where the log does not list them; 0: not given.
// Error: "name:line: ..." for a row that cannot be read, wrong results, ranks that are not known or
// contradict `ranks`, a test that contradicts `kind`, its reduction, or a bus bandwidth that is not
// what the collective and the ranks make of the algorithm's.
StatusOr<std::vector<NcclLog>> ParseNcclLog(const std::string& name, const std::string& content,
                                            int ranks, std::optional<Collective> kind = {});

}  // namespace meshstep

#endif  // MESHSTEP_SIM_CALIBRATION_NCCL_LOG_H_
