#include "sim/report/compare_table.h"

#include "absl/strings/str_cat.h"
#include "sim/base/format.h"

namespace meshstep {

std::vector<std::vector<std::string>> CompareTable(const v1::CompareReport& report) {
  std::vector<std::vector<std::string>> rows = {{""}};
  for (const v1::SimulateReport& r : report.scenarios()) rows[0].push_back(r.scenario());
  const auto add = [&](const char* name, const auto& cell) {
    rows.push_back({name});
    for (const v1::SimulateReport& r : report.scenarios()) rows.back().push_back(cell(r));
  };
  using R = v1::SimulateReport;
  add("chips", [](const R& r) { return FormatCount(r.chips()); });
  add("step time", [](const R& r) { return FormatSeconds(r.step_time_s()); });
  add("tokens/s", [](const R& r) { return FormatNumber(r.tokens_per_s(), 4); });
  add("tokens/s per chip", [](const R& r) { return FormatNumber(r.tokens_per_s_per_chip(), 4); });
  add("MFU", [](const R& r) { return FormatPercent(r.mfu()); });
  add("HFU", [](const R& r) { return FormatPercent(r.hfu()); });
  const auto part = [](double seconds, const R& r) {
    return absl::StrCat(FormatSeconds(seconds), "  ", FormatPercent(seconds / r.step_time_s()));
  };
  add("compute", [&](const R& r) { return part(r.breakdown().compute_s(), r); });
  add("communication exposed",
      [&](const R& r) { return part(r.breakdown().communication_exposed_s(), r); });
  add("pipeline bubble", [&](const R& r) { return part(r.breakdown().bubble_s(), r); });
  add("optimizer", [&](const R& r) { return part(r.breakdown().optimizer_s(), r); });
  add("other", [&](const R& r) { return part(r.breakdown().other_s(), r); });
  const auto bytes = [](std::int64_t b) { return FormatBytes(static_cast<double>(b)); };
  const auto state = [](const v1::Memory& m) {
    return m.parameters_bytes() + m.gradients_bytes() + m.optimizer_bytes() + m.kv_cache_bytes();
  };
  add("state in memory", [&](const R& r) { return bytes(state(r.memory())); });
  add("activations", [&](const R& r) { return bytes(r.memory().activations_bytes()); });
  add("peak memory", [&](const R& r) {
    const char* verdict = !r.memory().fits()                          ? ", does not fit"
                          : r.memory().verdict() == v1::Memory::TIGHT ? ", tight"
                                                                      : "";
    return bytes(r.memory().peak_bytes()) + verdict;
  });
  return rows;
}

}  // namespace meshstep
