#include "sim/report/collective_text.h"

#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "sim/base/format.h"

namespace meshstep {
namespace {

std::string Rate(double bytes_per_s) { return FormatTraffic(bytes_per_s) + "/s"; }

}  // namespace

std::string ToText(const v1::CollectiveReport& report) {
  std::vector<std::vector<std::string>> rows = {
      {"collective", absl::StrCat(report.collective(), " of ", FormatTraffic(report.bytes()))},
      {"ranks", FormatCount(report.ranks())},
      {"fabric", report.fabric()},
      {"algorithm", report.protocol().empty()
                        ? report.algorithm()
                        : absl::StrCat(report.algorithm(), ", ", report.protocol())},
      {"time", FormatSeconds(report.time_s())},
      {"closed form", absl::StrCat(FormatSeconds(report.closed_form_s()),
                                   ", alpha-beta of the algorithm without its library")},
      {"lower bound", FormatSeconds(report.lower_bound_s())}};
  if (report.has_stepwise_s()) {
    rows.push_back({"step by step", FormatSeconds(report.stepwise_s())});
  }
  rows.push_back({"algorithm bandwidth", Rate(report.algbw_bytes_per_s())});
  rows.push_back({"bus bandwidth", Rate(report.busbw_bytes_per_s())});
  return FormatTable(rows, "<<", 0);
}

std::string ToText(const v1::CollectiveReports& reports) {
  std::vector<std::vector<std::string>> rows = {
      {"size", "time", "algbw", "busbw", "lower bound", "algorithm"},
      {"B", "us", "GB/s", "GB/s", "us", ""}};
  for (const v1::CollectiveReport& report : reports.reports()) {
    rows.push_back({FormatCount(static_cast<std::int64_t>(report.bytes())),
                    FormatNumber(report.time_s() * 1e6, 4),
                    FormatNumber(report.algbw_bytes_per_s() * 1e-9, 4),
                    FormatNumber(report.busbw_bytes_per_s() * 1e-9, 4),
                    FormatNumber(report.lower_bound_s() * 1e6, 4), report.algorithm()});
  }
  return FormatTable(rows, ">>>>><", 0);
}

std::string WhyText(const v1::CollectiveReport& report) {
  if (report.candidates().empty()) {
    return "\nno library's algorithms are known for this group: the quickest of all runs\n";
  }
  std::vector<std::vector<std::string>> rows = {
      {"library", "protocol", "runs as", "simulated", "by its tuner"}};
  for (const v1::CollectiveCandidate& c : report.candidates()) {
    rows.push_back({c.library_algorithm(), c.protocol(), c.algorithm(), FormatSeconds(c.time_s()),
                    FormatSeconds(c.tuner_s())});
  }
  const bool measured = report.protocol().empty();
  return absl::StrCat("\n", FormatTable(rows, "<<<>>", 1),
                      measured ? "measured curves of this domain decide instead of these\n" : "");
}

}  // namespace meshstep
