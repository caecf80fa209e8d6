#include "sim/validation/run_row.h"

#include <algorithm>
#include <cmath>
#include <regex>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "sim/base/data_path.h"

namespace meshstep {
namespace {

constexpr double kMaxCount = 1 << 30;
// How tables of runs say that something is not known.
constexpr const char* kNotStated[] = {"not stated",
                                      "not decoded",
                                      "n/a",
                                      "see ",
                                      "per models/",
                                      "base-recipe default",
                                      "not stored",
                                      "(assumed)",
                                      "split not stated",
                                      "fsdp+dp (split not stated)"};
const std::string kNothing;
constexpr const char* kCounts[] = {
    "chips",        "layers",     "hidden",  "ffn",  "heads",   "kv_heads",
    "head_dim",     "vocab",      "experts", "topk", "moe_ffn", "shared_experts",
    "dense_layers", "mtp_layers", "seq",     "gbs",  "mbs",     "tp",
    "pp",           "vp",         "cp",      "ep",   "dp"};
constexpr const char* kMeasured[] = {"iter_time_s", "tflops_per_chip", "mfu_pct",
                                     "tokens_per_s_per_chip"};

// Columns of training_runs_one_node.csv under the names of training_runs.csv.
std::string_view OtherName(std::string_view column) { return column == "chips" ? "gpus" : column; }

// "vtrain-single-0001" is of the family "vtrain-single".
std::string FamilyOfId(const std::string& id) {
  const std::size_t dash = id.find_last_of('-');
  const bool counted = dash != std::string::npos &&
                       id.find_first_not_of("0123456789", dash + 1) == std::string::npos;
  return counted ? id.substr(0, dash) : id;
}

}  // namespace

StatusOr<CsvTable> ReadValidationTable(const std::string& name) {
  const std::string path = DataRoot() + "/tests/validation/" + name;
  ASSIGN_OR_RETURN(const std::string content, ReadFile(path));
  return ParseCsv(path, content);
}

int NumberIn(const std::string& text, const char* pattern) {
  std::smatch match;
  int value = 0;
  if (!std::regex_search(text, match, std::regex(pattern))) return 0;
  return absl::SimpleAtoi(match[1].str(), &value) ? std::max(value, 0) : 0;
}

RunRow::RunRow(const CsvTable& runs, std::size_t row, const CsvTable& defaults)
    : runs_(runs), row_(row), defaults_(defaults) {
  family_ = runs.Has("family") ? runs.At(row, "family") : FamilyOfId(runs.At(row, "id"));
  std::size_t longest = 0;
  for (std::size_t i = 0; i < defaults.rows.size(); ++i) {
    const std::string& prefix = defaults.At(i, "families");
    const std::size_t length = prefix == "*" ? 1 : prefix.size() + 1;
    if ((prefix != "*" && !family_.starts_with(prefix)) || length <= longest) continue;
    longest = length;
    default_row_ = static_cast<std::ptrdiff_t>(i);
  }
}

const std::string& RunRow::Stated(const std::string& column) const {
  const std::string& text = runs_.At(row_, column);
  const std::string& value = text.empty() ? runs_.At(row_, std::string(OtherName(column))) : text;
  for (const char* not_stated : kNotStated) {
    if (absl::StartsWithIgnoreCase(value, not_stated)) return kNothing;
  }
  return value;
}

const std::string& RunRow::Default(const std::string& column) const {
  if (default_row_ < 0) return kNothing;
  return defaults_.At(static_cast<std::size_t>(default_row_), column);
}

const std::string& RunRow::Get(const std::string& column) const {
  const std::string& stated = Stated(column);
  return stated.empty() ? Default(column) : stated;
}

std::string RunRow::ForModel(const std::string& column) const {
  const std::string& text = Get(column);
  for (const auto piece : absl::StrSplit(text, ';')) {
    const std::pair<std::string, std::string> one = absl::StrSplit(piece, absl::MaxSplits(':', 1));
    const std::string name(absl::StripAsciiWhitespace(one.first));
    if (one.second.empty() || !Says("model", absl::StrCat(" ", name, " "))) continue;
    return std::string(absl::StripAsciiWhitespace(one.second));
  }
  return text;
}

double RunRow::Number(const std::string& column, double unset) const {
  double value = 0;
  const bool read = absl::SimpleAtod(Get(column), &value) && std::isfinite(value) && value > 0;
  return read ? value : unset;
}

int RunRow::Count(const std::string& column, int unset) const {
  const double value = Number(column);
  return value >= 1 && value <= kMaxCount && value == std::floor(value) ? static_cast<int>(value)
                                                                        : unset;
}

Status RunRow::CheckNumbers() const {
  std::vector<std::string> problems;
  const auto check = [&](const char* column, bool whole) {
    const std::string& text = Stated(column);
    if (text.empty()) return;
    double value = 0;
    const bool number = absl::SimpleAtod(text, &value) && value >= 0 && std::isfinite(value);
    if (number && (!whole || (value <= kMaxCount && value == std::floor(value)))) return;
    problems.push_back(absl::StrCat(column, " is \"", absl::CHexEscape(text.substr(0, 32)),
                                    "\", expected a ", whole ? "whole " : "", "number of 0",
                                    whole ? " to 2^30" : " or more"));
  };
  for (const char* column : kCounts) check(column, true);
  for (const char* column : kMeasured) check(column, false);
  return problems.empty() ? Status() : InvalidInput(absl::StrJoin(problems, "; "));
}

bool RunRow::Says(const std::string& column, const std::string& words) const {
  return absl::StrContains(absl::AsciiStrToLower(Get(column)), absl::AsciiStrToLower(words));
}

}  // namespace meshstep
