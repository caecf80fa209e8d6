// Scenarios through the one call that simulates. Inputs are text protos; libFuzzer changes them
// field by field (scenario_mutator.h).

#include <cmath>
#include <cstring>

#include "fuzz.h"
#include "google/protobuf/text_format.h"
#include "meshstep/v1/scenario.pb.h"
#include "scenario_mutator.h"
#include "sim/base/catalog.h"
#include "sim/base/proto_file.h"
#include "sim/simulate/simulate.h"

namespace meshstep::fuzz {
namespace {

// Files are none of this target's business; nor is patience.
bool IsSkipped(const v1::Scenario& s) {
  const auto is_file = [](const std::string& preset) { return preset.ends_with(".textproto"); };
  return !s.model().hf_config().empty() || !s.plan().schedule_table().empty() ||
         is_file(s.model().preset()) || is_file(s.cluster().preset()) ||
         is_file(s.cluster().chip().preset()) || is_file(s.plan().kernels().preset());
}

void CheckReport(const v1::SimulateReport& report) {
  CHECK(std::isfinite(report.step_time_s()) && report.step_time_s() >= 0);
  const v1::Breakdown& parts = report.breakdown();
  const double sum = parts.compute_s() + parts.communication_exposed_s() + parts.bubble_s() +
                     parts.optimizer_s() + parts.other_s();
  CHECK(std::abs(sum - report.step_time_s()) <= 1e-9 * report.step_time_s() + 1e-12)
      << sum << " of " << report.step_time_s();
  const v1::Memory& memory = report.memory();
  CHECK_GE(memory.peak_bytes(), 0);
  CHECK_GE(memory.parameters_bytes(), 0);
}

bool IsSmall(const v1::SimulateReport& report) {
  return report.chips() <= 64 && report.simulation().tasks() <= 2000;
}

}  // namespace
}  // namespace meshstep::fuzz

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size,
                                               std::size_t max_size, unsigned int seed) {
  using namespace meshstep;
  v1::Scenario scenario;
  if (!ParseMessage("f", fuzz::TextOf(data, size), InputFormat::kTextproto, &scenario).ok()) {
    scenario.Clear();
  }
  std::mt19937 random(seed);
  fuzz::Mutate(&scenario, &random);
  std::string text;
  google::protobuf::TextFormat::PrintToString(scenario, &text);
  if (text.size() > max_size) return size;
  std::memcpy(data, text.data(), text.size());
  return text.size();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace meshstep;
  v1::Scenario scenario;
  const Status status =
      ParseMessage("f", fuzz::TextOf(data, size), InputFormat::kTextproto, &scenario);
  fuzz::CheckStatus(status);
  if (!status.ok() || fuzz::IsSkipped(scenario)) return 0;
  static const Catalog catalog;
  for (const Fidelity fidelity : {Fidelity::kCalibrated, Fidelity::kIdeal}) {
    const StatusOr<v1::SimulateReport> folded =
        Simulate(scenario, {.catalog = &catalog, .fidelity = fidelity});
    fuzz::CheckStatus(folded.status());
    if (!folded.ok()) continue;
    fuzz::CheckReport(*folded);
    if (!fuzz::IsSmall(*folded)) continue;
    const StatusOr<v1::SimulateReport> unfolded =
        Simulate(scenario, {.catalog = &catalog, .fidelity = fidelity, .unfolded = true});
    if (!unfolded.ok()) continue;  // too many tasks
    CHECK_EQ(folded->step_time_s(), unfolded->step_time_s());
  }
  return 0;
}
