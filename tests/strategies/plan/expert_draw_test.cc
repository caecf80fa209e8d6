// Drawn imbalance: its mean against the distribution's, bounds, and the plan's fields.

#include "strategies/plan/expert_draw.h"

#include <cmath>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {
namespace {

using testing::HasSubstr;

TEST(ExpertDraw, WithoutSpreadAllAreEqual) {
  EXPECT_DOUBLE_EQ(DrawnImbalance({.experts = 64, .ranks = 8, .layers = 4, .spread = 0}), 1);
  EXPECT_DOUBLE_EQ(DrawnImbalance({.experts = 64, .ranks = 1, .layers = 4, .spread = 1}), 1);
}

// Of two ranks with an expert each, w1 / w2 is lognormal with variance 2 s^2: the busier has
// 2 / (1 + exp(-|d|)) of the mean, d normal with that variance. By Simpson's rule over |d|.
TEST(ExpertDraw, MeanOfTwoRanks) {
  const double s = 0.5, sigma = s * std::sqrt(2);
  double sum = 0, weight = 0;
  const int n = 2000;
  for (int i = 0; i <= n; ++i) {
    const double d = 8 * sigma * i / n;
    const double w = (i == 0 || i == n ? 1
                      : i % 2          ? 4
                                       : 2) *
                     std::exp(-d * d / (2 * sigma * sigma));
    sum += w * 2 / (1 + std::exp(-d));
    weight += w;
  }
  // The standard deviation of one draw is below 0.17, of the mean of 20,000 below 0.0012.
  EXPECT_NEAR(DrawnImbalance({.experts = 2, .ranks = 2, .layers = 20000, .spread = s, .seed = 7}),
              sum / weight, 4 * 0.0012);
}

TEST(ExpertDraw, MoreExpertsOfARankAreMoreEven) {
  const auto of = [](int ranks) {
    return DrawnImbalance({.experts = 128, .ranks = ranks, .layers = 48, .spread = 0.5});
  };
  EXPECT_LT(of(2), of(8));
  EXPECT_LT(of(8), of(128));
  EXPECT_LE(of(128), 128);
}

TEST(ExpertDraw, TheSeedDecides) {
  const ExpertDraw a{.experts = 64, .ranks = 8, .layers = 4, .spread = 0.5, .seed = 1};
  ExpertDraw b = a;
  EXPECT_EQ(DrawnImbalance(a), DrawnImbalance(b));
  b.seed = 2;
  EXPECT_NE(DrawnImbalance(a), DrawnImbalance(b));
}

constexpr char kScenario[] =
    "model { preset: 'mixtral-8x7b' } cluster { preset: 'dgx-h100' chips: 8 } workload { "
    "global_batch_sequences: 8 sequence_length: 1024 } plan { data: 8 expert: 8 ";

TEST(ExpertDraw, IsThePlansImbalance) {
  const Scenario scenario = Load(ParseScenario(std::string(kScenario) + "expert_spread: 0.4 }"));
  EXPECT_DOUBLE_EQ(scenario.plan.expert_imbalance,
                   DrawnImbalance({.experts = 8, .ranks = 8, .layers = 32, .spread = 0.4}));
}

std::string ErrorOf(const v1::Scenario& proto) {
  Diagnostics diagnostics;
  LoadScenario(proto, Catalog(), &diagnostics);
  return std::string(diagnostics.status().message());
}

TEST(ExpertDraw, RefusesOtherImbalanceBesideIt) {
  const auto error = [](const std::string& plan) {
    return ErrorOf(ParseScenario(kScenario + plan + " }"));
  };
  EXPECT_THAT(error("expert_spread: 0.4 expert_imbalance: 1.2"),
              HasSubstr("plan.expert_spread: is 0.4 beside expert_imbalance"));
  EXPECT_THAT(error("expert_spread: 5"), HasSubstr("plan.expert_spread: is 5, expected 0 to 4"));
  EXPECT_THAT(error("expert_spread: 0.4 expert_seed: -1"),
              HasSubstr("plan.expert_seed: is -1, expected 0 or more"));
}

}  // namespace
}  // namespace meshstep
