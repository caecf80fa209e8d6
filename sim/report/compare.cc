#include "sim/report/compare.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "google/protobuf/text_format.h"
#include "sim/base/check.h"
#include "sim/base/format.h"

namespace meshstep {
namespace {

namespace pb = google::protobuf;

// Path -> value of every field that is set; paths in the order of the schema, lists by index.
using Values = std::vector<std::pair<std::string, std::string>>;

void Flatten(const pb::Message& message, const std::string& prefix, Values* values) {
  std::vector<const pb::FieldDescriptor*> fields;
  const pb::Reflection* reflection = message.GetReflection();
  reflection->ListFields(message, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    const int count = field->is_repeated() ? reflection->FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      const int index = field->is_repeated() ? i : -1;
      const std::string path = absl::StrCat(prefix, prefix.empty() ? "" : ".", field->name(),
                                            index < 0 ? "" : absl::StrCat("[", index, "]"));
      if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) {
        Flatten(index < 0 ? reflection->GetMessage(message, field)
                          : reflection->GetRepeatedMessage(message, field, index),
                path, values);
        continue;
      }
      std::string value;
      pb::TextFormat::PrintFieldValueToString(message, field, index, &value);
      if (value.size() >= 2 && value.front() == '"') value = value.substr(1, value.size() - 2);
      values->emplace_back(path, value);
    }
  }
}

void AddFields(std::span<const v1::Scenario> scenarios, v1::CompareReport* report) {
  std::vector<std::string> order;
  std::map<std::string, std::vector<std::string>> values;
  for (std::size_t i = 0; i < scenarios.size(); ++i) {
    Values flat;
    Flatten(scenarios[i], "", &flat);
    for (const auto& [path, value] : flat) {
      const auto [it, added] = values.try_emplace(path, scenarios.size());
      if (added) order.push_back(path);
      it->second[i] = value;
    }
  }
  for (const std::string& path : order) {
    const std::vector<std::string>& row = values[path];
    const bool same =
        std::all_of(row.begin(), row.end(), [&](const std::string& v) { return v == row.front(); });
    if (same || path == "name") continue;
    v1::FieldDifference* out = report->add_fields();
    out->set_field(path);
    for (const std::string& value : row) out->add_values(value);
  }
}

// "3.00x" of two amounts; "" if either is 0.
std::string Ratio(double now, double before) {
  return now > 0 && before > 0 ? absl::StrCat(FormatNumber(now / before), "x") : "";
}

class Comparer {
 public:
  Comparer(const v1::SimulateReport& first, const v1::SimulateReport& other)
      : a_(first), b_(other) {}

  v1::Comparison Compare() {
    out_.set_scenario(b_.scenario());
    out_.set_speedup(a_.step_time_s() / b_.step_time_s());
    out_.set_throughput_per_chip_ratio(b_.tokens_per_s_per_chip() / a_.tokens_per_s_per_chip());
    out_.set_throughput_ratio(b_.tokens_per_s() / a_.tokens_per_s());
    out_.set_same_tokens(std::round(Tokens(a_)) == std::round(Tokens(b_)));
    AddCompute();
    AddCommunication();
    AddRest();
    std::stable_sort(out_.mutable_reasons()->begin(), out_.mutable_reasons()->end(),
                     [](const v1::Reason& x, const v1::Reason& y) {
                       return std::abs(x.difference_s()) > std::abs(y.difference_s());
                     });
    return std::move(out_);
  }

 private:
  void Add(const std::string& part, double now, double before, const std::string& what,
           const std::string& why) {
    if (now == before) return;
    v1::Reason* reason = out_.add_reasons();
    reason->set_part(part);
    reason->set_difference_s(now - before);
    reason->set_difference_per_token_s(now * ChipsPerToken(b_) - before * ChipsPerToken(a_));
    reason->set_text(absl::StrCat(what, ": ", FormatSecondsDifference(now - before), " (",
                                  FormatSeconds(now), " instead of ", FormatSeconds(before), ")",
                                  why.empty() ? "" : "; ", why));
  }

  static double Tokens(const v1::SimulateReport& r) { return r.tokens_per_s() * r.step_time_s(); }
  static double ChipsPerToken(const v1::SimulateReport& r) {
    return static_cast<double>(r.chips()) / Tokens(r);
  }
  static double Work(const v1::SimulateReport& r) {
    return r.breakdown_detail().forward_s() + r.breakdown_detail().backward_s();
  }
  static double FlopsPerChip(const v1::SimulateReport& r) {
    return r.flops().model() / static_cast<double>(r.chips());
  }

  void AddCompute() {
    const double rate_a = FlopsPerChip(a_) / Work(a_), rate_b = FlopsPerChip(b_) / Work(b_);
    Add("compute", Work(b_), Work(a_), "compute, forward and backward",
        absl::StrCat(Ratio(FlopsPerChip(b_), FlopsPerChip(a_)), " the model FLOPs per chip at ",
                     Ratio(rate_b, rate_a), " the rate"));
    const double now = b_.breakdown_detail().recompute_s();
    const double before = a_.breakdown_detail().recompute_s();
    Add("recompute", now, before, "recomputation of activations",
        now == 0 ? "nothing is recomputed" : "");
  }

  void AddCommunication() {
    using Key = std::tuple<std::string, std::string, std::string>;
    std::map<Key, std::pair<v1::CommunicationRow, v1::CommunicationRow>> rows;
    for (const v1::CommunicationRow& row : a_.communication()) {
      rows[{row.tensor(), row.collective(), row.axis()}].first = row;
    }
    for (const v1::CommunicationRow& row : b_.communication()) {
      rows[{row.tensor(), row.collective(), row.axis()}].second = row;
    }
    for (const auto& [key, pair] : rows) {
      const auto& [before, now] = pair;
      const auto& [tensor, collective, axis] = key;
      std::string why;
      if (now.count() == 0) {
        why = "there is none";
      } else if (before.count() == 0) {
        why = absl::StrCat("there was none; a chip sends ", FormatTraffic(now.bytes_per_chip()));
      } else {
        why = absl::StrCat("busy for ", FormatSeconds(now.busy_s()), " instead of ",
                           FormatSeconds(before.busy_s()), " with ",
                           Ratio(now.bytes_per_chip(), before.bytes_per_chip()),
                           " the bytes per chip");
      }
      Add("communication", now.exposed_s(), before.exposed_s(),
          absl::StrCat(tensor, " ", collective, " over ", axis, ", exposed"), why);
    }
  }

  void AddRest() {
    const v1::Breakdown &now = b_.breakdown(), &before = a_.breakdown();
    const auto share = [](double seconds, const v1::SimulateReport& r) {
      return FormatPercent(seconds / r.step_time_s());
    };
    Add("bubble", now.bubble_s(), before.bubble_s(), "waiting for other stages",
        absl::StrCat(share(now.bubble_s(), b_), " of the step instead of ",
                     share(before.bubble_s(), a_)));
    Add("optimizer", now.optimizer_s(), before.optimizer_s(), "optimizer",
        absl::StrCat("a device holds ",
                     FormatBytes(static_cast<double>(b_.memory().optimizer_bytes())),
                     " of its state instead of ",
                     FormatBytes(static_cast<double>(a_.memory().optimizer_bytes()))));
    Add("other", now.other_s(), before.other_s(), "other", "");
  }

  const v1::SimulateReport &a_, &b_;
  v1::Comparison out_;
};

}  // namespace

v1::CompareReport Compare(std::span<const v1::Scenario> scenarios,
                          std::span<const v1::SimulateReport> reports, std::size_t baseline) {
  CHECK_EQ(scenarios.size(), reports.size());
  v1::CompareReport out;
  out.set_baseline(static_cast<std::int32_t>(baseline));
  for (const v1::SimulateReport& report : reports) *out.add_scenarios() = report;
  AddFields(scenarios, &out);
  for (std::size_t i = 0; i < reports.size(); ++i) {
    if (i == baseline) continue;
    *out.add_comparisons() = Comparer(reports[baseline], reports[i]).Compare();
  }
  return out;
}

}  // namespace meshstep
