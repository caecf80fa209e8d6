// Rooflines, training and inference bounds and scaling laws against brute force and the papers.

#include <gtest/gtest.h>

#include <cmath>

#include "strategies/bounds/inference_bounds.h"
#include "strategies/bounds/matmul_roofline.h"
#include "strategies/bounds/scaling_law.h"
#include "strategies/bounds/training_bounds.h"

namespace meshstep {
namespace {

// At the exact critical batch the two times are equal; one row more is compute-bound.
TEST(MatmulRooflineTest, ExactCriticalBatchBalances) {
  for (const double weight : {0.5, 1.0, 2.0}) {
    for (const double d : {2048.0, 8192.0}) {
      const double peak = 1.97e14, memory = 8.2e11;
      MatmulCase c{1, d, 4 * d, 2, weight};
      c.b = ExactCriticalBatch(c, peak / memory);
      EXPECT_NEAR(c.flops() / peak, c.bytes() / memory, 1e-12 * c.flops() / peak);
      c.b += 1;
      EXPECT_GT(c.flops() / peak, c.bytes() / memory);
    }
  }
}

// With wide weights activations do not count.
TEST(MatmulRooflineTest, ExactCriticalBatchTendsToTheSimpleOne) {
  const MatmulCase wide{1, 1e9, 1e9, 2, 2};
  EXPECT_NEAR(ExactCriticalBatch(wide, 240), CriticalBatch(240, 2), 1e-3);
  const MatmulCase narrow{1, 64, 64, 2, 2};
  EXPECT_TRUE(std::isinf(ExactCriticalBatch(narrow, 240)));
}

TEST(MatmulRooflineTest, AttentionIsComputeBoundFromTheCriticalLength) {
  for (const double group : {1.0, 4.0, 8.0}) {
    AttentionCase c;
    c.heads = group;
    c.head_dim = 128;
    c.queries = c.keys = CriticalLength(c, 240);
    EXPECT_NEAR(c.flops() / c.bytes(), 240, 1e-9) << group;
  }
}

// The critical batch is where the times of MlpForward are equal at the best X.
TEST(TrainingBoundsTest, CriticalTokensBalanceComputeAndCommunication) {
  const double c = 4.59e14, w = 1.8e11, d = 8192, f = 32768, chips = 64, alpha = c / w;
  for (const Overlap overlap : {Overlap::kMax, Overlap::kSum}) {
    MlpPlan plan{.d = d, .f = f};
    plan.b = chips * CriticalTokensMixed(alpha, 2, 1, f, overlap);
    plan.x = OptimalX(plan.b, f, 2, 1, chips);
    plan.y = chips / plan.x;
    const MlpTimes times = MlpForward(plan, c, {2 * w, w});
    EXPECT_NEAR(times.fsdp / times.tensor, 1, 1e-12);
    EXPECT_NEAR(times.communication(overlap) / times.compute, 1, 1e-12);
  }
  MlpPlan fsdp{.d = d, .f = f, .x = chips};
  fsdp.b = chips * CriticalTokens(alpha, 3);
  const MlpTimes times = MlpForward(fsdp, c, {3 * w, w});
  EXPECT_NEAR(times.fsdp / times.compute, 1, 1e-12);
}

// No X communicates less, whether the two overlap or add up.
TEST(TrainingBoundsTest, OptimalXIsTheBest) {
  MlpPlan plan{.b = 48000, .d = 8192, .f = 32768};
  const auto cost = [&](double x, Overlap overlap) {
    plan.x = x;
    plan.y = 64 / x;
    return MlpForward(plan, 4.59e14, {2 * 1.8e11, 1.8e11}).communication(overlap);
  };
  const double best = OptimalX(48000, 32768, 2, 1, 64);
  for (double x = 1.5; x < 60; x += 0.25) {
    EXPECT_LE(cost(best, Overlap::kMax), cost(x, Overlap::kMax) * (1 + 1e-12));
    EXPECT_LE(cost(best, Overlap::kSum), cost(x, Overlap::kSum) * (1 + 1e-12));
  }
}

TEST(TrainingBoundsTest, ExpectedShardsByEnumeration) {
  // Two experts on three shards, each at random: 9 cases; a token is on shard 0 and its own costs
  // nothing.
  double others = 0;
  for (int a = 0; a < 3; ++a) {
    for (int b = 0; b < 3; ++b) {
      for (int shard = 1; shard < 3; ++shard) others += (a == shard || b == shard) ? 1.0 : 0.0;
    }
  }
  EXPECT_NEAR(ExpectedShards(3, 2), others / 9 / 3, 1e-12);
  EXPECT_LE(ExpectedShards(64, 8), ShardsBound(64, 8));
}

TEST(InferenceBoundsTest, BatchWithinTakesTheLatency) {
  ChipLimits chip;
  chip.flops_per_s = 1.97e14;
  chip.hbm_bytes_per_s = 8.2e11;
  for (const double latency : {0.01, 0.015, 0.1}) {
    DecodeCase c{70e9, 70e9, 1, 1.3e9, 1, 32};
    c.batch = BatchWithin(c, chip, latency);
    EXPECT_NEAR(StepOf(c, chip).total(), latency, 1e-12);
  }
  EXPECT_EQ(BatchWithin({70e9, 70e9, 1, 1.3e9, 1, 1}, chip, 0.015), 0);
}

TEST(InferenceBoundsTest, TwoDimensionalWeightsAtTheBestX) {
  const double b = 16, d = 4096, f = 4 * d, w = 9e10;
  const WeightStationary at = StationaryTimes(b, d, f, 64, w);
  EXPECT_DOUBLE_EQ(at.x, std::sqrt(64.0 / 8));
  EXPECT_DOUBLE_EQ(at.two_d, std::sqrt(128.0) * b * d / (std::sqrt(64.0) * w));
  const WeightStationary equal = StationaryTimes(b, d, f, at.chips, w);
  EXPECT_DOUBLE_EQ(at.chips, 72);
  EXPECT_DOUBLE_EQ(equal.two_d, equal.one_d);
}

// Hoffmann et al. Table 3: with Gopher's FLOPs (5.76e23) approach 1 trains 67B on 1.5T tokens, 3
// 40B.
TEST(ScalingLawTest, GophersBudget) {
  EXPECT_NEAR(ChinchillaOptimum(5.76e23, 20).parameters, 67e9, 0.05 * 67e9);
  EXPECT_NEAR(ChinchillaOptimum(5.76e23, 20).tokens, 1.5e12, 0.1 * 1.5e12);
  EXPECT_NEAR(ParametricOptimum(5.76e23).parameters, 40e9, 0.2 * 40e9);
}

TEST(ScalingLawTest, ParametricOptimumIsTheLeastLossOfItsFlops) {
  for (const double flops : {1e20, 5.76e23, 1e26}) {
    const Optimum best = ParametricOptimum(flops);
    EXPECT_NEAR(TrainingFlops(best.parameters, best.tokens), flops, 1e-9 * flops);
    const double loss = ParametricLoss(best.parameters, best.tokens);
    for (double factor = 0.2; factor < 5; factor *= 1.07) {
      const double n = best.parameters * factor;
      EXPECT_LE(loss, ParametricLoss(n, flops / 6 / n) + 1e-12);
    }
  }
}

// Sardana et al. §2: without inference the optimum is the compute-optimal model; the more
// inference, the smaller the model, the longer its training, and no other size of that loss costs
// less.
TEST(ScalingLawTest, OverTrainingForInference) {
  const Optimum trained = ParametricOptimum(1e23);
  const double loss = ParametricLoss(trained.parameters, trained.tokens);
  EXPECT_NEAR(OverTrainingOptimum(loss, 0).parameters / trained.parameters, 1, 1e-3);
  double before = trained.parameters;
  for (const double served : {1e11, 1e12, 1e13}) {
    const Optimum best = OverTrainingOptimum(loss, served);
    EXPECT_LT(best.parameters, before);
    EXPECT_NEAR(ParametricLoss(best.parameters, best.tokens), loss, 1e-9);
    const auto cost = [&](double n) { return n * (6 * TokensForLoss(n, loss) + 2 * served); };
    for (double factor = 0.5; factor < 2; factor *= 1.05) {
      EXPECT_LE(cost(best.parameters), cost(best.parameters * factor) * (1 + 1e-9));
    }
    before = best.parameters;
  }
}

}  // namespace
}  // namespace meshstep
