// Measured training steps against their simulation.

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
#include "sim/validation/mechanisms.h"
#include "sim/validation/run_row.h"

namespace meshstep {

struct RunOptions {
  const Catalog* catalog = nullptr;  // unset: presets are read anew for every row
  std::vector<const Mechanism*> without = {};
  int threads = 0;  // 0: as many as the machine has
};

// Reads a table with the columns of training_runs.csv or training_runs_one_node.csv. Rows that
// cannot be expressed get a reason. Error: the file cannot be read or lacks columns.
StatusOr<v1::ValidateReport> ValidateRuns(const std::string& path, const RunOptions& options);

// The same for the tables that ship with the program, one after the other.
StatusOr<v1::ValidateReport> ValidateShippedRuns(const RunOptions& options);

// Writes what a row measured and, if it was simulated, what was predicted.
using FillRow = std::function<void(const RunRow& row, const StatusOr<v1::SimulateReport>& report,
                                   v1::ValidateRow* out)>;
// The same for any table in the columns of training_runs.csv.
StatusOr<v1::ValidateReport> SimulateRows(const CsvTable& runs, const RunOptions& options,
                                          const FillRow& fill);

// The scenario of one row. Error: there is no such row, or it cannot be expressed.
StatusOr<v1::Scenario> ScenarioOfRow(const std::string& path, const std::string& id);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_VALIDATION_VALIDATE_RUNS_H_
