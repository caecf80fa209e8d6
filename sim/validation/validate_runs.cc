#include "sim/validation/validate_runs.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "sim/base/data_path.h"
#include "sim/simulate/simulate.h"
#include "sim/validation/validate_report.h"
#include "strategies/plan/load_scenario.h"

namespace meshstep {
namespace {

// A problem of one row in one line.
std::string OneLine(const Status& status) {
  return absl::StrReplaceAll(std::string(status.message()), {{"\n", "; "}});
}

// A step and what rows are compared within.
struct Predicted {
  v1::SimulateReport report;
  std::string group;
  bool experts = false;
};

std::string GroupOf(const Scenario& scenario) {
  const Precision& precision = scenario.plan.precision;
  return absl::StrCat(
      scenario.model.name, ", ", scenario.model.layers, " layers of ", scenario.model.hidden, ", ",
      scenario.cluster.chips, " ", scenario.cluster.chip.name, ", ", scenario.workload.sequence,
      " tokens, ", std::string(NameOf(precision.compute)),
      precision.quantised() ? absl::StrCat(" ", std::string(NameOf(precision.scaling))) : "");
}

StatusOr<Predicted> SimulateRow(const ScenarioRow& row, const RunOptions& options) {
  if (!row.reason.empty()) return InvalidInput(row.reason);
  const Catalog own;
  const Catalog& catalog = options.catalog != nullptr ? *options.catalog : own;
  Diagnostics diagnostics;
  Scenario scenario = LoadScenario(row.scenario, catalog, &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  for (const Mechanism& mechanism : options.without) {
    LeaveOut(mechanism, &scenario);
    if (scenario.evaluation) LeaveOut(mechanism, scenario.evaluation.get());
  }
  ASSIGN_OR_RETURN(SimulatedStep step, SimulateStep(scenario, {.catalog = &catalog}));
  return Predicted{std::move(step.report), GroupOf(scenario), scenario.model.moe.has_value()};
}

// Rows of one scenario, which is simulated once.
std::vector<std::vector<std::size_t>> Shared(const std::vector<ScenarioRow>& rows) {
  std::vector<std::vector<std::size_t>> all;
  std::map<std::string, std::size_t> known;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    v1::Scenario scenario = rows[i].scenario;
    scenario.clear_name();
    const std::string key = absl::StrCat(rows[i].reason, "\n", scenario.SerializeAsString());
    const auto [at, is_new] = known.emplace(key, all.size());
    if (is_new) all.emplace_back();
    all[at->second].push_back(i);
  }
  return all;
}

void Predict(const std::vector<ScenarioRow>& table, const std::vector<std::size_t>& shared,
             const RunOptions& options, const FillRow& fill, std::vector<v1::ValidateRow>* rows) {
  const StatusOr<Predicted> predicted = SimulateRow(table[shared.front()], options);
  const StatusOr<v1::SimulateReport> report =
      predicted.ok() ? StatusOr<v1::SimulateReport>(predicted->report)
                     : StatusOr<v1::SimulateReport>(predicted.status());
  for (const std::size_t i : shared) {
    const ScenarioRow& row = table[i];
    v1::ValidateRow& out = (*rows)[i];
    out.set_id(row.name);
    out.set_family(row.family);
    out.set_tokens(static_cast<double>(row.scenario.workload().global_batch_sequences()) *
                   static_cast<double>(row.scenario.workload().sequence_length()));
    if (!row.trust.empty()) out.set_trust(row.trust);
    if (row.first_error) out.set_first_error(*row.first_error);
    if (predicted.ok()) {
      out.set_chips(report->chips());
      out.set_framework(report->framework());
      out.set_experts(predicted->experts);
      out.set_group(absl::StrCat(row.family, ": ", predicted->group));
    } else {
      out.set_reason(OneLine(predicted.status()));
    }
    fill(row, report, &out);
  }
}

void FillTimes(const ScenarioRow& row, const StatusOr<v1::SimulateReport>& report,
               v1::ValidateRow* out) {
  out->set_measured_s(row.measured.step_time_s.value_or(0));
  if (!report.ok()) return;
  out->set_measured_s(MeasuredSeconds(row, *report));
  out->set_predicted_s(report->step_time_s());
  *out->mutable_breakdown() = report->breakdown();
  if (out->measured_s() > 0) out->set_error(out->predicted_s() / out->measured_s() - 1);
}

// Runs of a layer in the step of a row, about.
double LayerRuns(const v1::Scenario& scenario) {
  const v1::Plan& plan = scenario.plan();
  const double replicas = std::max(1, plan.data()) * std::max(1, plan.fsdp());
  return std::max(1, scenario.model().layers()) *
         static_cast<double>(scenario.workload().global_batch_sequences()) /
         (replicas * std::max(1, plan.micro_batch_sequences()));
}

// Scenarios with most to simulate first.
void LongestFirst(const std::vector<ScenarioRow>& rows,
                  std::vector<std::vector<std::size_t>>* all) {
  const auto work = [&](const std::vector<std::size_t>& shared) {
    return LayerRuns(rows[shared.front()].scenario);
  };
  std::stable_sort(all->begin(), all->end(),
                   [&](const auto& a, const auto& b) { return work(a) > work(b); });
}

// Hands out n items to threads. The first thread takes them from the first on, the others from the
// last on, until they meet: so one of the largest at a time is in memory, and no thread is left with
// them at the end.
class FromBothEnds {
 public:
  explicit FromBothEnds(std::size_t n) : end_(n) {}
  std::optional<std::size_t> Next(bool first_thread) {
    const std::lock_guard lock(mutex_);
    if (begin_ == end_) return std::nullopt;
    return first_thread ? begin_++ : --end_;
  }

 private:
  std::mutex mutex_;
  std::size_t begin_ = 0, end_;
};

}  // namespace

double MeasuredSeconds(const ScenarioRow& row, const v1::SimulateReport& report) {
  const Measured& measured = row.measured;
  if (measured.step_time_s) return *measured.step_time_s;
  const auto chips = static_cast<double>(report.chips());
  const v1::Workload& workload = row.scenario.workload();
  if (measured.tokens_per_s_per_chip) {
    return static_cast<double>(workload.global_batch_sequences()) *
           static_cast<double>(workload.sequence_length()) /
           (*measured.tokens_per_s_per_chip * chips);
  }
  const double counted = measured.flops == "model"      ? report.flops().model()
                         : measured.flops == "hardware" ? report.flops().hardware()
                                                        : report.flops().model_full_attention();
  if (measured.tflops_per_chip) return counted / (*measured.tflops_per_chip * 1e12 * chips);
  // Peak FLOP/s that MFU is counted against.
  const double rate = report.step_time_s() * chips * report.mfu();
  if (!measured.mfu || rate <= 0) return 0;
  return counted / (*measured.mfu * report.flops().model() / rate * chips);
}

v1::ValidateReport SimulateRows(const std::vector<ScenarioRow>& rows, const RunOptions& options,
                                const FillRow& fill) {
  // Each scenario is simulated by itself, so that the threads' order shows
  // nowhere.
  std::vector<v1::ValidateRow> out(rows.size());
  std::vector<std::vector<std::size_t>> all = Shared(rows);
  LongestFirst(rows, &all);
  FromBothEnds queue(all.size());
  const auto work = [&](bool first_thread) {
    while (const std::optional<std::size_t> n = queue.Next(first_thread)) {
      Predict(rows, all[*n], options, fill, &out);
    }
  };
  {
    const unsigned machine = std::max(1U, std::thread::hardware_concurrency());
    const unsigned threads = options.threads > 0 ? static_cast<unsigned>(options.threads) : machine;
    std::vector<std::jthread> workers;
    for (unsigned t = 1; t < threads; ++t) workers.emplace_back(work, false);
    work(true);
  }
  v1::ValidateReport report;
  for (v1::ValidateRow& row : out) *report.add_rows() = std::move(row);
  Summarize(&report);
  return report;
}

StatusOr<v1::ValidateReport> ValidateRuns(const std::string& path, const RunOptions& options) {
  ASSIGN_OR_RETURN(ScenarioTable table, ReadScenarioTable(path));
  std::erase_if(table.rows, [](const ScenarioRow& row) {
    return (row.measured.bytes() || row.measured.kernels()) && !row.measured.time();
  });
  return SimulateRows(table.rows, options, FillTimes);
}

std::vector<std::string> ShippedTables() {
  std::vector<std::string> paths;
  for (const char* name : {"training_runs.csv", "training_runs_one_node.csv", "fresh_runs.csv"}) {
    paths.push_back(absl::StrCat(DataRoot(), "/examples/validation/", name));
  }
  return paths;
}

StatusOr<v1::ValidateReport> ValidateShippedRuns(const RunOptions& options) {
  v1::ValidateReport all;
  for (const std::string& path : ShippedTables()) {
    ASSIGN_OR_RETURN(const v1::ValidateReport report, ValidateRuns(path, options));
    all.mutable_rows()->MergeFrom(report.rows());
  }
  Summarize(&all);
  return all;
}

std::vector<std::string> FrameworksOf(const std::string& path) {
  const StatusOr<ScenarioTable> table = ReadScenarioTable(path);
  std::set<std::string> names;
  if (table.ok()) {
    for (const ScenarioRow& row : table->rows) names.insert(row.scenario.plan().framework());
  }
  names.erase("");
  return {names.begin(), names.end()};
}

StatusOr<v1::Scenario> ScenarioOfRow(const std::string& path, const std::string& name) {
  ASSIGN_OR_RETURN(const ScenarioTable table, ReadScenarioTable(path));
  for (const ScenarioRow& row : table.rows) {
    if (row.name != name) continue;
    if (row.reason.empty()) return row.scenario;
    return InvalidInput(absl::StrCat(path, ":", row.line, ": ", name, ": ", row.reason));
  }
  return InvalidInput(absl::StrCat("--scenario: is \"", name.substr(0, 64),
                                   "\", which is the name of no row of ", path));
}

}  // namespace meshstep
