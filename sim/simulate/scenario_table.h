// A table of scenarios: one scenario a row, fields as columns. What people fill in in a
// spreadsheet, and what sweeps, searches and validation write.
//
//   name,base,plan.framework,plan.tensor,plan.pipeline,measured.step_time_s,source
//   a,llama3-70b-h100-512,megatron-core,8,4,9.41,our logs 2026-10
//   b,llama3-70b-h100-512,torchtitan-compiled,8,,,
//
// Columns are field paths of meshstep.v1.Scenario; an empty cell leaves the field unset, elements
// of a repeated field are separated by semicolons. `base` names a scenario that the row builds on:
// an example, a file beside the table, or a row above. `measured.*`, `first_error`, `source`,
// `family`, `trust` and `notes` say what was measured; result columns (fields of the report,
// `error`, `reason`) are accepted and not read, so that what one command prints another reads.

#ifndef MESHSTEP_SIM_SIMULATE_SCENARIO_TABLE_H_
#define MESHSTEP_SIM_SIMULATE_SCENARIO_TABLE_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "meshstep/v1/scenario.pb.h"
#include "sim/base/csv.h"
#include "sim/base/diagnostics.h"
#include "sim/base/status.h"

namespace meshstep {

// What a row says was measured; the first of the four that is given is the step's time.
struct Measured {
  std::optional<double> step_time_s;
  std::optional<double> tokens_per_s_per_chip;
  std::optional<double> tflops_per_chip;  // by the count of FLOPs that `flops` names
  std::optional<double> mfu;              // the same over the data-sheet peak, a fraction
  std::string flops;                      // "model", "model_full_attention" (default), "hardware"
  // Of the fullest device, of the last stage's, and two of its parts: activations; parameters,
  // gradients and optimizer state.
  std::optional<double> peak_bytes, last_stage_peak_bytes, activations_bytes, state_bytes;
  // Seconds that groups of kernels and collectives were busy on one device (measured.busy.*), by
  // group: sim/validation/validate_kernels.h.
  std::map<std::string, double> busy;
  std::string memory;  // what a tool counted, for people: "allocated", "reserved", "nvidia-smi"

  bool kernels() const { return !busy.empty(); }
  bool time() const { return step_time_s || tokens_per_s_per_chip || tflops_per_chip || mfu; }
  bool bytes() const {
    return peak_bytes || last_stage_peak_bytes || activations_bytes || state_bytes;
  }
};

struct ScenarioRow {
  std::string name;
  int line = 0;
  v1::Scenario scenario;
  Locator locator;  // "table.csv:7:12", the cell of a field, or "table.csv:7"
  Measured measured;
  std::optional<double> first_error;
  std::string source, family, trust, notes;  // family: source, where the table does not say
  std::string reason;                        // why the row has no result, as the table says
};

struct ScenarioTable {
  std::string path;
  std::vector<ScenarioRow> rows;
};

// `path` ends with ".csv".
bool IsScenarioTable(const std::string& path);

// Error: the file cannot be read; "FILE:LINE:COLUMN: ..." for each unknown column and each value
// that does not fit its field, the first 20.
StatusOr<ScenarioTable> ReadScenarioTable(const std::string& path);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_SIMULATE_SCENARIO_TABLE_H_
