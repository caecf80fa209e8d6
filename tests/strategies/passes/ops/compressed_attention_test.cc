// Attention over compressed keys under a plan: what ranks of a sequence send, by hand; that shards do
// the work of the whole.

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "meshstep/v1/report.pb.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/simulate/simulate.h"
#include "strategies/block/block_context.h"
#include "strategies/model/model_arithmetic.h"
#include "strategies/passes/lower_block.h"
#include "strategies/step/lower_step.h"
#include "strategies/step/step_graph.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {
namespace {

using ::testing::HasSubstr;

constexpr double kB = 2, kT = 2048, kH = 64, kHi = 32, kW = 64;

std::string ModelOf(const std::string& compressed, const std::string& more = "") {
  return "name: 'toy' layers: 2 hidden: 1024 vocab: 4096 heads: 16 kv_heads: 1 head_dim: 64 "
         "sliding_window: 64 residual_streams: 2 compressed { q_lora_rank: 128 output_groups: 8 "
         "output_rank: 32 " +
         compressed + " } layer_kinds { mlp: NO_MLP } " + more;
}

const std::string kWindow = ModelOf("");
const std::string kHeavy = ModelOf("rate: 32");
const std::string kSparse =
    ModelOf("rate: 4 overlap: true", "indexer { heads: 8 head_dim: 32 top_k: 128 }");

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

// Whatever the method, 64 keys before each stretch go one hop on, and the entries to all.
TEST(CompressedAttention, RanksOfASequenceSendTheirWindowAndEntries) {
  for (const std::string method : {"ring", "all-gather", "ulysses"}) {
    for (const bool balanced : {false, true}) {
      const std::string plan = absl::StrCat("context: 4 context_method: '", method,
                                            "' context_load_balanced: ", balanced);
      const int parts = balanced ? 2 : 1;
      const std::pair<int, double> window = {1, parts * kB * kW * kH * 2};
      for (const std::string& model : {kWindow, kHeavy, kSparse}) {
        const Lowered l = Lower(Proto(model, 4, plan));
        EXPECT_EQ(Sent(l, l.layer.forward, "window keys"), window) << plan;
        EXPECT_EQ(Sent(l, l.layer.backward, "window keys"), window) << plan;
        EXPECT_EQ(Sent(l, l.layer.backward, "window key gradients"), window) << plan;
      }
      const Lowered heavy = Lower(Proto(kHeavy, 4, plan));
      EXPECT_EQ(Sent(heavy, heavy.layer.forward, "entries"), (std::pair{1, kB * kT / 32 * kH * 2}));
      EXPECT_EQ(Sent(heavy, heavy.layer.forward, "last positions").first, 0);
      // Values and gates of the four positions before, twice as wide, of heads and of the indexer.
      const Lowered sparse = Lower(Proto(kSparse, 4, plan));
      EXPECT_EQ(Sent(sparse, sparse.layer.forward, "entries"),
                (std::pair{1, kB * kT / 4 * kH * 2}));
      EXPECT_EQ(Sent(sparse, sparse.layer.forward, "index_entries"),
                (std::pair{1, kB * kT / 4 * kHi * 2}));
      EXPECT_EQ(Sent(sparse, sparse.layer.forward, "last positions"),
                (std::pair{2, parts * 2 * kB * 4 * 2 * (kH + kHi) * 2}));
    }
  }
}

TEST(CompressedAttention, EveryShardingDoesTheSameWork) {
  for (const std::string& model : {kWindow, kHeavy, kSparse}) {
    // What has no heads (keys, entries, the indexer, streams) every tensor rank does alike.
    const Lowered one = Lower(Proto(model, 1, ""));
    for (const std::string plan : {"context: 4", "context: 4 context_method: 'all-gather'",
                                   "context: 4 context_method: 'ulysses'"}) {
      const Lowered four = Lower(Proto(model, 4, plan));
      EXPECT_NEAR(4 * FlopsOf(four.layer.forward) / FlopsOf(one.layer.forward), 1, 1e-12) << plan;
      EXPECT_NEAR(4 * FlopsOf(four.layer.backward) / FlopsOf(one.layer.backward), 1, 1e-12) << plan;
    }
    const Lowered tensor = Lower(Proto(model, 4, "tensor: 4 sequence_parallel: true"));
    EXPECT_GT(4 * FlopsOf(tensor.layer.forward), FlopsOf(one.layer.forward) * (1 - 1e-12));
    // Queries, attention and the way back are of each rank's own heads: over half of the work.
    EXPECT_LT(FlopsOf(tensor.layer.forward), FlopsOf(one.layer.forward) * 5 / 8);
  }
}

v1::SimulateReport ReportOf(const v1::Scenario& proto, bool unfolded = false) {
  const StatusOr<v1::SimulateReport> report =
      Simulate(proto, {.fidelity = Fidelity::kIdeal, .unfolded = unfolded});
  EXPECT_TRUE(report.ok()) << report.status();
  return report.ok() ? *report : v1::SimulateReport();
}

TEST(CompressedAttention, FoldedIsUnfolded) {
  for (const std::string& model : {kWindow, kHeavy, kSparse}) {
    for (const std::string plan : {"tensor: 2 fsdp: 2 context: 2 context_method: 'all-gather'",
                                   "tensor: 2 context: 2 data: 2 sequence_parallel: true",
                                   "pipeline: 2 fsdp: 4 recompute: 'full'"}) {
      const v1::Scenario proto = Proto(model, 8, plan);
      EXPECT_EQ(ReportOf(proto).step_time_s(), ReportOf(proto, true).step_time_s()) << plan;
    }
  }
}

// Of one layer: what neither the stream nor a rank is a dimension of, which all have whole.
double Unsharded(const Model& model) {
  double elements = 0;
  const Transformer transformer = BuildTransformer(model, {});
  for (const Array& array : transformer.kinds[0].arrays) {
    double size = array.parameter ? 1 : 0;
    for (const std::string& dim : array.dims) {
      if (dim == "D" || dim == "H" || dim == "R_q" || dim == "R_o") size = 0;
      if (size > 0) size *= static_cast<double>(DimSize(model, dim, 1, 1));
    }
    elements += size;
  }
  return elements;
}

TEST(CompressedAttention, ShardsOfParametersAddUp) {
  for (const std::string& model : {kWindow, kHeavy, kSparse}) {
    const Scenario s = Load(Proto(model, 8, "fsdp: 8"));
    const StatusOr<StepGraph> step = LowerStep(s, {Fidelity::kIdeal, false});
    ASSERT_TRUE(step.ok()) << step.status();
    const double bytes = step->resident[0][static_cast<std::size_t>(MemoryBucket::kParameters)];
    const double total = ModelArithmetic(s.model, TokenShape()).Parameters().total;
    EXPECT_EQ(8 * bytes / 2, total + 2 * 7 * Unsharded(s.model)) << model;
  }
}

// Of 16 sequences the window's keys, the entries of all positions and those that are no entry yet.
TEST(CompressedAttention, DecodeKeepsEntries) {
  const auto cache = [](const std::string& model, int devices, const std::string& plan) {
    return static_cast<double>(
        ReportOf(Proto(model, devices, plan, "DECODE")).memory().kv_cache_bytes());
  };
  const double each = 2 * 16 * 2;
  EXPECT_EQ(cache(kWindow, 1, ""), each * kW * kH);
  EXPECT_EQ(cache(kHeavy, 1, ""), each * ((kW + kT / 32) * kH + 2 * 32 * kH));
  EXPECT_EQ(cache(kSparse, 1, ""), each * (kW * kH + kT / 4 * (kH + kHi) + 2 * 4 * 2 * (kH + kHi)));
  EXPECT_GT(ReportOf(Proto(kSparse, 1, "", "PREFILL")).step_time_s(), 0);
  EXPECT_GT(ReportOf(Proto(kHeavy, 4, "tensor: 4", "PREFILL")).step_time_s(), 0);
}

TEST(CompressedAttention, GroupsOfHeadsStayTogether) {
  const StatusOr<v1::SimulateReport> report = Simulate(Proto(kWindow, 16, "tensor: 16"), {});
  EXPECT_THAT(std::string(report.status().message()),
              HasSubstr("is 16, which does not divide the 8 groups of heads"));
}

}  // namespace
}  // namespace meshstep
