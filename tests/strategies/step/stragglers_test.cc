#include "strategies/step/stragglers.h"

#include "gtest/gtest.h"

namespace meshstep {
namespace {

TEST(Stragglers, SlowestIsTheExpectedLargestOfNormalSamples) {
  // Harter, Expected values of normal order statistics, Biometrika 48 (1961), table 1.
  EXPECT_NEAR(SlowestOf(2, 1) - 1, 0.56419, 0.05 * 0.56419);
  EXPECT_NEAR(SlowestOf(10, 1) - 1, 1.53875, 0.01 * 1.53875);
  EXPECT_NEAR(SlowestOf(100, 1) - 1, 2.50759, 0.01 * 2.50759);
  EXPECT_EQ(SlowestOf(1, 0.1), 1);
  EXPECT_EQ(SlowestOf(100, 0), 1);
  EXPECT_DOUBLE_EQ(SlowestOf(512, 0.02) - 1, 0.02 * (SlowestOf(512, 1) - 1));
}

}  // namespace
}  // namespace meshstep
