// Scenarios of tests, from text.

#ifndef MESHSTEP_TESTS_STRATEGIES_SCENARIO_FIXTURES_H_
#define MESHSTEP_TESTS_STRATEGIES_SCENARIO_FIXTURES_H_

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/check.h"
#include "sim/base/diagnostics.h"
#include "sim/simulate/simulate.h"
#include "strategies/plan/load_scenario.h"

namespace meshstep {

inline v1::Scenario ParseScenario(const std::string& text) {
  v1::Scenario proto;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &proto)) << text;
  return proto;
}

inline Scenario Load(const v1::Scenario& proto) {
  Diagnostics diagnostics;
  Scenario scenario = LoadScenario(proto, Catalog(), &diagnostics);
  EXPECT_TRUE(diagnostics.ok()) << diagnostics.status() << "\n" << proto.ShortDebugString();
  return scenario;
}

// The step of a scenario that can be simulated.
inline SimulatedStep StepOf(const Scenario& scenario, Fidelity fidelity = Fidelity::kIdeal,
                            bool unfolded = false) {
  StatusOr<SimulatedStep> step =
      SimulateStep(scenario, {.fidelity = fidelity, .unfolded = unfolded});
  CHECK(step.ok()) << std::string(step.status().message());
  return *std::move(step);
}

// `model` on DGX H100 nodes, 256 sequences of 512 tokens.
inline v1::Scenario OnDgx(const std::string& model, int devices, const std::string& plan) {
  return ParseScenario(absl::StrCat(
      "model { ", model, " } cluster { preset: 'dgx-h100' chips: ", devices,
      " } workload { global_batch_sequences: 256 sequence_length: 512 } plan { ", plan, " }"));
}

// Nodes of 8 chips of round numbers: 1e14 FLOP/s, 1e12 B/s of HBM, 1e11 B/s into the switch, 1 us a
// message, and a NIC of 1e10 B/s and 5 us for each chip.
inline std::string RoundCluster(int chips) {
  return absl::StrCat(
      "cluster { chips: ", chips,
      " nodes { chips_per_node: 8 nic_gbytes_per_s: 10 nic_latency_ns: 5000 } chip { name: 'round' "
      "datasheet { matmul { dtype: 'bf16' flops_per_s: 1e14 } hbm_bytes: 80000000000 "
      "hbm_bytes_per_s: 1e12 link_gbytes_per_s: 100 } interconnect { kind: SWITCH latency_ns: 1000 "
      "domain_chips: 8 } } }");
}

}  // namespace meshstep

#endif  // MESHSTEP_TESTS_STRATEGIES_SCENARIO_FIXTURES_H_
