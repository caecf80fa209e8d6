#include "sim/simulate/scenario_table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/descriptor.h"
#include "sim/base/data_path.h"
#include "sim/base/set_field.h"
#include "sim/simulate/scenario_fields.h"
#include "sim/simulate/scenario_file.h"

namespace meshstep {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxTableBytes = std::size_t{64} << 20, kMaxErrors = 20;

// Columns of results, whole or by what stands before the first dot.
constexpr std::array<std::string_view, 30> kResults = {"step_time_s",
                                                       "step_time_low_s",
                                                       "step_time_high_s",
                                                       "tokens_per_s",
                                                       "tokens_per_s_per_chip",
                                                       "mfu",
                                                       "mfu_full_attention",
                                                       "mfu_6nd",
                                                       "hfu",
                                                       "lower_bound_s",
                                                       "flops",
                                                       "breakdown",
                                                       "memory",
                                                       "chips",
                                                       "error",
                                                       "reason",
                                                       "predicted_s",
                                                       "measured_s",
                                                       "predicted_bytes",
                                                       "measured_bytes",
                                                       "id",
                                                       "binds",
                                                       "bound_s",
                                                       "cost",
                                                       "confidence",
                                                       "fidelity",
                                                       "simulation",
                                                       "kv_cache_bytes",
                                                       "time_per_token_s",
                                                       "time_to_first_token_s"};

using Number = std::optional<double> Measured::*;
constexpr std::array<std::pair<const char*, Number>, 8> kMeasured = {
    {{"step_time_s", &Measured::step_time_s},
     {"tokens_per_s_per_chip", &Measured::tokens_per_s_per_chip},
     {"tflops_per_chip", &Measured::tflops_per_chip},
     {"mfu", &Measured::mfu},
     {"peak_bytes", &Measured::peak_bytes},
     {"last_stage_peak_bytes", &Measured::last_stage_peak_bytes},
     {"activations_bytes", &Measured::activations_bytes},
     {"state_bytes", &Measured::state_bytes}}};
constexpr std::array<const char*, 3> kFlops = {"model", "model_full_attention", "hardware"};

bool IsResult(const std::string& column) {
  const std::string_view first(column.data(), std::min(column.size(), column.find('.')));
  return std::find(kResults.begin(), kResults.end(), first) != kResults.end();
}

// Reads the cells of one column into a row. Error: what the value was and what was expected.
using Reader = std::function<Status(const std::string& cell, ScenarioRow* row)>;

StatusOr<double> NumberOf(const std::string& cell, double least) {
  double value = 0;
  if (absl::SimpleAtod(cell, &value) && std::isfinite(value) && value > least) return value;
  return InvalidInput(absl::StrCat("is \"", cell.substr(0, 64), "\", expected a number",
                                   least == 0 ? " above 0" : ""));
}

Reader TextReader(std::string ScenarioRow::*text) {
  return [text](const std::string& cell, ScenarioRow* row) {
    row->*text = cell;
    return absl::OkStatus();
  };
}

Reader MeasuredReader(Number number) {
  return [number](const std::string& cell, ScenarioRow* row) -> Status {
    ASSIGN_OR_RETURN(row->measured.*number, NumberOf(cell, 0));
    return absl::OkStatus();
  };
}

constexpr char kBusy[] = "measured.busy.";
constexpr std::array<const char*, 7> kGroups = {
    "matmuls", "attention", "other_kernels", "tensor", "parameters", "gradients", "experts"};

// Seconds of a group of kernels.
StatusOr<Reader> BusyReader(const std::string& group) {
  if (std::find(kGroups.begin(), kGroups.end(), group) == kGroups.end()) {
    return InvalidInput(absl::StrCat("column \"", kBusy, group.substr(0, 64),
                                     "\": expected one of ", absl::StrJoin(kGroups, ", ")));
  }
  return Reader([group](const std::string& cell, ScenarioRow* row) -> Status {
    ASSIGN_OR_RETURN(row->measured.busy[group], NumberOf(cell, 0));
    return absl::OkStatus();
  });
}

// The field at the end of a path; null if there is none.
const google::protobuf::FieldDescriptor* FieldOf(const std::string& path) {
  const google::protobuf::Descriptor* message = v1::Scenario::descriptor();
  const google::protobuf::FieldDescriptor* field = nullptr;
  for (const auto step : absl::StrSplit(path, '.')) {
    if (message == nullptr) return nullptr;
    field = message->FindFieldByName(std::string(step.substr(0, step.find('['))));
    if (field == nullptr) return nullptr;
    message = field->message_type();
  }
  return field;
}

Reader FieldReader(const std::string& path) {
  const google::protobuf::FieldDescriptor* const field = FieldOf(path);
  const bool list = field != nullptr && field->is_repeated();
  return [path, list](const std::string& cell, ScenarioRow* row) -> Status {
    const std::string value = list ? absl::StrReplaceAll(cell, {{";", ","}}) : cell;
    const Status status = SetScenarioField(absl::StrCat(path, "=", value), &row->scenario);
    if (status.ok()) return status;
    const std::string message(status.message());
    return InvalidInput(message.starts_with(path + " ") ? message.substr(path.size() + 1)
                                                        : message);
  };
}

Reader FirstErrorReader() {
  return [](const std::string& cell, ScenarioRow* row) -> Status {
    ASSIGN_OR_RETURN(row->first_error, NumberOf(cell, -1));
    return absl::OkStatus();
  };
}

Reader FlopsReader() {
  return [](const std::string& cell, ScenarioRow* row) -> Status {
    row->measured.flops = cell;
    if (std::find(kFlops.begin(), kFlops.end(), cell) != kFlops.end()) return absl::OkStatus();
    return InvalidInput(absl::StrCat("is \"", cell.substr(0, 64), "\", expected one of ",
                                     absl::StrJoin(kFlops, ", ")));
  };
}
// The reader of a column; null for one that is not read. Error: an unknown column.
StatusOr<Reader> ReaderOf(const std::string& column) {
  if (IsResult(column) && column != "reason") return Reader();
  if (column == "first_error") return FirstErrorReader();
  if (column == "measured.flops") return FlopsReader();
  if (column == "measured.memory") {
    return Reader([](const std::string& cell, ScenarioRow* row) {
      row->measured.memory = cell;
      return absl::OkStatus();
    });
  }
  if (column.starts_with(kBusy)) return BusyReader(column.substr(std::size(kBusy) - 1));
  for (const auto& [name, number] : kMeasured) {
    if (column == absl::StrCat("measured.", name)) return MeasuredReader(number);
  }
  for (const auto& [name, text] :
       {std::pair{"source", &ScenarioRow::source}, std::pair{"family", &ScenarioRow::family},
        std::pair{"trust", &ScenarioRow::trust}, std::pair{"notes", &ScenarioRow::notes},
        std::pair{"reason", &ScenarioRow::reason}}) {
    if (column == name) return TextReader(text);
  }
  v1::Scenario probe;
  const Status known = SetField(column + "=", &probe);
  if (known.ok()) return FieldReader(column);
  return InvalidInput(absl::StrCat(
      "column \"", column.substr(0, 64), "\": ", std::string(known.message()),
      "; expected a field path, base, measured.*, first_error, source, family, trust or notes"));
}

// Reads rows one after another; problems are collected.
class TableReader {
 public:
  TableReader(std::string path, const CsvTable& table) : path_(std::move(path)), csv_(table) {}

  StatusOr<ScenarioTable> Read() {
    ReadHeader();
    if (!errors_.empty()) return Problems();
    ScenarioTable table;
    table.path = path_;
    for (std::size_t i = 0; i < csv_.rows.size() && errors_.size() < kMaxErrors; ++i) {
      table.rows.push_back(ReadRow(i, table.rows));
    }
    if (!errors_.empty()) return Problems();
    return table;
  }

 private:
  Status Problems() const { return InvalidInput(absl::StrJoin(errors_, "\n")); }
  void Error(int line, std::size_t column, const std::string& problem) {
    errors_.push_back(absl::StrCat(path_, ":", line, ":", column + 1, ": ", problem));
  }

  void ReadHeader();
  ScenarioRow ReadRow(std::size_t i, const std::vector<ScenarioRow>& above);
  StatusOr<v1::Scenario> BaseOf(const std::string& name,
                                const std::vector<ScenarioRow>& above) const;
  Locator LocatorOf(std::size_t i) const;

  const std::string path_;
  const CsvTable& csv_;
  std::vector<Reader> readers_;  // by column; null: not read
  std::vector<std::string> errors_;
};

void TableReader::ReadHeader() {
  std::set<std::string> seen;
  for (std::size_t c = 0; c < csv_.columns.size(); ++c) {
    const std::string& column = csv_.columns[c];
    readers_.emplace_back();
    if (!seen.insert(column).second) {
      Error(1, c, absl::StrCat("column \"", column.substr(0, 64), "\" stands twice"));
      continue;
    }
    if (column == "base") continue;
    StatusOr<Reader> reader = ReaderOf(column);
    if (!reader.ok()) {
      Error(1, c, std::string(reader.status().message()));
      continue;
    }
    readers_.back() = *std::move(reader);
  }
}

StatusOr<v1::Scenario> TableReader::BaseOf(const std::string& name,
                                           const std::vector<ScenarioRow>& above) const {
  for (const ScenarioRow& row : above) {
    if (row.name == name) return row.scenario;
  }
  std::error_code ignored;
  const fs::path beside = fs::path(path_).parent_path() / name;
  return ReadScenarioMessage(fs::is_regular_file(beside, ignored) ? beside.string() : name);
}

// The cell of the field or of the nearest that encloses it.
Locator TableReader::LocatorOf(std::size_t i) const {
  std::map<std::string, std::size_t> columns;
  for (std::size_t c = 0; c < csv_.columns.size(); ++c) {
    if (!csv_.rows[i][c].empty()) columns.emplace(csv_.columns[c], c + 1);
  }
  const std::string line = absl::StrCat(path_, ":", csv_.lines[i]);
  return [line, columns = std::move(columns)](std::string field) {
    while (!field.empty()) {
      const auto found = columns.find(field);
      if (found != columns.end()) return absl::StrCat(line, ":", found->second);
      const std::size_t end = field.find_last_of(".[");
      field.resize(end == std::string::npos ? 0 : end);
    }
    return line;
  };
}

ScenarioRow TableReader::ReadRow(std::size_t i, const std::vector<ScenarioRow>& above) {
  ScenarioRow row;
  row.line = csv_.lines[i];
  row.locator = LocatorOf(i);
  if (const std::string& base = csv_.At(i, "base"); !base.empty()) {
    StatusOr<v1::Scenario> scenario = BaseOf(base, above);
    if (scenario.ok()) {
      row.scenario = *std::move(scenario);
      row.scenario.clear_name();
    } else {
      errors_.push_back(
          absl::StrCat(row.locator("base"), ": base: ", std::string(scenario.status().message())));
    }
  }
  for (std::size_t c = 0; c < csv_.columns.size(); ++c) {
    const std::string& cell = csv_.rows[i][c];
    if (cell.empty() || !readers_[c]) continue;
    const Status status = readers_[c](cell, &row);
    if (!status.ok()) {
      Error(row.line, c, absl::StrCat(csv_.columns[c], " ", std::string(status.message())));
    }
  }
  if (row.scenario.name().empty()) row.scenario.set_name(absl::StrCat("line ", row.line));
  row.name = row.scenario.name();
  if (row.family.empty()) row.family = row.source;
  return row;
}

}  // namespace

bool IsScenarioTable(const std::string& path) { return path.ends_with(".csv"); }

StatusOr<ScenarioTable> ReadScenarioTable(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string content, ReadFile(path, kMaxTableBytes));
  ASSIGN_OR_RETURN(const CsvTable table, ParseCsv(path, content));
  if (table.columns.empty()) {
    return InvalidInput(absl::StrCat(path, ": is empty, expected a header of field paths"));
  }
  return TableReader(path, table).Read();
}

}  // namespace meshstep
