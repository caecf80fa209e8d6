#include "sim/advice/sweep/sweep.h"

#include <algorithm>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "sim/base/checked.h"
#include "sim/base/parallel.h"
#include "sim/simulate/scenario_fields.h"

namespace meshstep {
namespace {

// "tensor=8 fsdp=64".
std::string ShortName(const std::vector<std::string>& set) {
  std::vector<std::string> parts;
  parts.reserve(set.size());
  for (const std::string& assignment : set) {
    const std::size_t dot = assignment.find_last_of('.', assignment.find('='));
    parts.push_back(assignment.substr(dot == std::string::npos ? 0 : dot + 1));
  }
  return absl::StrJoin(parts, " ");
}

v1::SweepRow Row(const v1::Scenario& base, std::span<const Vary> varied, std::int64_t index,
                 const SweepOptions& options, Status* bug) {
  v1::SweepRow row;
  std::vector<std::string> set;
  StatusOr<v1::Scenario> point = GridPoint(base, varied, index, *options.simulate.catalog, &set);
  const std::string name =
      absl::StrCat(base.name(), base.name().empty() ? "" : " ", ShortName(set));
  row.set_name(name);
  *row.mutable_set() = {set.begin(), set.end()};
  Status status = point.status();
  if (point.ok()) {
    point->set_name(name);
    const StatusOr<v1::SimulateReport> report = Simulate(*point, options.simulate);
    status = report.status();
    if (report.ok()) {
      row.set_chips(report->chips());
      row.set_step_time_s(report->step_time_s());
      row.set_tokens_per_s(report->tokens_per_s());
      row.set_tokens_per_s_per_chip(report->tokens_per_s_per_chip());
      row.set_mfu(report->mfu());
      row.set_lower_bound_s(report->lower_bound_s());
      *row.mutable_memory() = report->memory();
    }
  }
  if (status.code() == absl::StatusCode::kInternal) *bug = status;
  row.set_reason(absl::StrReplaceAll(std::string(status.message()), {{"\n", "; "}}));
  return row;
}

// Fits, does not fit, has no result.
int Rank(const v1::SweepRow& row) {
  return !row.reason().empty() ? 2 : row.memory().fits() ? 0 : 1;
}

}  // namespace

StatusOr<std::int64_t> GridSize(std::span<const Vary> varied) {
  std::int64_t size = 1;
  std::set<std::string> paths;
  bool rest = false;
  for (const Vary& vary : varied) {
    if (!paths.insert(vary.path).second) {
      return InvalidInput(absl::StrCat("--vary ", vary.path, ": is given twice"));
    }
    if (vary.rest && rest) return InvalidInput("--vary: one degree can be the rest");
    rest |= vary.rest;
    if (!vary.rest) {
      size = SaturatingMultiply(size, static_cast<std::int64_t>(vary.values.size()));
    }
  }
  if (size <= kMaxGrid) return size;
  return InvalidInput(absl::StrCat("--vary: the grid has ", size, " points, expected at most ",
                                   kMaxGrid, "; `meshstep search` looks through more"));
}

StatusOr<v1::Scenario> GridPoint(const v1::Scenario& base, std::span<const Vary> varied,
                                 std::int64_t index, const Catalog& catalog,
                                 std::vector<std::string>* set) {
  v1::Scenario point = base;
  std::vector<std::string> assignments(varied.size());
  std::size_t rest = varied.size();
  for (std::size_t i = varied.size(); i-- > 0;) {
    if (varied[i].rest) {
      rest = i;
      continue;
    }
    const auto values = static_cast<std::int64_t>(varied[i].values.size());
    assignments[i] = absl::StrCat(varied[i].path, "=",
                                  varied[i].values[static_cast<std::size_t>(index % values)]);
    index /= values;
    RETURN_IF_ERROR(SetScenarioField(assignments[i], &point));
  }
  Status status;
  if (rest < varied.size()) {
    const std::string& path = varied[rest].path;
    const StatusOr<std::int64_t> degree = RestOfDevices(path, point, catalog);
    status = degree.status();
    assignments[rest] = absl::StrCat(path, "=", degree.ok() ? absl::StrCat(*degree) : "");
    if (status.ok()) status = SetScenarioField(assignments[rest], &point);
  }
  if (set != nullptr) *set = std::move(assignments);
  RETURN_IF_ERROR(status);
  return point;
}

StatusOr<v1::SweepReport> Sweep(const v1::Scenario& base, std::span<const Vary> varied,
                                const SweepOptions& options) {
  ASSIGN_OR_RETURN(const std::int64_t size, GridSize(varied));
  std::vector<v1::SweepRow> rows(static_cast<std::size_t>(size));
  std::vector<Status> bugs(rows.size());
  std::mutex mutex;
  ParallelFor(rows.size(), options.threads, [&](std::size_t i) {
    rows[i] = Row(base, varied, static_cast<std::int64_t>(i), options, &bugs[i]);
    if (!options.done) return;
    const std::lock_guard lock(mutex);
    options.done(rows[i]);
  });
  for (const Status& bug : bugs) RETURN_IF_ERROR(bug);
  std::stable_sort(rows.begin(), rows.end(), [](const v1::SweepRow& a, const v1::SweepRow& b) {
    if (Rank(a) != Rank(b)) return Rank(a) < Rank(b);
    return a.tokens_per_s_per_chip() > b.tokens_per_s_per_chip();
  });
  v1::SweepReport report;
  report.set_scenario(base.name());
  for (v1::SweepRow& row : rows) *report.add_rows() = std::move(row);
  return report;
}

}  // namespace meshstep
