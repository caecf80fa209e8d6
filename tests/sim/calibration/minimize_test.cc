#include "sim/calibration/minimize.h"

#include <cmath>

#include "gtest/gtest.h"

namespace meshstep {
namespace {

// Rosenbrock, "An automatic method for finding the greatest or least value of a function", Computer
// Journal 3 (1960): a curved valley with its minimum 0 at (1, 1).
TEST(Minimize, FollowsRosenbrocksValley) {
  const auto f = [](std::span<const double> x) {
    return 100 * std::pow(x[1] - x[0] * x[0], 2) + std::pow(1 - x[0], 2);
  };
  const std::vector<double> x = Minimize(f, {-1.2, 1}, 0.5, 400);
  EXPECT_NEAR(x[0], 1, 1e-4);
  EXPECT_NEAR(x[1], 1, 1e-4);
}

TEST(Minimize, FindsACornerInThreeVariables) {
  const auto f = [](std::span<const double> x) {
    return std::abs(x[0] - 3) + 2 * std::abs(x[1] + 1) + std::abs(x[2] - x[0]);
  };
  const std::vector<double> x = Minimize(f, {0, 0, 0}, 1, 400);
  EXPECT_LT(f(x), 0.05);
}

TEST(RobustLoss, GrowsByThreeHalvesBeyondOneHalf) {
  EXPECT_EQ(RobustLoss(0), 0);
  EXPECT_DOUBLE_EQ(RobustLoss(-0.5), 0.5 + 0.5 * 0.5);  // both branches meet here
  EXPECT_DOUBLE_EQ(RobustLoss(3) - RobustLoss(2), 1.5);
}

TEST(ResidualsOf, MiddleAndNineTenths) {
  const Residuals r = ResidualsOf({9, 0, 8, 1, 7, 2, 6, 3, 5, 4});
  EXPECT_EQ(r.rows, 10);
  EXPECT_EQ(r.median, 5);
  EXPECT_EQ(r.ninetieth, 9);
}

}  // namespace
}  // namespace meshstep
