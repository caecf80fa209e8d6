// No plan beats the bound of its step: every way to spread devices over the degrees, on networks so
// slow that cuts bind.

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"
#include "gtest/gtest.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/proto_file.h"
#include "sim/simulate/simulate.h"

namespace meshstep {
namespace {

struct Network {
  const char* cluster;  // with the slow rate, GB/s, for $0
  int devices;
  double rate;   // at which a cut binds
  double times;  // of the bound, that the best plan takes at most there
};
constexpr Network kNetworks[] = {
    {"chip { preset: 'h100-sxm' } chips: 8 nodes { chips_per_node: 2 nic_gbytes_per_s: $0 }", 8, 2,
     8},
    {"chip { preset: 'h100-sxm' } chips: 16 nodes { chips_per_node: 2 nic_gbytes_per_s: $0 "
     "tiers { name: 'leaf' nodes: 2 oversubscription: 8 } tiers { name: 'spine' } }",
     16, 2, 25},
    {"preset: 'tpu-v5e' slice: '2x2' slices: 2 dcn_gbytes_per_s: $0 dcn_latency_ns: 0", 8, 0.1, 8},
    {"chip { preset: 'h100-sxm' } chips: 4 graph { switches: 2 links { from: 0 to: 4 "
     "gbytes_per_s: 50 latency_ns: 0 } links { from: 1 to: 4 gbytes_per_s: 50 latency_ns: 0 } "
     "links { from: 2 to: 5 gbytes_per_s: 50 latency_ns: 0 } links { from: 3 to: 5 gbytes_per_s: "
     "50 latency_ns: 0 } links { from: 4 to: 5 gbytes_per_s: $0 latency_ns: 0 } }",
     4, 1, 8}};

// Calls visit(plan) for every product of degrees that is `devices`.
template <class Visit>
void ForEachPlan(int devices, Visit visit) {
  for (int data = 1; data <= devices; data *= 2) {
    for (int fsdp = 1; data * fsdp <= devices; fsdp *= 2) {
      for (int tensor = 1; data * fsdp * tensor <= devices; tensor *= 2) {
        for (int context = 1; data * fsdp * tensor * context <= devices; context *= 2) {
          const int pipeline = devices / (data * fsdp * tensor * context);
          for (const char* order :
               {"tensor,context,fsdp,data,pipeline", "pipeline,data,fsdp,context,tensor"}) {
            visit(absl::StrCat("data: ", data, " fsdp: ", fsdp, " tensor: ", tensor,
                               " context: ", context, " pipeline: ", pipeline, " order: '", order,
                               "' sequence_parallel: ", tensor > 1 ? "true" : "false"));
          }
        }
      }
    }
  }
}

TEST(StepBound, NoPlanBeatsIt) {
  const Catalog catalog;
  for (const Network& network : kNetworks) {
    for (const double slower : {0.1, 1.0, 10.0}) {
      double best = 1e300, bound = 0;
      ForEachPlan(network.devices, [&](const std::string& plan) {
        v1::Scenario scenario;
        const std::string text = absl::StrCat(
            "model { name: 'm' layers: 16 hidden: 1024 heads: 16 head_dim: 64 ffn: 4096 vocab: 256 "
            "} cluster { ",
            absl::Substitute(network.cluster, network.rate / slower),
            " } workload { global_batch_sequences: 16 sequence_length: 512 } plan { ", plan,
            " precision { reduce: 'bf16' } }");
        ASSERT_TRUE(ParseMessage("f", text, InputFormat::kTextproto, &scenario).ok()) << text;
        const StatusOr<v1::SimulateReport> report =
            Simulate(scenario, {.catalog = &catalog, .fidelity = Fidelity::kIdeal});
        if (!report.ok()) return;
        EXPECT_LE(report->lower_bound_s(), report->step_time_s()) << text;
        best = std::min(best, report->step_time_s());
        bound = report->lower_bound_detail().cut_s();
      });
      if (slower == 1) {
        EXPECT_LE(best, network.times * bound) << network.cluster;
      }
    }
  }
}

}  // namespace
}  // namespace meshstep
