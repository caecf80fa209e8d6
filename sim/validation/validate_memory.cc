#include "sim/validation/validate_memory.h"

#include "absl/strings/str_cat.h"
#include "sim/simulate/scenario_table.h"

namespace meshstep {
namespace {

// The measured bytes of a row and those that the report predicts of the same;
// 0: not simulated.
struct Compared {
  double measured = 0, predicted = 0;
};

Compared Compare(const Measured& measured, const v1::SimulateReport& report) {
  const v1::Memory& memory = report.memory();
  if (measured.peak_bytes) {
    return {*measured.peak_bytes, static_cast<double>(memory.peak_bytes())};
  }
  if (measured.last_stage_peak_bytes) {
    const v1::Memory& last =
        report.stages_size() > 0 ? report.stages(report.stages_size() - 1).memory() : memory;
    return {*measured.last_stage_peak_bytes, static_cast<double>(last.peak_bytes())};
  }
  if (measured.activations_bytes) {
    return {*measured.activations_bytes, static_cast<double>(memory.activations_bytes())};
  }
  return {measured.state_bytes.value_or(0),
          static_cast<double>(memory.parameters_bytes() + memory.gradients_bytes() +
                              memory.optimizer_bytes())};
}

void Fill(const ScenarioRow& row, const StatusOr<v1::SimulateReport>& report,
          v1::ValidateRow* out) {
  if (!row.measured.memory.empty()) {
    out->set_family(absl::StrCat(row.family, ", ", row.measured.memory));
  }
  const Compared compared = Compare(row.measured, report.ok() ? *report : v1::SimulateReport());
  out->set_measured_bytes(compared.measured);
  if (!report.ok() || compared.predicted <= 0) return;
  out->set_predicted_bytes(compared.predicted);
  out->set_error(compared.predicted / compared.measured - 1);
}

}  // namespace

StatusOr<v1::ValidateReport> ValidateMemory(const std::string& path, const RunOptions& options) {
  ASSIGN_OR_RETURN(ScenarioTable table, ReadScenarioTable(path));
  std::erase_if(table.rows, [](const ScenarioRow& row) { return !row.measured.bytes(); });
  return SimulateRows(table.rows, options, Fill);
}

}  // namespace meshstep
