#include "sim/validation/validate_kernels.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "sim/simulate/scenario_table.h"
#include "sim/validation/validate_report.h"

namespace meshstep {
namespace {

std::string GroupOf(const v1::ComputeRow& kernel) {
  if (kernel.flops() == 0) return "other_kernels";
  const bool attention = kernel.op() == "attention" || kernel.op() == "attention backward";
  return attention ? "attention" : "matmuls";
}

// Empty: of none.
std::string GroupOf(const v1::CommunicationRow& collective) {
  if (collective.tensor() == "parameters" || collective.tensor() == "gradients") {
    return collective.tensor();
  }
  if (collective.tensor() != "activations") return "";
  const std::vector<std::string> axes = absl::StrSplit(collective.axis(), '+');
  const auto has = [&](const char* axis) {
    return std::find(axes.begin(), axes.end(), axis) != axes.end();
  };
  return has("expert") ? "experts" : has("tensor") ? "tensor" : "";
}

}  // namespace

std::map<std::string, double> BusyByGroup(const v1::SimulateReport& report) {
  std::map<std::string, double> busy;
  for (const v1::ComputeRow& kernel : report.breakdown_detail().compute()) {
    busy[GroupOf(kernel)] += kernel.busy_s();
  }
  for (const v1::CommunicationRow& collective : report.communication()) {
    const std::string group = GroupOf(collective);
    if (!group.empty()) busy[group] += collective.busy_s();
  }
  return busy;
}

StatusOr<v1::ValidateReport> ValidateKernels(const std::string& path, const RunOptions& options) {
  ASSIGN_OR_RETURN(ScenarioTable table, ReadScenarioTable(path));
  std::vector<ScenarioRow> rows;
  for (const ScenarioRow& row : table.rows) {
    for (const auto& [group, seconds] : row.measured.busy) {
      ScenarioRow& one = rows.emplace_back(row);
      one.name = absl::StrCat(row.name, ": ", group);
      one.family = row.name;
      one.measured.busy = {{group, seconds}};
    }
  }
  return SimulateRows(
      rows, options,
      [](const ScenarioRow& row, const StatusOr<v1::SimulateReport>& report, v1::ValidateRow* out) {
        const auto& [group, seconds] = *row.measured.busy.begin();
        out->set_measured_s(seconds);
        if (!report.ok()) return;
        const std::map<std::string, double> busy = BusyByGroup(*report);
        const auto predicted = busy.find(group);
        out->set_predicted_s(predicted == busy.end() ? 0 : predicted->second);
        out->set_error(out->predicted_s() / seconds - 1);
      });
}

}  // namespace meshstep
