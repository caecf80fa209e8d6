// Rows of a table of scenarios (sim/simulate/scenario_table.h) against their
// simulation.

#ifndef MESHSTEP_SIM_VALIDATION_VALIDATE_RUNS_H_
#define MESHSTEP_SIM_VALIDATION_VALIDATE_RUNS_H_

#include <functional>
#include <string>
#include <vector>

#include "meshstep/v1/report.pb.h"
#include "meshstep/v1/scenario.pb.h"
#include "meshstep/v1/validate_report.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/status.h"
#include "sim/simulate/scenario_table.h"
#include "sim/validation/mechanisms.h"

namespace meshstep {

struct RunOptions {
  const Catalog* catalog = nullptr;  // unset: presets are read anew for every row
  std::vector<Mechanism> without = {};
  int threads = 0;  // 0: as many as the machine has
};

// Step times. Rows that cannot be simulated get a reason; rows about memory
// alone are left out. Error: the file cannot be read or is no table of
// scenarios.
StatusOr<v1::ValidateReport> ValidateRuns(const std::string& path, const RunOptions& options);

// The tables of step times that ship with the program.
std::vector<std::string> ShippedTables();

// The same for these, one after the other.
StatusOr<v1::ValidateReport> ValidateShippedRuns(const RunOptions& options);

// Writes what a row measured and, if it was simulated, what was predicted.
using FillRow = std::function<void(
    const ScenarioRow& row, const StatusOr<v1::SimulateReport>& report, v1::ValidateRow* out)>;
v1::ValidateReport SimulateRows(const std::vector<ScenarioRow>& rows, const RunOptions& options,
                                const FillRow& fill);

// Seconds that one step took. The report of the simulated step turns a rate
// into a time; 0 if the row says nothing that gives one.
double MeasuredSeconds(const ScenarioRow& row, const v1::SimulateReport& report);

// Frameworks that rows of the table name, each once. Empty where it cannot be read.
std::vector<std::string> FrameworksOf(const std::string& path);

// The scenario of one row. Error: there is no such row, or it says why it has
// none.
StatusOr<v1::Scenario> ScenarioOfRow(const std::string& path, const std::string& name);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_VALIDATION_VALIDATE_RUNS_H_
