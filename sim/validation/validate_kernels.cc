#include "sim/validation/validate_kernels.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "sim/base/diagnostics.h"
#include "sim/simulate/scenario_table.h"
#include "sim/validation/validate_report.h"
#include "strategies/model/model.h"
#include "strategies/plan/load_scenario.h"

namespace meshstep {
namespace {

// A kernel is called after its op, with words that say which of its kernels it is.
std::string GroupOf(const v1::ComputeRow& kernel, const std::set<std::string>& attention_ops) {
  if (kernel.flops() == 0) return "other_kernels";
  const std::string op = kernel.op().substr(0, kernel.op().find(' '));
  return attention_ops.contains(op) ? "attention" : "matmuls";
}

// Of a row that can be loaded; else what is wrong is told by its simulation.
std::set<std::string> AttentionOpsOf(const ScenarioRow& row, const Catalog& catalog) {
  Diagnostics diagnostics;
  const Scenario scenario = LoadScenario(row.scenario, catalog, &diagnostics);
  if (!diagnostics.status().ok()) return {};
  return AttentionOps(scenario.model, scenario.plan);
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

std::set<std::string> AttentionOps(const Model& model, const Plan& plan) {
  const Transformer transformer =
      BuildTransformer(model, {.unfused_attention = plan.unfused_attention});
  std::set<std::string> names;
  for (const Block& block : transformer.kinds) {
    for (const Op& op : block.ops) {
      if (op.role == OpRole::kAttention) names.insert(op.name);
    }
  }
  return names;
}

std::map<std::string, double> BusyByGroup(const v1::SimulateReport& report,
                                          const std::set<std::string>& attention_ops) {
  std::map<std::string, double> busy;
  for (const v1::ComputeRow& kernel : report.breakdown_detail().compute()) {
    busy[GroupOf(kernel, attention_ops)] += kernel.busy_s();
  }
  for (const v1::CommunicationRow& collective : report.communication()) {
    const std::string group = GroupOf(collective);
    if (!group.empty()) busy[group] += collective.busy_s();
  }
  return busy;
}

StatusOr<v1::ValidateReport> ValidateKernels(const std::string& path, const RunOptions& options) {
  ASSIGN_OR_RETURN(ScenarioTable table, ReadScenarioTable(path));
  const Catalog own;
  const Catalog& catalog = options.catalog != nullptr ? *options.catalog : own;
  std::vector<ScenarioRow> rows;
  std::map<std::string, std::set<std::string>> attention_ops;  // by name of the row
  for (const ScenarioRow& row : table.rows) {
    attention_ops[row.name] = AttentionOpsOf(row, catalog);
    for (const auto& [group, seconds] : row.measured.busy) {
      ScenarioRow& one = rows.emplace_back(row);
      one.name = absl::StrCat(row.name, ": ", group);
      one.family = row.name;
      one.measured.busy = {{group, seconds}};
    }
  }
  return SimulateRows(rows, options,
                      [&](const ScenarioRow& row, const StatusOr<v1::SimulateReport>& report,
                          v1::ValidateRow* out) {
                        const auto& [group, seconds] = *row.measured.busy.begin();
                        out->set_measured_s(seconds);
                        if (!report.ok()) return;
                        const std::map<std::string, double> busy =
                            BusyByGroup(*report, attention_ops.at(row.family));
                        const auto predicted = busy.find(group);
                        out->set_predicted_s(predicted == busy.end() ? 0 : predicted->second);
                        out->set_error(out->predicted_s() / seconds - 1);
                      });
}

}  // namespace meshstep
