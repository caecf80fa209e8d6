// Measured memory against the simulated peak.

#ifndef MESHSTEP_SIM_VALIDATION_VALIDATE_MEMORY_H_
#define MESHSTEP_SIM_VALIDATION_VALIDATE_MEMORY_H_

#include <string>

#include "meshstep/v1/validate_report.pb.h"
#include "sim/base/status.h"
#include "sim/validation/validate_runs.h"

namespace meshstep {

// Rows of a table of scenarios that give measured bytes
// (sim/simulate/scenario_table.h, Measured): the peak of the fullest device or
// of the last stage's, or a part of it. `measured.memory` says what a tool
// counted and is part of the family's name: what an allocator handed out, what
// it reserved, what the driver saw. Rows that cannot be simulated get a reason.
// Error: the file cannot be read or is no table of scenarios.
StatusOr<v1::ValidateReport> ValidateMemory(const std::string& path, const RunOptions& options);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_VALIDATION_VALIDATE_MEMORY_H_
