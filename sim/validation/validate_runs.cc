#include "sim/validation/validate_runs.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "sim/base/data_path.h"
#include "sim/simulate/simulate.h"
#include "sim/validation/run_scenario.h"
#include "sim/validation/validate_report.h"
#include "strategies/plan/load_scenario.h"

namespace meshstep {
namespace {

// What every row is read with.
struct Tables {
  CsvTable runs, defaults;
  RunTables words;
};

Status ReadDefaults(Tables* tables) {
  ASSIGN_OR_RETURN(tables->defaults, ReadValidationTable("framework_defaults.csv"));
  ASSIGN_OR_RETURN(tables->words.interconnects, ReadValidationTable("interconnects.csv"));
  ASSIGN_OR_RETURN(tables->words.workspaces, ReadValidationTable("library_workspaces.csv"));
  ASSIGN_OR_RETURN(tables->words.experts, ReadValidationTable("expert_defaults.csv"));
  return absl::OkStatus();
}

StatusOr<Tables> ReadTables(const std::string& path) {
  Tables tables;
  ASSIGN_OR_RETURN(const std::string content, ReadFile(path));
  ASSIGN_OR_RETURN(tables.runs, ParseCsv(path, content));
  for (const char* column : {"id", "seq", "gbs", "iter_time_s"}) {
    if (!tables.runs.Has(column)) {
      return InvalidInput(absl::StrCat(path, ":1: has no column \"", column,
                                       "\", expected those of training_runs.csv or "
                                       "training_runs_one_node.csv"));
    }
  }
  RETURN_IF_ERROR(ReadDefaults(&tables));
  return tables;
}

// A problem of one row in one line.
std::string OneLine(const Status& status) {
  return absl::StrReplaceAll(std::string(status.message()), {{"\n", "; "}});
}

StatusOr<v1::SimulateReport> SimulateRow(const v1::Scenario& proto, const RunOptions& options) {
  if (options.without.empty()) return Simulate(proto, {.catalog = options.catalog});
  Diagnostics diagnostics;
  const Catalog own;
  const Catalog& catalog = options.catalog != nullptr ? *options.catalog : own;
  Scenario scenario = LoadScenario(proto, catalog, &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  for (const Mechanism* mechanism : options.without) mechanism->remove(&scenario);
  ASSIGN_OR_RETURN(SimulatedStep step, SimulateStep(scenario, {}));
  return std::move(step.report);
}

// Peak FLOP/s that MFU is counted against.
double PeakOf(const v1::SimulateReport& report) {
  const double rate = report.step_time_s() * static_cast<double>(report.chips()) * report.mfu();
  return rate > 0 ? report.flops().model() / rate : 0;
}

// What a step of forward passes alone takes, with the model, cluster and plan of the row.
StatusOr<double> EvaluationSeconds(v1::Scenario scenario, const RunOptions& options) {
  scenario.mutable_workload()->set_mode(v1::Workload::PREFILL);
  v1::Plan* plan = scenario.mutable_plan();
  plan->clear_recompute();
  plan->clear_recompute_keep();
  plan->clear_dropout();
  plan->clear_overlap_gradients();
  plan->clear_overlap_parameters();
  v1::Precision* precision = plan->mutable_precision();
  precision->clear_gradients();
  precision->clear_reduce();
  precision->clear_optimizer();
  ASSIGN_OR_RETURN(const v1::SimulateReport report, SimulateRow(scenario, options));
  return report.step_time_s();
}

// Rows that became one scenario, which is simulated once.
struct Shared {
  StatusOr<v1::Scenario> scenario;
  bool evaluates;
  std::vector<std::size_t> rows;
};

// Rows whose scenario fails stand alone: each has its own reason.
std::vector<Shared> Scenarios(const Tables& tables) {
  std::vector<Shared> all;
  std::map<std::string, std::size_t> known;
  for (std::size_t i = 0; i < tables.runs.rows.size(); ++i) {
    const RunRow row(tables.runs, i, tables.defaults);
    StatusOr<v1::Scenario> scenario = ScenarioOf(row, tables.words);
    const bool evaluates = row.Number("evaluation") > 0;
    if (scenario.ok()) {
      const std::string key = absl::StrCat(evaluates, " ", scenario->SerializeAsString());
      const auto [at, is_new] = known.emplace(key, all.size());
      if (!is_new) {
        all[at->second].rows.push_back(i);
        continue;
      }
    }
    all.push_back({std::move(scenario), evaluates, {i}});
  }
  return all;
}

void Predict(const Tables& tables, const Shared& shared, const RunOptions& options,
             const FillRow& fill, std::vector<v1::ValidateRow>* rows) {
  StatusOr<v1::SimulateReport> report =
      shared.scenario.ok() ? SimulateRow(*shared.scenario, options)
                           : StatusOr<v1::SimulateReport>(shared.scenario.status());
  double evaluation = 0;
  if (report.ok() && shared.evaluates) {
    const StatusOr<double> seconds = EvaluationSeconds(*shared.scenario, options);
    if (seconds.ok()) {
      evaluation = *seconds;
    } else {
      report = seconds.status();
    }
  }
  for (const std::size_t i : shared.rows) {
    const RunRow row(tables.runs, i, tables.defaults);
    v1::ValidateRow& out = (*rows)[i];
    out.set_id(tables.runs.At(i, "id"));
    out.set_family(row.family());
    out.set_chips(row.Count("chips"));
    if (!row.Get("trust").empty()) out.set_trust(row.Get("trust"));
    if (!report.ok()) out.set_reason(OneLine(report.status()));
    fill(row, report, &out);
    if (evaluation <= 0 || out.predicted_s() <= 0) continue;
    // Sequences that only go forward inside the measured time, for each one trained.
    out.set_predicted_s(out.predicted_s() + row.Number("evaluation") * evaluation);
    if (out.measured_s() > 0) out.set_error(out.predicted_s() / out.measured_s() - 1);
  }
}

void FillTimes(const RunRow& row, const StatusOr<v1::SimulateReport>& report,
               v1::ValidateRow* out) {
  out->set_measured_s(row.Number("iter_time_s"));
  if (!report.ok()) return;
  out->set_measured_s(MeasuredSeconds(row, report->flops(), PeakOf(*report)));
  out->set_predicted_s(report->step_time_s());
  *out->mutable_breakdown() = report->breakdown();
  if (out->measured_s() > 0) out->set_error(out->predicted_s() / out->measured_s() - 1);
}

// Runs of a layer in the step of a row, about.
double LayerRuns(const RunRow& row) {
  const double model = row.Count("tp", 1) * row.Count("pp", 1) * row.Count("cp", 1);
  const double replicas = std::max(1.0, row.Count("chips", 1) / model);
  return row.Count("layers", 1) * row.Number("gbs", 1) / (replicas * row.Count("mbs", 1));
}

// Scenarios with most to simulate first, so that no thread is left with them at the end.
void LongestFirst(const Tables& tables, std::vector<Shared>* all) {
  const auto work = [&](const Shared& shared) {
    return LayerRuns(RunRow(tables.runs, shared.rows[0], tables.defaults));
  };
  std::stable_sort(all->begin(), all->end(),
                   [&](const Shared& a, const Shared& b) { return work(a) > work(b); });
}

v1::ValidateReport SimulateTable(const Tables& tables, const RunOptions& options,
                                 const FillRow& fill) {
  // Each scenario is simulated by itself, so that the threads' order shows nowhere.
  std::vector<v1::ValidateRow> rows(tables.runs.rows.size());
  std::vector<Shared> all = Scenarios(tables);
  LongestFirst(tables, &all);
  std::atomic<std::size_t> next = 0;
  const auto work = [&] {
    for (std::size_t n = next++; n < all.size(); n = next++) {
      Predict(tables, all[n], options, fill, &rows);
    }
  };
  {
    const unsigned machine = std::max(1U, std::thread::hardware_concurrency());
    const unsigned threads = options.threads > 0 ? static_cast<unsigned>(options.threads) : machine;
    std::vector<std::jthread> workers;
    for (unsigned t = 1; t < threads; ++t) workers.emplace_back(work);
    work();
  }
  v1::ValidateReport report;
  for (v1::ValidateRow& row : rows) *report.add_rows() = std::move(row);
  SummarizeFamilies(&report);
  return report;
}

}  // namespace

StatusOr<v1::ValidateReport> ValidateRuns(const std::string& path, const RunOptions& options) {
  ASSIGN_OR_RETURN(const Tables tables, ReadTables(path));
  return SimulateTable(tables, options, FillTimes);
}

StatusOr<v1::ValidateReport> ValidateShippedRuns(const RunOptions& options) {
  v1::ValidateReport all;
  for (const char* name : {"training_runs.csv", "training_runs_one_node.csv"}) {
    ASSIGN_OR_RETURN(const v1::ValidateReport report,
                     ValidateRuns(absl::StrCat(DataRoot(), "/tests/validation/", name), options));
    all.mutable_rows()->MergeFrom(report.rows());
  }
  SummarizeFamilies(&all);
  return all;
}

StatusOr<v1::ValidateReport> SimulateRows(const CsvTable& runs, const RunOptions& options,
                                          const FillRow& fill) {
  Tables tables{.runs = runs, .defaults = {}, .words = {}};
  RETURN_IF_ERROR(ReadDefaults(&tables));
  return SimulateTable(tables, options, fill);
}

StatusOr<v1::Scenario> ScenarioOfRow(const std::string& path, const std::string& id) {
  ASSIGN_OR_RETURN(const Tables tables, ReadTables(path));
  for (std::size_t i = 0; i < tables.runs.rows.size(); ++i) {
    if (tables.runs.At(i, "id") != id) continue;
    StatusOr<v1::Scenario> scenario =
        ScenarioOf(RunRow(tables.runs, i, tables.defaults), tables.words);
    if (scenario.ok()) {
      scenario->set_name(id);
      return scenario;
    }
    return InvalidInput(
        absl::StrCat(path, ":", tables.runs.lines[i], ": ", id, ": ", OneLine(scenario.status())));
  }
  return InvalidInput(absl::StrCat("--scenario: is \"", id.substr(0, 64),
                                   "\", which is the id of no row of ", path));
}

}  // namespace meshstep
