// Recomputation of the first layers of a stage, and arrays that live on the host.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "meshstep/v1/report.pb.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/catalog.h"
#include "sim/simulate/memory.h"
#include "sim/simulate/simulate.h"
#include "strategies/plan/load_scenario.h"
#include "strategies/step/step_graph.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {
namespace {

// 8 layers of 12 h² + 4 h parameters each, embedding and head untied, learned positions.
constexpr double kLayers = 8, kS = 512, kH = 1024, kV = 8192;
constexpr double kLayer = 12 * kH * kH + 4 * kH, kEmbedding = (kV + kS) * kH,
                 kHead = kV * kH + 2 * kH;
constexpr double kParameters = kLayers * kLayer + kEmbedding + kHead;

struct Simulated {
  std::string error;
  Time time;
  Flops flops;
  v1::SimulateReport report;
  MemoryBuckets most{}, least{};  // per bucket, over all stages and instants; least: at most 0

  double Most(MemoryBucket bucket) const {
    return static_cast<double>(most[static_cast<std::size_t>(bucket)]);
  }
  // Bytes that one chip moves over its host link.
  double Moved(const std::string& tensor) const {
    double bytes = 0;
    for (const v1::CommunicationRow& row : report.communication()) {
      if (row.axis() == "host" && row.tensor() == tensor) bytes += row.bytes_per_chip();
    }
    return bytes;
  }
};

// One sequence a micro-batch, 4 micro-batches of one replica. host: GB/s of the host link, 0 unset.
Simulated Simulate(int chips, const std::string& plan, double host = 50, int batch = 4,
                   const char* model = "") {
  const std::string text = absl::StrCat(
      "model { name: 'gpt' layers: 8 hidden: 1024 heads: 16 ffn: 4096 vocab: 8192 norm_bias: true "
      "position_embeddings: 512 ",
      model, " } cluster { chips: ", chips,
      " nodes { chips_per_node: 8 nic_gbytes_per_s: 10 nic_latency_ns: 5000 } chip { name: 'round' "
      "datasheet { matmul { dtype: 'bf16' flops_per_s: 1e14 } hbm_bytes: 80000000000 "
      "hbm_bytes_per_s: 1e12 link_gbytes_per_s: 100 ",
      host > 0 ? absl::StrCat("host_gbytes_per_s: ", host) : "",
      " } interconnect { kind: SWITCH latency_ns: 1000 domain_chips: 8 } } } workload { "
      "global_batch_sequences: ",
      batch, " sequence_length: 512 } plan { micro_batch_sequences: 1 ", plan, " }");
  const v1::Scenario proto = ParseScenario(text);
  Simulated out;
  const StatusOr<SimulatedStep> simulated = SimulateStep(proto, {.fidelity = Fidelity::kIdeal});
  if (!simulated.ok()) {
    out.error = std::string(simulated.status().message());
    return out;
  }
  const StepGraph& step = simulated->step;
  out.time = simulated->run.makespan;
  out.flops = step.hardware_flops;
  out.report = simulated->report;
  for (std::size_t u = 0; u < step.units.size(); ++u) {
    for (const MemoryPoint& point :
         MemoryCurve(step, simulated->run, static_cast<std::int32_t>(u))) {
      for (std::size_t b = 0; b < out.most.size(); ++b) {
        out.most[b] = std::max(out.most[b], point.bytes[b]);
        out.least[b] = std::min(out.least[b], point.bytes[b]);
      }
    }
  }
  return out;
}

TEST(RecomputeLayers, ZeroIsNoneAndManyAreAll) {
  for (const char* plan : {"", "pipeline: 4 ", "pipeline: 2 virtual_stages: 2 "}) {
    const int chips = std::string(plan).empty() ? 1 : plan[10] - '0';
    const auto simulate = [&](const char* recompute) {
      return Simulate(chips, absl::StrCat(plan, recompute));
    };
    const Simulated none = simulate("recompute: 'none'"), full = simulate("recompute: 'full'");
    const Simulated zero = simulate("recompute: 'full' recompute_layers: 0");
    const Simulated many = simulate("recompute: 'full' recompute_layers: 8");
    EXPECT_EQ(zero.time, none.time) << plan;
    EXPECT_EQ(zero.most, none.most) << plan;
    EXPECT_EQ(many.time, full.time) << plan;
    EXPECT_EQ(many.most, full.most) << plan;
    EXPECT_LT(full.most[3], none.most[3]) << plan;
  }
}

// Megatron's method "block": the first layers of each model chunk.
TEST(RecomputeLayers, CountsInEachPart) {
  const auto flops = [](int chips, const char* plan) {
    return Simulate(chips, plan).flops.value();
  };
  const double none = flops(1, ""), full = flops(1, "recompute: 'full'");
  const double layer = (full - none) / kLayers;
  EXPECT_GT(layer, 0);
  EXPECT_EQ(flops(1, "recompute: 'full' recompute_layers: 3"), none + 3 * layer);
  EXPECT_EQ(flops(4, "pipeline: 4 recompute: 'full' recompute_layers: 1"), none + 4 * layer);
  EXPECT_EQ(flops(2, "pipeline: 2 virtual_stages: 2 recompute: 'full' recompute_layers: 1"),
            none + 4 * layer);
}

// Ranges of layers instead: which layers, not how many of each part.
TEST(LayerRanges, RecomputeInRanges) {
  const auto run = [](const std::string& plan) { return Simulate(1, plan); };
  const Simulated none = run(""), full = run("recompute: 'full'");
  const double layer = (full.flops - none.flops).value() / kLayers;
  EXPECT_EQ(run("layer_ranges { layers: '..' recompute: 'full' }").time, full.time);
  EXPECT_EQ(run("recompute: 'full' layer_ranges { layers: '..' recompute: 'none' }").most,
            none.most);
  EXPECT_EQ(run("layer_ranges { layers: '0..2' recompute: 'full' }").time,
            run("recompute: 'full' recompute_layers: 3").time);
  EXPECT_EQ(run("layer_ranges { layers: '2,-1' recompute: 'full' }").flops.value(),
            none.flops.value() + 2 * layer);
}

TEST(LayerRanges, OffloadInRanges) {
  const auto run = [](const std::string& plan) { return Simulate(1, plan); };
  const Simulated all = run("offload { activations: 1 optimizer: 1 }");
  const Simulated half =
      run("layer_ranges { layers: '50%..' offload { activations: 1 optimizer: 1 } }");
  EXPECT_DOUBLE_EQ(half.Moved("to the host"),
                   (all.Moved("to the host") - 12 * (kEmbedding + kHead)) / 2);
  EXPECT_GT(half.time, run("").time);
  EXPECT_LT(half.time, all.time);
}

// Ops that a policy keeps do not run again, and their outputs stay.
TEST(RecomputeKeep, SparesItsOps) {
  const auto run = [](const std::string& keep) {
    return Simulate(1, absl::StrCat("recompute: 'full' ", keep));
  };
  const Simulated full = run(""), out = run("recompute_keep: 'mlp_out'");
  // The last product, of 4 H to H.
  EXPECT_DOUBLE_EQ((full.flops - out.flops).value(), kLayers * 4 * 2 * kS * kH * 4 * kH);
  // Its result is there for the sum after it, unless that is not made again either.
  EXPECT_GT(out.most[3], full.most[3]);
  const Simulated unread = run("recompute_drops_unread: true");
  EXPECT_EQ(unread.flops, out.flops);
  EXPECT_LT(unread.time, out.time);
  EXPECT_LE(unread.most[3], full.most[3]);
  const Simulated qkv = run("recompute_keep: 'qkv'");
  EXPECT_DOUBLE_EQ((full.flops - qkv.flops).value(), kLayers * 4 * 2 * kS * kH * 3 * kH);
  EXPECT_GT(qkv.most[3], full.most[3]);
  const Simulated both = run("recompute_keep: 'qkv' recompute_keep: 'mlp_out'");
  EXPECT_DOUBLE_EQ((full.flops - both.flops).value(),
                   (full.flops - out.flops + (full.flops - qkv.flops)).value());
  // One that a layer does not have.
  EXPECT_EQ(run("recompute_keep: 'experts_out'").time, full.time);
}

// The model of the memory itself is tested in formulas/memory_test.cc.
TEST(Offload, ActivationsLeaveAndComeBack) {
  const Simulated here = Simulate(1, ""), away = Simulate(1, "offload { activations: 1 }", 1e4);
  // Every layer of every micro-batch once each way.
  EXPECT_EQ(away.Moved("to the host"), away.Moved("from the host"));
  const Simulated half = Simulate(1, "offload { activations: 0.5 }", 1e4);
  EXPECT_DOUBLE_EQ(half.Moved("to the host"), away.Moved("to the host") / 2);
  // Inputs of norms, qkv, q, k and v, attention's output, the MLP's input, both sides of its
  // activation; the log-sum-exp of each row of 16 heads.
  const double layer = 2 * kS * kH * (1 + 1 + 3 + 1 + 1 + 1 + 4 + 4) + 4 * kS * 16;
  EXPECT_DOUBLE_EQ(away.Moved("to the host"), 4 * kLayers * layer);
  // Over a link that keeps up, the layer that runs and one on either side are here.
  EXPECT_GE(here.Most(MemoryBucket::kActivations), kLayers * layer);
  EXPECT_LE(away.Most(MemoryBucket::kActivations), 3 * layer);
  EXPECT_GT(half.Most(MemoryBucket::kActivations), away.Most(MemoryBucket::kActivations));
}

TEST(Offload, AFastLinkCostsNothingAndASlowOneEverything) {
  const Simulated here = Simulate(1, "");
  const char* plan = "offload { activations: 1 }";
  const Simulated fast = Simulate(1, plan, 1e9);
  EXPECT_GE(fast.time, here.time);
  EXPECT_LT(fast.time.seconds(), here.time.seconds() * (1 + 1e-4));
  const Simulated slow = Simulate(1, plan, 1);
  // One way after the other: what the last micro-batch stored comes back later.
  EXPECT_GE(slow.time.seconds(), slow.Moved("to the host") / 1e9);
  EXPECT_GT(slow.report.breakdown_detail().exposed_host_s(), 0.5 * slow.time.seconds());
  EXPECT_EQ(slow.report.breakdown_detail().exposed_host_s(),
            slow.report.breakdown().communication_exposed_s());
}

// 12 bytes per parameter each way once a step; the device holds two blocks' state at most.
TEST(Offload, OptimizerStateComesBlockByBlock) {
  const Simulated here = Simulate(1, ""), away = Simulate(1, "offload { optimizer: 1 }");
  EXPECT_EQ(here.Most(MemoryBucket::kOptimizer), 12 * kParameters);
  EXPECT_EQ(away.Moved("to the host"), 12 * kParameters);
  EXPECT_EQ(away.Moved("from the host"), 12 * kParameters);
  EXPECT_LE(away.Most(MemoryBucket::kOptimizer), 12 * (kLayer + std::max(kLayer, kEmbedding)));
  EXPECT_GE(away.time.seconds(), here.time.seconds() + 0.9 * 12 * kParameters / 50e9);
  const Simulated part = Simulate(1, "offload { optimizer: 0.25 }");
  EXPECT_DOUBLE_EQ(part.Moved("to the host"), 3 * kParameters);
  // ZeRO's shards alone move.
  const Simulated sharded = Simulate(8, "data: 8 zero_stage: 1 offload { optimizer: 1 }", 50, 8);
  EXPECT_DOUBLE_EQ(sharded.Moved("to the host"), 12 * kParameters / 8);
}

// 2 bytes per parameter come for each forward and backward of a block and leave after the update;
// the head, forward and backward in one go, once.
TEST(Offload, ParametersComeForEachUse) {
  const Simulated here = Simulate(1, ""), away = Simulate(1, "offload { parameters: 1 }");
  EXPECT_EQ(here.Most(MemoryBucket::kParameters), 2 * kParameters);
  EXPECT_EQ(away.Most(MemoryBucket::kParameters), 0);
  EXPECT_DOUBLE_EQ(away.Moved("to the host"), 2 * kParameters);
  EXPECT_DOUBLE_EQ(away.Moved("from the host"),
                   4 * 2 * (2 * (kLayers * kLayer + kEmbedding) + kHead));
  EXPECT_LT(away.report.memory().peak_bytes(), here.report.memory().peak_bytes());
}

TEST(Offload, WhatIsTakenIsGivenBack) {
  const char* all = "offload { activations: 1 parameters: 1 optimizer: 1 } ";
  for (const auto& [chips, plan] : std::vector<std::pair<int, std::string>>{
           {1, ""},
           {8, "fsdp: 8"},
           {8, "data: 2 fsdp: 4 accumulate_unsharded: true"},
           {4, "pipeline: 4"},
           {4, "pipeline: 2 tensor: 2 sequence_parallel: true recompute: 'full'"},
           {4, "pipeline: 4 schedule: 'zb-h1'"}}) {
    const Simulated s = Simulate(chips, all + plan, 50, 4 * chips);
    EXPECT_TRUE(s.error.empty()) << s.error;
    EXPECT_GT(s.Moved("from the host"), 0) << plan;
    // Whatever waits on the host is not held: not more than without.
    const Simulated here = Simulate(chips, plan, 50, 4 * chips);
    EXPECT_LT(s.report.memory().peak_bytes(), here.report.memory().peak_bytes()) << plan;
  }
}

TEST(Offload, SaysWhatIsWrong) {
  const std::vector<std::pair<const char*, const char*>> cases = {
      {"offload { activations: 1.5 }", "plan.offload.activations: is 1.5, expected 0 to 1"},
      {"offload { optimizer: -1 }", "plan.offload.optimizer: is -1, expected 0 to 1"},
      {"recompute_keep: 'qkv'", "plan.recompute_keep: is given, but with recompute none"},
      {"recompute: 'full' recompute_keep: 'mlp'",
       "plan.recompute_keep[0]: is \"mlp\", expected one"},
      {"recompute_layers: 2", "plan.recompute_layers: is 2 with recompute \"none\""},
      {"recompute: 'full' recompute_layers: -1", "plan.recompute_layers: is -1, expected 0"}};
  for (const auto& [plan, expected] : cases) {
    const std::string error = Simulate(1, plan).error;
    EXPECT_NE(error.find(expected), std::string::npos) << plan << ": " << error;
  }
  EXPECT_NE(
      Simulate(1, "offload { optimizer: 1 }", 0).error.find("the rate of the host link of round"),
      std::string::npos);
}

TEST(Offload, ExpansionIsTheSame) {
  v1::Scenario proto;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
      "model { preset: 'llama-3-8b' } cluster { preset: 'dgx-h100' chips: 8 } workload { "
      "global_batch_sequences: 8 sequence_length: 512 } plan { fsdp: 8 recompute: 'full' "
      "recompute_layers: 3 offload { activations: 0.5 parameters: 0.25 optimizer: 1 } }",
      &proto));
  Diagnostics diagnostics;
  const Plan plan = LoadScenario(ExpandScenario(proto, Catalog()), Catalog(), &diagnostics).plan;
  EXPECT_TRUE(diagnostics.ok()) << diagnostics.status();
  EXPECT_EQ(plan.recompute_layers, 3);
  EXPECT_EQ(plan.offload.activations, 0.5);
  EXPECT_EQ(plan.offload.parameters, 0.25);
  EXPECT_EQ(plan.offload.optimizer, 1);
}

// The head that runs again for a further token has no state of its own: what is on the host is
// written back once, and nothing is taken away that was never there.
TEST(Offload, ASharedHeadIsHeldOnce) {
  const char* offload = "offload { parameters: 1 optimizer: 1 }";
  for (const char* model :
       {"mtp_layers: 1", "mtp_layers: 2", "mtp_layers: 1 tied_embeddings: true"}) {
    const Simulated here = Simulate(1, "", 50, 4, model);
    const Simulated away = Simulate(1, offload, 50, 4, model);
    ASSERT_EQ(away.error, "");
    // 2 bytes of a parameter and 12 of its state.
    EXPECT_DOUBLE_EQ(away.Moved("to the host"),
                     here.Most(MemoryBucket::kParameters) + here.Most(MemoryBucket::kOptimizer))
        << model;
    EXPECT_EQ(away.least, MemoryBuckets{}) << model;
  }
}

}  // namespace
}  // namespace meshstep
