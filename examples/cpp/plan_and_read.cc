// Writes a scenario in C++, simulates it in the same process and reads the report.

#include <cstdio>
#include <string>

#include "meshstep/v1/report.pb.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/simulate/simulate.h"

namespace {

meshstep::v1::Scenario MakeScenario(int tensor, int fsdp) {
  meshstep::v1::Scenario s;
  s.set_name("llama-3-8b, tensor " + std::to_string(tensor) + ", fsdp " + std::to_string(fsdp));
  s.mutable_model()->set_preset("llama-3-8b");
  s.mutable_cluster()->set_preset("dgx-h100");
  s.mutable_cluster()->set_chips(tensor * fsdp);
  s.mutable_workload()->set_global_batch_sequences(128);
  s.mutable_workload()->set_sequence_length(8192);
  s.mutable_plan()->set_tensor(tensor);
  s.mutable_plan()->set_fsdp(fsdp);
  s.mutable_plan()->set_sequence_parallel(tensor > 1);
  s.mutable_plan()->set_micro_batch_sequences(1);
  s.mutable_plan()->set_recompute("full");
  return s;
}

}  // namespace

int main() {
  const meshstep::Catalog catalog;  // presets, read once for all calls
  for (const int tensor : {1, 2, 4, 8}) {
    const auto report =
        meshstep::Simulate(MakeScenario(tensor, 64 / tensor), {.catalog = &catalog});
    if (!report.ok()) {
      std::fprintf(stderr, "%s\n", std::string(report.status().message()).c_str());
      return 2;
    }
    std::printf("%-32s %7.2f s  %5.1f %% MFU  %5.1f GiB%s\n", report->scenario().c_str(),
                report->step_time_s(), 100 * report->mfu(),
                static_cast<double>(report->memory().peak_bytes()) / (1 << 30),
                report->memory().fits() ? "" : "  does not fit");
  }
  return 0;
}
