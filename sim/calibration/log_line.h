// A line of a log without what launchers and log collectors put before it.

#ifndef MESHSTEP_SIM_CALIBRATION_LOG_LINE_H_
#define MESHSTEP_SIM_CALIBRATION_LOG_LINE_H_

#include <string_view>

namespace meshstep {

// Takes off, as often as they occur:
//   [1,0]<stdout>:  and  Mon Nov 30 14:00:00 2026[1,0]<stdout>:   mpirun --tag-output,
//   --timestamp-output 0:                                                            srun -l
//   2026-11-30T14:00:00.123Z  and  [14:00:00]                     time stamps
//   worker-0 |   worker-0:   [worker-0]                           compose, pssh, kubectl --prefix
// What is left begins with the tool's own text. Colours of terminals are no prefix.
std::string_view WithoutPrefixes(std::string_view line);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_CALIBRATION_LOG_LINE_H_
