// Routed tokens as MaxText moves them: repeated and gathered by expert, or by matmuls with one-hot
// masks; and grouped matmuls in tiles that experts share.

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/catalog.h"
#include "strategies/block/block_context.h"
#include "strategies/passes/lower_block.h"
#include "strategies/plan/load_scenario.h"
#include "strategies/step/step_graph.h"
#include "tests/strategies/passes/block_steps.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {
namespace {

using ::testing::HasSubstr;

constexpr double kHidden = 1024, kTopK = 2, kWidth = 512, kExperts = 8;
constexpr double kSequences = 2, kSequence = 512, kTokens = kSequences * kSequence;
// Bytes in bf16 of a rank's tokens and of its copies of them.
constexpr double kOwn = kTokens * kHidden * 2, kCopies = kTopK * kOwn;

v1::Scenario Proto(const std::string& plan) {
  return ParseScenario(absl::StrCat(
      "model { name: 'routed' layers: 4 hidden: 1024 heads: 16 vocab: 4096 gated_mlp: true "
      "moe { experts: 8 experts_per_token: 2 expert_ffn: 512 } } cluster { preset: 'tpu-v7x' "
      "slice: '2x2x1' } workload { global_batch_sequences: 256 sequence_length: 512 } plan { ",
      plan, " data: 8 micro_batch_sequences: 2 }"));
}

struct Layer {
  Scenario scenario;
  TransferTable transfers;
  LoweredBlock lowered;

  ComputeModel compute() const {
    return {scenario.cluster.chip, RateSet::kDatasheet, Fidelity::kCalibrated};
  }
};

Layer Lowered(const std::string& plan) {
  Layer layer{.scenario = Load(Proto(plan)), .transfers = {}, .lowered = {}};
  const Scenario& s = layer.scenario;
  const ComputeModel compute = layer.compute();
  const BlockContext context{&s.model, &s.plan, &s.workload, &compute, &layer.transfers};
  StatusOr<LoweredBlock> lowered = LowerBlock(BuildTransformer(s.model, {}).kinds[0], context);
  EXPECT_TRUE(lowered.ok()) << lowered.status();
  if (lowered.ok()) layer.lowered = *std::move(lowered);
  return layer;
}

// maxtext moe.py: repeat writes the copies, a gather sorts them and another brings them back; the
// gates' gradients take the copies that came back, gathered anew where a layer that runs
// again leaves out their sum.
TEST(TokenOrder, GatherPassesOverTheCopiesOnceMoreEachWay) {
  const Layer l = Lowered("expert_dispatch: 'gather'");
  EXPECT_EQ(BytesOf(l.lowered.forward, "dispatch"), kOwn + kCopies);
  EXPECT_EQ(BytesOf(l.lowered.forward, "dispatch gather"), 2 * kCopies);
  EXPECT_EQ(BytesOf(l.lowered.forward, "combine gather"), 2 * kCopies);
  EXPECT_EQ(BytesOf(l.lowered.forward, "combine"), kOwn + kCopies);
  EXPECT_EQ(BytesOf(l.lowered.backward, "combine backward"), kOwn + 2 * kCopies);
  EXPECT_EQ(BytesOf(l.lowered.backward, "combine backward gather"), 2 * kCopies);
  EXPECT_EQ(BytesOf(l.lowered.backward, "dispatch backward gather"), 2 * kCopies);
  EXPECT_EQ(BytesOf(l.lowered.backward, "dispatch backward"), kOwn + kCopies);
  EXPECT_EQ(BytesOf(l.lowered.backward, "combine gather"), -1);
  const std::string full = "expert_dispatch: 'gather' recompute: 'full' ";
  EXPECT_EQ(BytesOf(Lowered(full).lowered.backward, "combine gather"), -1);
  const Layer again = Lowered(full + "recompute_drops_unread: true");
  EXPECT_EQ(BytesOf(again.lowered.backward, "combine gather"), 2 * kCopies);
  EXPECT_EQ(BytesOf(Lowered("").lowered.forward, "dispatch gather"), -1);
}

TEST(TokenOrder, GatherHasARateOfItsOwn) {
  const Layer l = Lowered("expert_dispatch: 'gather'");
  const ComputeCalibration& c = l.scenario.cluster.chip.calibration;
  ASSERT_LT(c.permutation_fraction, c.hbm_fraction);
  // One of two devices of a chip of 7.38 TB/s.
  const Seconds moved(2 * kCopies / (c.permutation_fraction * 7.38e12 / 2));
  EXPECT_EQ(Find(l.lowered.forward, "dispatch gather")->duration,
            Time::RoundUp(c.elementwise_launch + moved));
}

// GShard, arXiv 2006.16668, algorithm 1: "GSEC,GSM->EGCM" and back, with C = S K f / E places of an
// expert; backward one product for x, two for the copies and the masks.
TEST(TokenOrder, EinsumMultipliesWithMasks) {
  const double factor = 1.5;
  const Layer l = Lowered("expert_dispatch: 'einsum' capacity_factor: 1.5");
  const double places = kSequence * kTopK * factor;
  const double product = 2 * kSequences * kSequence * places * kHidden;
  const auto flops = [](const BlockPass& pass, const char* name) {
    const BlockStep* step = Find(pass, name);
    return step == nullptr ? -1 : step->flops.value();
  };
  EXPECT_DOUBLE_EQ(flops(l.lowered.forward, "dispatch"), product);
  EXPECT_DOUBLE_EQ(flops(l.lowered.forward, "combine"), product);
  EXPECT_DOUBLE_EQ(flops(l.lowered.backward, "combine backward"), 2 * product);
  EXPECT_DOUBLE_EQ(flops(l.lowered.backward, "dispatch backward"), product);
}

// Every expert has the same rows: a batched matmul without tiles that two share.
TEST(TokenOrder, EinsumIsNotGrouped) {
  const Layer l =
      Lowered("expert_dispatch: 'einsum' capacity_factor: 1 kernels { expert_tile_rows: 128 }");
  const MatmulShape in{
      .batch = kExperts, .m = kTokens * kTopK / kExperts, .n = 2 * kWidth, .k = kHidden};
  EXPECT_EQ(Find(l.lowered.forward, "experts_in")->duration,
            l.compute().Matmul(in, Dtype::kBf16, Bytes(2)));
}

TEST(TokenOrder, EinsumNeedsPlaces) {
  Diagnostics diagnostics;
  LoadScenario(Proto("expert_dispatch: 'einsum'"), Catalog(), &diagnostics);
  ASSERT_FALSE(diagnostics.ok());
  EXPECT_THAT(std::string(diagnostics.status().message()),
              HasSubstr("plan.expert_dispatch: is \"einsum\", whose masks need places"));
}

// megablox make_group_metadata: r rows that begin anywhere on a grid of tiles of t rows touch
// (r + t - 1)/t tiles on average; for dW the rows are what is summed over.
TEST(SharedTiles, ExpertsTouchOneTileMore) {
  constexpr double kTile = 128, kRows = kTokens * kTopK / kExperts;
  const Layer shared = Lowered("kernels { expert_tile_rows: 128 }");
  const ComputeModel compute = shared.compute();
  const auto time = [&](double m, double n, double k) {
    const MatmulShape shape{.batch = kExperts, .m = m, .n = n, .k = k, .grouped = true};
    return compute.Matmul(shape, Dtype::kBf16, Bytes(2));
  };
  const double more = kRows + kTile - 1;
  EXPECT_EQ(Find(shared.lowered.forward, "experts_in")->duration, time(more, 2 * kWidth, kHidden));
  EXPECT_EQ(Find(shared.lowered.backward, "experts_in dx")->duration,
            time(more, kHidden, 2 * kWidth));
  EXPECT_EQ(Find(shared.lowered.backward, "experts_out dw")->flops.value(),
            2 * kExperts * kRows * kWidth * kHidden);
  const Layer whole = Lowered("");
  EXPECT_EQ(Find(whole.lowered.forward, "experts_in")->duration, time(kRows, 2 * kWidth, kHidden));
  EXPECT_GT(Find(shared.lowered.backward, "experts_out dw")->duration,
            Find(whole.lowered.backward, "experts_out dw")->duration);
}

// Grouped matmuls of backward are as slow as those of forward.
TEST(SharedTiles, BackwardIsGrouped) {
  const Layer l = Lowered("");
  const MatmulShape dx{.batch = kExperts,
                       .m = kTokens * kTopK / kExperts,
                       .n = kHidden,
                       .k = 2 * kWidth,
                       .grouped = true};
  EXPECT_EQ(Find(l.lowered.backward, "experts_in dx")->duration,
            l.compute().Matmul(dx, Dtype::kBf16, Bytes(2)));
}

}  // namespace
}  // namespace meshstep
