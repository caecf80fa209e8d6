// What validation says of a table of scenarios, as that table with results beside every row
// (sim/simulate/write_scenario_table.h).

#ifndef MESHSTEP_SIM_VALIDATION_VALIDATE_TABLE_H_
#define MESHSTEP_SIM_VALIDATION_VALIDATE_TABLE_H_

#include <span>
#include <string>

#include "meshstep/v1/validate_report.pb.h"
#include "sim/base/status.h"

namespace meshstep {

// The rows of the tables at `paths`, one after the other, in their own columns, followed by those of
// the report's rows of the same name: step_time_s, memory.peak_bytes, error, reason. Rows that the
// report leaves out are left out. Error: a file that cannot be read.
StatusOr<std::string> ValidateToTable(std::span<const std::string> paths,
                                      const v1::ValidateReport& report);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_VALIDATION_VALIDATE_TABLE_H_
