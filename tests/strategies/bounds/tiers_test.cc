#include "strategies/bounds/tiers.h"

#include <cmath>

#include "gtest/gtest.h"

namespace meshstep {
namespace {

// "How To Scale Your Model", chapter GPUs: H100, 450 GB/s in a node of 8, 50 GB/s per GPU out of
// it.
constexpr Tiers kH100{8, 450e9, 50e9};

TEST(TiersTest, AGroupInOneNodeNeedsNoWayOut) {
  EXPECT_EQ(LocalTo(8, 1, 8), 8);
  const TierTime time = GatherTime({8, 450e9, 0}, {8, 8}, 1e9, WithinDomain::kExact);
  EXPECT_DOUBLE_EQ(time.total(), 1e9 * 7 / 8 / 450e9);
  EXPECT_DOUBLE_EQ(GatherTime(kH100, {8, 8}, 1e9, WithinDomain::kBook).total(), 1e9 / 450e9);
}

// Eight chips with seven links of 64 GB/s each: an eighth of the array comes over each. Two of them
// have one link.
TEST(TiersTest, FullMesh) {
  const Tiers mesh{8, 64e9, 50e9, true};
  EXPECT_DOUBLE_EQ(GatherTime(mesh, {8, 8}, 1e9, WithinDomain::kExact).total(), 1e9 / 8 / 64e9);
  EXPECT_DOUBLE_EQ(GatherTime(mesh, {2, 2}, 1e9, WithinDomain::kExact).total(), 1e9 / 2 / 64e9);
}

// V (M-1)/M over the 400 GB/s of a node.
TEST(TiersTest, AGroupOfWholeNodesIsBoundByTheNodesWayOut) {
  const TierTime time = GatherTime(kH100, {64, 8}, 1e9, WithinDomain::kExact);
  EXPECT_DOUBLE_EQ(time.total(), 1e9 * 7 / 8 / 400e9);
  EXPECT_GT(time.across, time.within);
}

// Over exactly two nodes the node's own rate binds: (7/8)/450 against (1/2)/400.
TEST(TiersTest, TwoNodes) {
  EXPECT_DOUBLE_EQ(GatherTime(kH100, {16, 8}, 1e9, WithinDomain::kExact).total(),
                   1e9 * 7 / 8 / 450e9);
}

// 4 D F / Y bytes of one layer's weights over X=512 beside Y=8: each chip in another node.
TEST(TiersTest, FsdpAcrossNodesBesideTensorInside) {
  EXPECT_EQ(LocalTo(8, 8, 512), 1);
  const double volume = 4.0 * 8192 * 28672 / 8;
  EXPECT_DOUBLE_EQ(GatherTime(kH100, {512, 1}, volume, WithinDomain::kExact).total(),
                   volume * 511 / 512 / 50e9);
}

// V/(8 W) in a node and V/(M W_node) across (the same chapter), less what stays.
TEST(TiersTest, AllToAll) {
  EXPECT_DOUBLE_EQ(ExchangeTime(kH100, {8, 8}, 1e9, WithinDomain::kExact).total(),
                   1e9 * 7 / 64 / 450e9);
  EXPECT_DOUBLE_EQ(ExchangeTime(kH100, {64, 8}, 1e9, WithinDomain::kExact).total(),
                   1e9 * 56 / (64 * 64) / 50e9);
}

TEST(TiersTest, AnUnknownWayOutIsNoNumber) {
  EXPECT_TRUE(std::isnan(GatherTime({8, 450e9, 0}, {16, 8}, 1, WithinDomain::kExact).total()));
  EXPECT_TRUE(std::isnan(ExchangeTime({8, 450e9, 0}, {16, 8}, 1, WithinDomain::kExact).total()));
}

}  // namespace
}  // namespace meshstep
