// Memory of whole steps, as `simulate` reports it, against the formulas of the papers.

#include "sim/simulate/memory.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "meshstep/v1/report.pb.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/simulate/simulate.h"
#include "strategies/step/step_graph.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {
namespace {

// GPT of Megatron's shape: MLP of 4 h, LayerNorm, no biases, learned positions.
constexpr double kL = 8, kS = 512, kH = 1024, kA = 16, kV = 8192;
constexpr double kLayer = 12 * kH * kH + 4 * kH;  // parameters
constexpr double kModel = kL * kLayer + (2 * kV + kS) * kH + 2 * kH;

struct Simulated {
  v1::SimulateReport report;
  // Per stage: the most that each bucket reaches on its own.
  std::vector<MemoryBuckets> most;
};

Simulated Simulate(int chips, int batch, const std::string& plan) {
  const std::string text = absl::StrCat(
      "model { name: 'gpt' layers: 8 hidden: 1024 heads: 16 ffn: 4096 vocab: 8192 norm_bias: true "
      "position_embeddings: 512 tied_embeddings: false } cluster { preset: 'dgx-a100' chips: ",
      chips, " } workload { global_batch_sequences: ", batch, " sequence_length: 512 } plan { ",
      plan, " }");
  const Scenario scenario = Load(ParseScenario(text));
  Simulated out;
  const SimulatedStep simulated = StepOf(scenario);
  const StepGraph& step = simulated.step;
  out.report = simulated.report;
  out.most.resize(static_cast<std::size_t>(scenario.plan.stages));
  for (std::size_t u = 0; u < step.units.size(); ++u) {
    MemoryBuckets& most = out.most[static_cast<std::size_t>(step.units[u].stage)];
    for (const MemoryPoint& point :
         MemoryCurve(step, simulated.run, static_cast<std::int32_t>(u))) {
      for (std::size_t b = 0; b < most.size(); ++b) most[b] = std::max(most[b], point.bytes[b]);
    }
  }
  return out;
}

double Most(const Simulated& s, int stage, MemoryBucket bucket) {
  return static_cast<double>(
      s.most[static_cast<std::size_t>(stage)][static_cast<std::size_t>(bucket)]);
}

double States(const v1::Memory& m) {
  return static_cast<double>(m.parameters_bytes() + m.gradients_bytes() + m.optimizer_bytes());
}

// ZeRO, arXiv 1910.02054 figure 1: 2 + 2 bytes of parameter and gradient, K = 12 of optimizer.
TEST(Zero, StatesAreThoseOfFigureOne) {
  const std::string precision = "precision { parameters: 'bf16' gradients: 'bf16' } ";
  const auto states = [&](const char* plan) {
    return States(Simulate(64, 64, absl::StrCat(plan, precision)).report.memory());
  };
  const double n = 64;
  EXPECT_EQ(states("data: 64 "), (2 + 2 + 12) * kModel);
  EXPECT_EQ(states("data: 64 zero_stage: 1 "), (2 + 2 + 12 / n) * kModel);
  EXPECT_EQ(states("data: 64 zero_stage: 2 "), (2 + (2 + 12) / n) * kModel);
  EXPECT_EQ(states("data: 64 zero_stage: 3 "), (2 + 2 + 12) / n * kModel);
  EXPECT_EQ(states("fsdp: 64 "), (2 + 2 + 12) / n * kModel);
}

// Korthikanti et al., arXiv 2205.05198: eq. 1, 2, 4 and §4.3. On the first stage of 1F1B p
// micro-batches of L / p layers wait, hence L layers; the embedding's dropout keeps s b h p more.
// With p = 1 the final norm and the head keep 4 s b h and 4 s b v (fp32) more.
TEST(Megatron, ActivationsOfTheFirstStageOfOneForwardOneBackward) {
  const std::string base =
      "micro_batch_sequences: 2 attention_kernel: 'unfused' dropout: true schedule: '1f1b' ";
  const double sbh = kS * 2 * kH, square = 5 * kA * kS / kH;
  struct Case {
    int t, p;
    bool sequence_parallel;
  };
  for (const Case& c : {Case{1, 1, false}, Case{1, 4, false}, Case{1, 8, false}, Case{8, 2, true},
                        Case{8, 4, false}, Case{8, 8, true}}) {
    const std::string plan =
        absl::StrCat(base, "tensor: ", c.t, " pipeline: ", c.p,
                     " sequence_parallel: ", c.sequence_parallel ? "true" : "false");
    const Simulated s = Simulate(c.t * c.p, 32, plan);
    const double whole = c.sequence_parallel ? c.t : 1;  // what the 10 and the masks divide by
    const double layer = 10 / whole + (24 + square) / c.t;
    const double ends = c.p + (c.p == 1 ? 4.0 : 0.0);
    EXPECT_EQ(Most(s, 0, MemoryBucket::kActivations), sbh * (kL * layer + ends / whole))
        << c.t << " " << c.p;
    if (c.p > 2) {
      // Stage i keeps p - i micro-batches.
      EXPECT_EQ(Most(s, 1, MemoryBucket::kActivations), sbh * kL / c.p * (c.p - 1) * layer);
      EXPECT_EQ(Most(s, 0, MemoryBucket::kLogits), 0);
    }
    // On the last stage: fp32 softmax kept, logits or their gradient in bf16 beside it.
    EXPECT_EQ(Most(s, c.p - 1, MemoryBucket::kLogits), (4 + 2) * kS * 2 * kV / c.t);
  }
}

// §4.2.2 and §5: interleaved by v chunks, the first stage keeps L (1 + (p - 1) / (p v)) layers.
TEST(Megatron, ActivationsOfTheInterleavedSchedule) {
  const double p = 4, v = 2;
  const Simulated s = Simulate(4, 32,
                               "micro_batch_sequences: 2 attention_kernel: 'unfused' dropout: true "
                               "pipeline: 4 schedule: 'interleaved' virtual_stages: 2");
  const double sbh = kS * 2 * kH, layer = 34 + 5 * kA * kS / kH;
  // p v + p - 1 runs wait, p - 1 more of the first chunk than of the last; when the last chunk's
  // first backward is done, one more of the first takes its place. The embedding's dropout keeps
  // s b h of each of those.
  EXPECT_EQ(Most(s, 0, MemoryBucket::kActivations),
            sbh * (kL * (1 + (p - 1) / (p * v)) * layer + 2 * p));
}

// The peak is what is held all step and what the instant needs beside it.
TEST(Peak, DetailSumsToTheBuckets) {
  for (const char* plan : {"fsdp: 8", "data: 8", "tensor: 8 sequence_parallel: true",
                           "pipeline: 4 fsdp: 2 recompute: 'full'"}) {
    const v1::SimulateReport report = Simulate(8, 64, plan).report;
    const v1::Memory& m = report.memory();
    const v1::MemoryDetail& d = m.memory_detail();
    EXPECT_EQ(d.block_activations_bytes() + d.logits_bytes(), m.activations_bytes()) << plan;
    EXPECT_EQ(d.communication_bytes() + d.unsharded_parameters_bytes() + d.kernel_bytes(),
              m.workspace_bytes())
        << plan;
    EXPECT_EQ(static_cast<std::int64_t>(States(m)) + m.activations_bytes() + m.workspace_bytes(),
              m.peak_bytes())
        << plan;
  }
}

// FSDP, one layer ahead: two layers' parameters whole at once, and one whole gradient.
TEST(Peak, FsdpHoldsTwoLayersWhole) {
  const Simulated s = Simulate(8, 8, "fsdp: 8 prefetch_layers: 1 precision { reduce: 'bf16' }");
  EXPECT_GE(Most(s, 0, MemoryBucket::kUnsharded), 2 * 2 * kLayer);
  EXPECT_GE(Most(s, 0, MemoryBucket::kCommunication), 2 * kLayer);
  const Simulated data = Simulate(8, 8, "data: 8");
  EXPECT_EQ(Most(data, 0, MemoryBucket::kUnsharded), 0);
  EXPECT_EQ(Most(data, 0, MemoryBucket::kCommunication), 0);
}

}  // namespace
}  // namespace meshstep
