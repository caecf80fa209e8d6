// Mixers with a state under a plan: what each way of context parallelism sends, by hand; that what is
// sent is enough, on simulated devices; that shards add up to the whole.

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/catalog.h"
#include "sim/simulate/simulate.h"
#include "strategies/block/block_context.h"
#include "strategies/model/model_arithmetic.h"
#include "strategies/passes/lower_block.h"
#include "strategies/passes/ops/composite.h"
#include "strategies/plan/load_scenario.h"
#include "strategies/step/lower_step.h"
#include "strategies/step/step_graph.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {
namespace {

using ::testing::HasSubstr;

constexpr double kB = 2, kT = 2048, kHeads = 16, kP = 64, kGroups = 8, kS = 32;
const std::string kMamba =
    "name: 'toy' layers: 2 hidden: 1024 vocab: 4096 mamba { heads: 16 head_dim: 64 groups: 8 "
    "state: "
    "32 chunk: 128 } layer_kinds { mixer: MAMBA mlp: NO_MLP }";
const std::string kDelta =
    "name: 'toy' layers: 2 hidden: 1024 vocab: 4096 delta_net { key_heads: 8 value_heads: 16 "
    "key_dim: 32 value_dim: 64 } layer_kinds { mixer: DELTA_NET mlp: NO_MLP }";
const std::string kLinear =
    "name: 'toy' layers: 2 hidden: 1024 vocab: 4096 linear_attention { heads: 16 head_dim: 64 } "
    "layer_kinds { mixer: LINEAR_ATTENTION mlp: NO_MLP }";
const std::string kConvolution =
    "name: 'toy' layers: 2 hidden: 1024 vocab: 4096 layer_kinds { mixer: SHORT_CONVOLUTION mlp: "
    "NO_MLP }";
const std::string kRecurrent =
    "name: 'toy' layers: 2 hidden: 1024 vocab: 4096 recurrent_unit { width: 1024 heads: 16 } "
    "layer_kinds { mixer: RECURRENT_UNIT mlp: NO_MLP }";
// Attention whose keys are its values, with a gate of each head.
const std::string kGated =
    "name: 'toy' layers: 2 hidden: 1024 vocab: 4096 heads: 16 kv_heads: 8 head_dim: 64 qk_norm: "
    "true keys_as_values: true attention_head_gate: true layer_kinds { mlp: NO_MLP }";
const std::string kSparse =
    "name: 'toy' layers: 2 hidden: 1024 vocab: 4096 heads: 16 mla { q_lora_rank: 64 kv_lora_rank: "
    "32 "
    "qk_nope_head_dim: 32 qk_rope_head_dim: 16 v_head_dim: 32 } indexer { heads: 8 head_dim: 16 "
    "top_k: 256 } layer_kinds { mlp: NO_MLP }";

v1::Scenario Proto(const std::string& model, int devices, const std::string& plan,
                   const std::string& mode = "TRAIN") {
  return ParseScenario(absl::StrCat("model { ", model,
                                    " } cluster { preset: 'dgx-h100' chips: ", devices,
                                    " } workload { ", mode == "TRAIN" ? "" : "mode: " + mode,
                                    " global_batch_sequences: 16 sequence_length: 2048 } plan { ",
                                    plan, " micro_batch_sequences: 2 }"));
}

struct Lowered {
  Scenario scenario;
  TransferTable transfers;
  LoweredBlock layer;
};

Lowered Lower(const v1::Scenario& proto) {
  Lowered out{.scenario = Load(proto), .transfers = {}, .layer = {}};
  const Scenario& s = out.scenario;
  const ComputeModel compute(s.cluster.chip, RateSet::kDatasheet, Fidelity::kIdeal);
  const BlockContext context{&s.model, &s.plan, &s.workload, &compute, &out.transfers};
  StatusOr<LoweredBlock> layer = LowerBlock(BuildTransformer(s.model, {}).kinds[0], context);
  EXPECT_TRUE(layer.ok()) << layer.status();
  if (layer.ok()) out.layer = *std::move(layer);
  return out;
}

// Number and bytes of the transfers of a name.
std::pair<int, double> Sent(const Lowered& l, const BlockPass& pass, const std::string& name) {
  std::pair<int, double> sent{0, 0};
  for (const BlockStep& step : pass.steps) {
    if (step.transfer < 0 || step.name != name) continue;
    ++sent.first;
    sent.second += l.transfers[step.transfer].bytes.value();
  }
  return sent;
}

double FlopsOf(const BlockPass& pass) {
  double flops = 0;
  for (const BlockStep& step : pass.steps) flops += step.flops.value();
  return flops;
}

// One state of each of two sequences: 16 heads of 64 channels with 32 numbers each, in fp32.
constexpr double kState = kB * kHeads * kP * kS * 4;
// The three positions before a rank's own, of the channels of x, B and C in bf16.
constexpr double kTail = kB * 3 * (kHeads * kP + 2 * kGroups * kS) * 2;

// Whatever the length, c - 1 hops of a state bring it past all ranks; balanced chunks there and back.
TEST(Chunked, RingHandsTheStateOn) {
  for (const int c : {2, 4, 8}) {
    for (const bool balanced : {false, true}) {
      const Lowered l = Lower(Proto(
          kMamba, c,
          absl::StrCat("context: ", c, " context_load_balanced: ", balanced ? "true" : "false")));
      const int parts = balanced ? 2 : 1, hops = parts * (c - 1);
      EXPECT_EQ(Sent(l, l.layer.forward, "state"), (std::pair{hops, hops * kState}));
      EXPECT_EQ(Sent(l, l.layer.forward, "last positions"), (std::pair{1, parts * kTail}));
      // The states run again, then their gradients go the other way.
      EXPECT_EQ(Sent(l, l.layer.backward, "state"), (std::pair{2 * hops, 2 * hops * kState}));
    }
  }
}

// Of every kind: one state of each sequence goes on, whatever the length, and of what is convolved the
// positions before a rank's own; keys and values never. Gated delta nets have 16 heads of 64 x 32
// numbers, Kimi delta attention 8 of 32 x 32 (a decay of each element is of a position, and stays),
// linear attention 16 of 64 x 64; both nets convolve queries, keys and values over four positions.
TEST(Chunked, EveryKindHandsOnItsStateAndNoKeys) {
  const std::string kimi =
      "name: 'toy' layers: 2 hidden: 1024 vocab: 4096 delta_net { key_heads: 8 key_dim: 32 "
      "decay_rank: 32 gate_rank: 32 } layer_kinds { mixer: DELTA_NET mlp: NO_MLP }";
  struct Case {
    std::string model;
    double state, channels;
  };
  for (const Case& c : {Case{kDelta, 16 * 64 * 32, 2 * 8 * 32 + 16 * 64},
                        Case{kimi, 8 * 32 * 32, 3 * 8 * 32}, Case{kLinear, 16 * 64 * 64, 0}}) {
    for (const int ranks : {2, 4}) {
      const Lowered l = Lower(
          Proto(c.model, ranks, absl::StrCat("context: ", ranks, " context_load_balanced: false")));
      const int hops = ranks - 1;
      const double state = kB * c.state * 4, tail = kB * 3 * c.channels * 2;
      EXPECT_EQ(Sent(l, l.layer.forward, "state"), (std::pair{hops, hops * state})) << c.model;
      EXPECT_EQ(Sent(l, l.layer.backward, "state"), (std::pair{2 * hops, 2 * hops * state}));
      EXPECT_EQ(Sent(l, l.layer.forward, "last positions").second, tail) << c.model;
      double bytes = 0;
      for (const BlockStep& step : l.layer.forward.steps) {
        if (step.transfer >= 0) bytes += l.transfers[step.transfer].bytes.value();
      }
      EXPECT_EQ(bytes, hops * state + tail) << c.model;
    }
  }
}

// LASP-2, arXiv 2502.07563 §3: the states of all ranks, once.
TEST(Chunked, AllGatherBringsAllStates) {
  const Lowered l = Lower(Proto(kMamba, 4,
                                "context: 4 context_method: 'all-gather' context_load_balanced: "
                                "false"));
  EXPECT_EQ(Sent(l, l.layer.forward, "state"), (std::pair{1, 4 * kState}));
}

// megatron/core/ssm/mamba_context_parallel.py: x, B, C and the steps change from shards of the
// sequence to shards of the heads, the result back; no state is sent.
TEST(Chunked, UlyssesExchangesHeads) {
  const Lowered l = Lower(Proto(kMamba, 4, "context: 4 context_method: 'ulysses'"));
  EXPECT_EQ(Sent(l, l.layer.forward, "state").first, 0);
  EXPECT_EQ(Sent(l, l.layer.forward, "last positions").first, 0);
  const double tokens = kB * kT / 4;
  EXPECT_EQ(Sent(l, l.layer.forward, "scan_x"), (std::pair{1, tokens * kHeads * kP * 2}));
  EXPECT_EQ(Sent(l, l.layer.forward, "scan_b"), (std::pair{1, tokens * kGroups * kS * 2}));
  EXPECT_EQ(Sent(l, l.layer.forward, "scan_steps"), (std::pair{1, tokens * kHeads * 2}));
  EXPECT_EQ(Sent(l, l.layer.forward, "y"), (std::pair{1, tokens * kHeads * kP * 2}));
}

TEST(Chunked, EveryShardingDoesTheSameWork) {
  for (const std::string& model : {kMamba, kDelta, kLinear, kConvolution, kRecurrent, kGated}) {
    const Lowered one = Lower(Proto(model, 1, ""));
    for (const std::string plan :
         {"tensor: 4", "tensor: 4 sequence_parallel: true", "context: 4",
          "context: 4 context_method: 'all-gather'", "context: 4 context_method: 'ulysses'",
          "tensor: 2 context: 2"}) {
      // It scans in one kernel.
      const bool ulysses = plan.find("ulysses") != std::string::npos;
      if (model == kRecurrent && plan.find("context") != std::string::npos && !ulysses) continue;
      const Lowered four = Lower(Proto(model, 4, plan));
      EXPECT_NEAR(4 * FlopsOf(four.layer.forward) / FlopsOf(one.layer.forward), 1, 1e-12) << plan;
      EXPECT_NEAR(4 * FlopsOf(four.layer.backward) / FlopsOf(one.layer.backward), 1, 1e-12) << plan;
    }
  }
}

// Projections are the model's FLOPs; the recurrence runs in chunks instead: of Mamba-2 forward 2 P S
// and L P + 2 P S a position and head, and L S a group.
TEST(Chunked, ExecutesTheProductsOfItsKernels) {
  const Lowered l = Lower(Proto(kMamba, 1, ""));
  const double chunk = 128, inner = kHeads * kP, groups = kGroups * kS;
  const double projections = 2 * 1024 * (2 * inner + 2 * groups + kHeads) + 2 * inner * 1024;
  const double scan = inner * (4 * kS + chunk) + groups * chunk, conv = 8 * (inner + 2 * groups);
  EXPECT_NEAR(FlopsOf(l.layer.forward), kB * kT * (projections + scan + conv), 1);
}

// A recurrence S <- a S + u on ranks that share its sequence: every rank scans its chunks from
// nothing, then the state goes by the hops that the plan sends. `hops`: of the lowered pass.
void ExpectStatesAfter(int hops, int ranks, bool balanced) {
  const int parts = balanced ? 2 * ranks : ranks, length = 4 * parts;
  const auto owner = [&](int part) { return part < ranks ? part : 2 * ranks - 1 - part; };
  const auto a = [](int t) { return t % 3 + 1; };
  const auto u = [](int t) { return 7 * t % 11; };
  std::vector<long> want;
  long state = 0;
  for (int t = 0; t < length; ++t) want.push_back(state = (a(t) * state + u(t)) % 1000003);
  long carried = 0;
  int sent = 0;
  for (int part = 0; part < parts; ++part) {
    if (part > 0 && owner(part) != owner(part - 1)) ++sent;
    // What the part alone leaves, and what it makes of a state before it.
    long alone = 0, factor = 1;
    for (int t = 4 * part; t < 4 * part + 4; ++t) {
      alone = (a(t) * alone + u(t)) % 1000003;
      factor = factor * a(t) % 1000003;
      EXPECT_EQ((alone + factor * carried) % 1000003, want[static_cast<std::size_t>(t)]);
    }
    carried = (alone + factor * carried) % 1000003;
  }
  EXPECT_EQ(sent, hops);
}

TEST(Chunked, WhatIsHandedOnIsEnough) {
  for (const std::string& model : {kMamba, kDelta, kLinear}) {
    for (const int c : {2, 4, 8}) {
      for (const bool balanced : {false, true}) {
        const Lowered l = Lower(Proto(
            model, c,
            absl::StrCat("context: ", c, " context_load_balanced: ", balanced ? "true" : "false")));
        ExpectStatesAfter(Sent(l, l.layer.forward, "state").first, c, balanced);
      }
    }
  }
}

v1::SimulateReport ReportOf(const v1::Scenario& proto, bool unfolded = false) {
  const StatusOr<v1::SimulateReport> report =
      Simulate(proto, {.fidelity = Fidelity::kIdeal, .unfolded = unfolded});
  EXPECT_TRUE(report.ok()) << report.status();
  return report.ok() ? *report : v1::SimulateReport();
}

TEST(Chunked, FoldedIsUnfolded) {
  for (const std::string& model : {kMamba, kDelta, kLinear, kSparse, kConvolution, kGated}) {
    for (const std::string plan : {"tensor: 2 fsdp: 2 context: 2 context_method: 'all-gather'",
                                   "tensor: 2 context: 2 data: 2 sequence_parallel: true",
                                   "pipeline: 2 fsdp: 4 recompute: 'full'"}) {
      const v1::Scenario proto = Proto(model, 8, plan);
      EXPECT_EQ(ReportOf(proto).step_time_s(), ReportOf(proto, true).step_time_s()) << plan;
    }
  }
  const v1::Scenario recurrent = Proto(kRecurrent, 8, "tensor: 2 fsdp: 4");
  EXPECT_EQ(ReportOf(recurrent).step_time_s(), ReportOf(recurrent, true).step_time_s());
}

// A convolution hands on the two positions before a rank's own, once, and has no other state.
TEST(Chunked, ShortConvolutionsHandOnTheirTail) {
  const Lowered l = Lower(Proto(kConvolution, 4, "context: 4 context_load_balanced: false"));
  EXPECT_EQ(Sent(l, l.layer.forward, "last positions"), (std::pair{1, kB * 2 * 1024 * 2}));
  EXPECT_EQ(Sent(l, l.layer.forward, "state").first, 0);
}

// Parameters of all ranks are the model's, but for norms of one head, which all ranks have.
TEST(Chunked, ShardsOfParametersAddUp) {
  for (const std::string& model :
       {kMamba, kDelta, kLinear, kSparse, kConvolution, kRecurrent, kGated}) {
    const Scenario s = Load(Proto(model, 8, "fsdp: 8"));
    const StatusOr<StepGraph> step = LowerStep(s, {Fidelity::kIdeal, false});
    ASSERT_TRUE(step.ok()) << step.status();
    const double bytes = step->resident[0][static_cast<std::size_t>(MemoryBucket::kParameters)];
    const double total = ModelArithmetic(s.model, TokenShape()).Parameters().total;
    EXPECT_NEAR(8 * bytes / 2 / total, 1, 1e-3) << model;
  }
}

// Decode keeps the state alone, however long the sequence is; heads over tensor ranks share it.
TEST(Chunked, DecodeKeepsTheState) {
  const double layers = 2, sequences = 16 / 2;
  const double bytes = layers * sequences * (kState + kTail);
  EXPECT_EQ(static_cast<double>(ReportOf(Proto(kMamba, 1, "", "DECODE")).memory().kv_cache_bytes()),
            bytes);
  EXPECT_EQ(static_cast<double>(
                ReportOf(Proto(kMamba, 4, "tensor: 4", "DECODE")).memory().kv_cache_bytes()),
            bytes / 4);
  EXPECT_GT(ReportOf(Proto(kMamba, 1, "", "PREFILL")).step_time_s(), 0);
  EXPECT_GT(ReportOf(Proto(kSparse, 1, "", "DECODE")).step_time_s(), 0);
  EXPECT_GT(ReportOf(Proto(kSparse, 1, "", "PREFILL")).step_time_s(), 0);
  // A number of a channel in fp32, three positions of it in bf16; of the others two positions.
  const auto cache = [](const std::string& model) {
    return static_cast<double>(ReportOf(Proto(model, 1, "", "DECODE")).memory().kv_cache_bytes());
  };
  EXPECT_EQ(cache(kRecurrent), layers * sequences * kB * 1024 * (4 + 3 * 2));
  EXPECT_EQ(cache(kConvolution), layers * sequences * kB * 1024 * 2 * 2);
}

std::string Problem(const v1::Scenario& proto) {
  Diagnostics diagnostics;
  LoadScenario(proto, Catalog(), &diagnostics);
  return std::string(diagnostics.status().message());
}

TEST(Chunked, RefusesWhatCannotBeShared) {
  EXPECT_THAT(Problem(Proto(kMamba, 32, "tensor: 32")),
              HasSubstr("plan.tensor: is 32, which does not divide the 16 heads of the state"));
  const std::string first =
      "layers: 2 hidden: 1024 vocab: 4096 mamba { heads: 2048 state: 16 dt_rank: 64 } layer_kinds "
      "{ "
      "mixer: MAMBA mlp: NO_MLP }";
  EXPECT_THAT(Problem(Proto(first, 4, "context: 4")),
              HasSubstr("has layers whose scan is one kernel"));
  EXPECT_EQ(Problem(Proto(first, 4, "context: 4 context_method: 'ulysses'")), "");
  EXPECT_THAT(Problem(Proto(kRecurrent, 4, "context: 4")),
              HasSubstr("has layers whose scan is one kernel"));
}

// Six kinds are lowered as six blocks, however many layers there are of each.
TEST(Chunked, KindsAreLoweredOnce) {
  const Scenario s = Load(Proto(
      "layers: 200 hidden: 256 vocab: 1000 heads: 4 ffn: 512 mamba { heads: 8 head_dim: 64 state: "
      "16 } delta_net { key_heads: 4 key_dim: 32 } linear_attention { heads: 4 head_dim: 64 } moe "
      "{ "
      "experts: 4 experts_per_token: 2 expert_ffn: 128 } "
      "layer_kinds { symbol: 'A' mlp: DENSE } layer_kinds { symbol: 'B' mlp: ROUTED } "
      "layer_kinds { symbol: 'C' mixer: MAMBA mlp: DENSE } layer_kinds { symbol: 'D' mixer: "
      "DELTA_NET mlp: ROUTED } layer_kinds { symbol: 'E' mixer: LINEAR_ATTENTION mlp: DENSE } "
      "layer_kinds { symbol: 'F' mixer: NO_MIXER mlp: DENSE }",
      1, ""));
  EXPECT_EQ(BuildTransformer(s.model, {}).kinds.size(), 6u);
}

// Tasks of a step, which is what its time is spent on.
double TasksOf(const std::string& kinds) {
  const Scenario s = Load(
      Proto(absl::StrCat(
                "layers: 198 hidden: 256 vocab: 1000 heads: 4 ffn: 512 mamba { heads: 8 head_dim: "
                "64 state: 16 } delta_net { key_heads: 4 key_dim: 32 } linear_attention { heads: "
                "4 head_dim: 64 } ",
                kinds),
            8, "fsdp: 8"));
  const StatusOr<StepGraph> step = LowerStep(s, {Fidelity::kIdeal, false});
  EXPECT_TRUE(step.ok()) << step.status();
  return step.ok() ? static_cast<double>(step->graph.tasks()) : 0;
}

// Six kinds cost what their layers cost apart: as many tasks as a sixth of the layers of each.
TEST(Chunked, SixKindsAreNoMoreWorkThanTheyAreApart) {
  const std::vector<std::string> kinds = {
      "mixer: ATTENTION", "sliding_window: 64",      "mixer: MAMBA",
      "mixer: DELTA_NET", "mixer: LINEAR_ATTENTION", "mixer: SHORT_CONVOLUTION"};
  double apart = 0;
  std::string all;
  for (const std::string& kind : kinds) {
    apart += TasksOf(absl::StrCat("layer_kinds { ", kind, " }")) / 6;
    absl::StrAppend(&all, "layer_kinds { ", kind, " } ");
  }
  EXPECT_NEAR(TasksOf(all) / apart, 1, 0.01);
}

}  // namespace
}  // namespace meshstep
