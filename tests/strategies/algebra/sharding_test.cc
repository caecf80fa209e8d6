#include "strategies/algebra/sharding.h"

#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/strategies/einsum/simulated_devices.h"

namespace meshstep {
namespace {

using testing::Blocks;
using testing::Dense;
using testing::DeviceMesh;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::vector<std::string> kNames = {"X", "Y", "Z"};
constexpr AxisId kX = 0, kY = 1, kZ = 2;

// Steps as "AllGather_XY(I->) [I,J]", in order.
std::vector<std::string> StepsOf(const Sharding& from, const Sharding& to) {
  StatusOr<std::vector<ReshardStep>> steps = Reshard(from, to);
  EXPECT_TRUE(steps.ok()) << steps.status();
  std::vector<std::string> lines;
  for (const ReshardStep& step : *steps) {
    std::string axes;
    for (AxisId a : step.axes) axes += kNames[static_cast<std::size_t>(a)];
    lines.push_back(std::string(NameOf(step.op)) + "_" + axes + "(" + step.from + "->" + step.to +
                    ") " + ToString(step.after, kNames));
  }
  return lines;
}

TEST(ReshardTest, NothingToDo) {
  const Sharding a{{{"I", {kX}}, {"J", {}}}, {kY}};
  EXPECT_THAT(StepsOf(a, a), IsEmpty());
}

TEST(ReshardTest, GatherTakesSeveralMinorAxesAtOnce) {
  EXPECT_THAT(StepsOf({{{"I", {kX, kY}}, {"J", {}}}, {}}, {{{"I", {}}, {"J", {}}}, {}}),
              ElementsAre("AllGather_XY(I->) [I,J]"));
  EXPECT_THAT(StepsOf({{{"I", {kX, kY}}, {"J", {}}}, {}}, {{{"I", {kX}}, {"J", {}}}, {}}),
              ElementsAre("AllGather_Y(I->) [I_X,J]"));
}

// sharding_rules.md, section 12: A[I_XY]->A[I_Y] is not a plain AllGather over X.
TEST(ReshardTest, AxisThatLeavesFromUnderAnotherGathersBoth) {
  EXPECT_THAT(StepsOf({{{"I", {kX, kY}}}, {}}, {{{"I", {kY}}}, {}}),
              ElementsAre("AllGather_XY(I->) [I]", "Slice_Y(->I) [I_Y]"));
}

TEST(ReshardTest, SumsScatterWhereTheAxisIsWanted) {
  EXPECT_THAT(StepsOf({{{"I", {kX}}, {"J", {}}}, {kY}}, {{{"I", {kX}}, {"J", {kY}}}, {}}),
              ElementsAre("ReduceScatter_Y(->J) [I_X,J_Y]"));
  EXPECT_THAT(StepsOf({{{"I", {kX}}, {"J", {}}}, {kY, kZ}}, {{{"I", {kX}}, {"J", {}}}, {}}),
              ElementsAre("AllReduce_YZ(->) [I_X,J]"));
  EXPECT_THAT(StepsOf({{{"I", {}}, {"J", {}}}, {kX, kY}}, {{{"I", {}}, {"J", {kY}}}, {}}),
              ElementsAre("ReduceScatter_Y(->J) [I,J_Y]{U_X}", "AllReduce_X(->) [I,J_Y]"));
  EXPECT_THAT(StepsOf({{{"I", {}}}, {kX, kY}}, {{{"I", {}}}, {kX}}),
              ElementsAre("AllReduce_Y(->) [I]{U_X}"));
}

TEST(ReshardTest, AxisThatMovesIsAnAllToAll) {
  EXPECT_THAT(StepsOf({{{"I", {kX}}, {"J", {}}}, {}}, {{{"I", {}}, {"J", {kX}}}, {}}),
              ElementsAre("AllToAll_X(I->J) [I,J_X]"));
  // Q[B,N_YZ,H] -> Q[B_Z,N_Y,H], inference chapter.
  EXPECT_THAT(StepsOf({{{"B", {}}, {"N", {kY, kZ}}}, {}}, {{{"B", {kZ}}, {"N", {kY}}}, {}}),
              ElementsAre("AllToAll_Z(N->B) [B_Z,N_Y]"));
}

TEST(ReshardTest, OrderOfAxesMatters) {
  EXPECT_THAT(StepsOf({{{"I", {kX, kY}}}, {}}, {{{"I", {kY, kX}}}, {}}),
              ElementsAre("Permute_YX(I->I) [I_YX]"));
}

TEST(ReshardTest, SliceIsForAxesThatCome) {
  EXPECT_THAT(StepsOf({{{"I", {}}, {"J", {kX}}}, {}}, {{{"I", {kY, kZ}}, {"J", {kX}}}, {}}),
              ElementsAre("Slice_YZ(->I) [I_YZ,J_X]"));
}

TEST(ReshardTest, RefusesWhatCannotBe) {
  auto message = [](const Sharding& from, const Sharding& to) {
    return std::string(Reshard(from, to).status().message());
  };
  EXPECT_THAT(message({{{"I", {}}}, {}}, {{{"J", {}}}, {}}), HasSubstr("dimensions"));
  EXPECT_THAT(message({{{"I", {}}}, {}}, {{{"I", {}}}, {kX}}), HasSubstr("unreduced again"));
  EXPECT_THAT(message({{{"I", {kX}}, {"J", {kX}}}, {}}, {{{"I", {}}, {"J", {}}}, {}}),
              HasSubstr("used twice"));
}

TEST(CheckShardingTest, NamesTheRule) {
  auto message = [](const Sharding& sharding) {
    return std::string(CheckSharding("A", sharding, kNames).message());
  };
  EXPECT_EQ(message({{{"I", {kX}}, {"J", {kY}}}, {kZ}}), "");
  EXPECT_THAT(message({{{"I", {kX}}, {"J", {kX}}}, {}}), HasSubstr("axis X used twice in A"));
  EXPECT_THAT(message({{{"I", {kX}}}, {kX}}), HasSubstr("axis X both sharded and unreduced in A"));
  EXPECT_THAT(message({{{"I", {}}, {"I", {}}}, {}}), HasSubstr("dim I repeated in A"));
  EXPECT_THAT(message({{{"I", {}}}, {kY, kY}}), HasSubstr("axis Y unreduced twice in A"));
}

TEST(ToStringTest, LongAxisNamesAreBraced) {
  const std::vector<std::string> names = {"data", "fsdp"};
  EXPECT_EQ(ToString({{{"B", {0, 1}}, {"D", {}}}, {}}, names), "[B_{data,fsdp},D]");
  EXPECT_EQ(ToString({{{"B", {0}}}, {1}}, names), "[B_data]{U_fsdp}");
  EXPECT_EQ(ToString({{{"I", {kX, kY}}, {"J", {}}}, {kZ}}, kNames), "[I_XY,J]{U_Z}");
}

TEST(ShardCountTest, IsTheProductOfTheAxes) {
  const std::vector<int> sizes = {4, 8, 2};
  EXPECT_EQ(ShardCount({{{"I", {kX, kZ}}, {"J", {}}}, {kY}}, sizes), 4 * 2);
}

// The four cases of chapter 3.
TEST(LocalProductTest, FourCases) {
  const std::vector<std::string> out = {"I", "K"};
  auto product = [&](const Sharding& a, const Sharding& b) {
    StatusOr<Sharding> result = LocalProduct(a, b, out);
    return result.ok() ? ToString(*result, kNames) : std::string(result.status().message());
  };
  EXPECT_EQ(product({{{"I", {kX}}, {"J", {}}}, {}}, {{{"J", {}}, {"K", {kY}}}, {}}), "[I_X,K_Y]");
  EXPECT_THAT(product({{{"I", {}}, {"J", {kX}}}, {}}, {{{"J", {}}, {"K", {}}}, {}}),
              HasSubstr("case 2"));
  EXPECT_EQ(product({{{"I", {}}, {"J", {kX}}}, {}}, {{{"J", {kX}}, {"K", {}}}, {}}), "[I,K]{U_X}");
  EXPECT_THAT(product({{{"I", {kX}}, {"J", {}}}, {}}, {{{"J", {}}, {"K", {kX}}}, {}}),
              HasSubstr("case 4"));
  EXPECT_EQ(product({{{"I", {}}, {"J", {}}}, {kZ}}, {{{"J", {}}, {"K", {kY}}}, {}}),
            "[I,K_Y]{U_Z}");
  EXPECT_THAT(product({{{"I", {}}, {"J", {}}}, {kY}}, {{{"J", {}}, {"K", {kY}}}, {}}),
              HasSubstr("reduce it before"));
}

TEST(LocalProductTest, BatchDimensionIsNoConflict) {
  const std::vector<std::string> out = {"B", "I", "K"};
  StatusOr<Sharding> result = LocalProduct({{{"B", {kX}}, {"I", {}}, {"J", {}}}, {}},
                                           {{{"B", {kX}}, {"J", {}}, {"K", {kY}}}, {}}, out);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(ToString(*result, kNames), "[B_X,I,K_Y]");
}

class RandomSharding {
 public:
  explicit RandomSharding(unsigned seed) : random_(seed) {}
  int Uniform(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  std::mt19937& random() { return random_; }

  // Every axis of `allowed_unreduced` may be unreduced; every axis may shard, in any order.
  Sharding Draw(std::size_t dims, std::size_t axes, const std::vector<AxisId>& allowed_unreduced) {
    Sharding sharding;
    for (std::size_t d = 0; d < dims; ++d) sharding.dims.push_back({std::string(1, "IJK"[d]), {}});
    std::vector<AxisId> order(axes);
    for (std::size_t a = 0; a < axes; ++a) order[a] = static_cast<AxisId>(a);
    std::shuffle(order.begin(), order.end(), random_);
    for (AxisId axis : order) {
      const int place = Uniform(-2, static_cast<int>(dims) - 1);
      const bool may_wait = std::find(allowed_unreduced.begin(), allowed_unreduced.end(), axis) !=
                            allowed_unreduced.end();
      if (place >= 0) sharding.dims[static_cast<std::size_t>(place)].axes.push_back(axis);
      if (place == -2 && may_wait) sharding.unreduced.push_back(axis);
    }
    return sharding;
  }

 private:
  std::mt19937 random_;
};

// Blocks whose sum over the unreduced axes is `whole`: random terms, the last one makes up for
// them.
Blocks Unreduced(const DeviceMesh& mesh, const Dense& whole, const Sharding& sharding,
                 RandomSharding* draw) {
  const int terms = mesh.Count(sharding.unreduced);
  Blocks parts(static_cast<std::size_t>(terms), testing::Zeros(whole.shape));
  for (std::size_t i = 0; i < whole.values.size(); ++i) {
    long rest = whole.values[i];
    for (int t = 0; t + 1 < terms; ++t) {
      const long term = draw->Uniform(-100, 100);
      parts[static_cast<std::size_t>(t)].values[i] = term;
      rest -= term;
    }
    parts.back().values[i] = rest;
  }
  Blocks blocks;
  for (int device = 0; device < mesh.devices(); ++device) {
    const Dense& part = parts[static_cast<std::size_t>(mesh.Rank(device, sharding.unreduced))];
    blocks.push_back(testing::Shard(mesh, part, sharding)[static_cast<std::size_t>(device)]);
  }
  return blocks;
}

// Random shardings of random small arrays: doing the steps literally on every device gives the
// blocks of the target, and each step starts where the last one ended.
TEST(ReshardTest, StepsDoneOnDevicesGiveTheTarget) {
  RandomSharding draw(20260711);
  for (int round = 0; round < 400; ++round) {
    const std::size_t axes = static_cast<std::size_t>(draw.Uniform(1, 4));
    const std::size_t dims = static_cast<std::size_t>(draw.Uniform(1, 3));
    std::vector<int> sizes(axes);
    for (int& s : sizes) s = draw.Uniform(1, axes > 3 ? 2 : 3);
    const DeviceMesh mesh(sizes);
    std::vector<AxisId> all(axes);
    for (std::size_t a = 0; a < axes; ++a) all[a] = static_cast<AxisId>(a);
    const Sharding from = draw.Draw(dims, axes, all);
    const Sharding to = draw.Draw(dims, axes, from.unreduced);

    Dense whole = testing::Zeros(std::vector<int>(dims, mesh.devices()));
    for (long& value : whole.values) value = draw.Uniform(-1000, 1000);
    Blocks held = Unreduced(mesh, whole, from, &draw);

    StatusOr<std::vector<ReshardStep>> steps = Reshard(from, to);
    ASSERT_TRUE(steps.ok()) << steps.status();
    Sharding now = from;
    for (const ReshardStep& step : *steps) {
      ASSERT_EQ(step.before, now);
      held = testing::Execute(mesh, step, held);
      now = step.after;
    }
    ASSERT_TRUE(now.dims == to.dims);

    const Blocks expected = testing::Shard(mesh, whole, to);
    for (int device = 0; device < mesh.devices(); ++device) {
      Blocks terms;
      for (int member : mesh.Group(device, to.unreduced)) {
        terms.push_back(held[static_cast<std::size_t>(member)]);
      }
      ASSERT_EQ(testing::Sum(terms).values, expected[static_cast<std::size_t>(device)].values)
          << "round " << round << " device " << device;
    }
  }
}

}  // namespace
}  // namespace meshstep
