#include "sim/advice/sweep/vary.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "sim/base/checked.h"
#include "sim/base/set_field.h"
#include "topologies/load_cluster.h"

namespace meshstep {
namespace {

constexpr char kForms[] = "expected PATH=V,V, PATH=A..BxF, PATH=A..B+S or PATH=rest";

struct Degree {
  const char* path;
  std::int64_t (*of)(const v1::Plan& plan);
};

// The degrees whose product is the number of devices; unset is 1.
template <auto has, auto get>
std::int64_t Of(const v1::Plan& plan) {
  return (plan.*has)() ? (plan.*get)() : 1;
}
constexpr std::array<Degree, 5> kDegrees = {
    {{"plan.data", &Of<&v1::Plan::has_data, &v1::Plan::data>},
     {"plan.fsdp", &Of<&v1::Plan::has_fsdp, &v1::Plan::fsdp>},
     {"plan.tensor", &Of<&v1::Plan::has_tensor, &v1::Plan::tensor>},
     {"plan.context", &Of<&v1::Plan::has_context, &v1::Plan::context>},
     {"plan.pipeline", &Of<&v1::Plan::has_pipeline, &v1::Plan::pipeline>}}};

// Parts between commas that stand in no braces.
std::vector<std::string> SplitValues(const std::string& text) {
  std::vector<std::string> parts(1);
  int depth = 0;
  for (const char c : text) {
    depth += c == '{' ? 1 : c == '}' ? -1 : 0;
    if (c == ',' && depth <= 0) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

// "A..B", "A..BxF", "A..B+S" as values; false if `text` is no range.
StatusOr<bool> AppendRange(const std::string& text, std::vector<std::string>* values) {
  const std::size_t dots = text.find("..");
  if (dots == std::string::npos) return false;
  const std::size_t step_at = text.find_first_of("x+", dots + 2);
  const bool factor = step_at != std::string::npos && text[step_at] == 'x';
  std::int64_t from = 0, to = 0, step = 1;
  const bool numbers =
      absl::SimpleAtoi(text.substr(0, dots), &from) &&
      absl::SimpleAtoi(text.substr(dots + 2, step_at == std::string::npos ? std::string::npos
                                                                          : step_at - dots - 2),
                       &to) &&
      (step_at == std::string::npos || absl::SimpleAtoi(text.substr(step_at + 1), &step));
  if (!numbers) return false;
  if (from > to) return InvalidInput(absl::StrCat("range ", text, " is empty"));
  if (step < (factor ? 2 : 1) || (factor && from < 1)) {
    return InvalidInput(absl::StrCat("range ", text, " does not grow"));
  }
  for (std::int64_t v = from; v <= to && values->size() <= kMaxValues;) {
    values->push_back(absl::StrCat(v));
    const std::int64_t next = factor ? SaturatingMultiply(v, step) : SaturatingAdd(v, step);
    if (next <= v) break;
    v = next;
  }
  return true;
}

bool IsDegree(const std::string& path) {
  return std::any_of(kDegrees.begin(), kDegrees.end(),
                     [&](const Degree& degree) { return path == degree.path; });
}

// Values that the field takes. A list of a value is written as SetField wants it.
Status CheckValues(Vary* vary) {
  for (std::string& value : vary->values) {
    v1::Scenario probe;
    Status status = SetField(absl::StrCat(vary->path, "=", value), &probe);
    if (!status.ok() && value.find(';') != std::string::npos) {
      value = absl::StrReplaceAll(value, {{";", ","}});
      status = SetField(absl::StrCat(vary->path, "=", value), &probe);
    }
    RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

Status InVary(const std::string& text, const Status& status) {
  if (status.ok()) return status;
  return InvalidInput(
      absl::StrCat("--vary ", text.substr(0, 64), ": ", std::string(status.message())));
}

StatusOr<Vary> Parse(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) return InvalidInput(kForms);
  Vary vary{text.substr(0, equals), {}, false};
  const std::string values = text.substr(equals + 1);
  v1::Scenario probe;
  RETURN_IF_ERROR(SetField(vary.path + "=", &probe));
  if (values.empty()) return InvalidInput(absl::StrCat("has no values, ", kForms));
  if (values == "rest") {
    if (!IsDegree(vary.path)) {
      return InvalidInput("rest is of plan.data, fsdp, tensor, context or pipeline only");
    }
    vary.rest = true;
    return vary;
  }
  for (std::string& part : SplitValues(values)) {
    ASSIGN_OR_RETURN(const bool range, AppendRange(part, &vary.values));
    if (!range) vary.values.push_back(std::move(part));
  }
  if (vary.values.size() > kMaxValues) {
    return InvalidInput(absl::StrCat("has more than ", kMaxValues, " values"));
  }
  RETURN_IF_ERROR(CheckValues(&vary));
  return vary;
}

}  // namespace

StatusOr<Vary> ParseVary(const std::string& text) {
  StatusOr<Vary> vary = Parse(text);
  if (!vary.ok()) return InVary(text, vary.status());
  return vary;
}

StatusOr<std::int64_t> RestOfDevices(const std::string& path, const v1::Scenario& scenario,
                                     const Catalog& catalog) {
  v1::Cluster proto = scenario.cluster();
  Diagnostics diagnostics;
  ResolveClusterPresets(&proto, "cluster", catalog, &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  const Cluster cluster = LoadCluster(proto, "cluster", &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  std::int64_t others = 1;
  for (const Degree& degree : kDegrees) {
    if (path != degree.path) others = SaturatingMultiply(others, degree.of(scenario.plan()));
  }
  const std::int64_t devices = cluster.devices();
  if (others > 0 && devices % others == 0) return devices / others;
  return InvalidInput(absl::StrCat(path, ": the other degrees, ", others, ", do not divide the ",
                                   devices, " devices"));
}

}  // namespace meshstep
