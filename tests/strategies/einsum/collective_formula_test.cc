#include "strategies/einsum/collective_formula.h"

#include <cmath>

#include "gtest/gtest.h"
#include "sim/cost/collective_model.h"

namespace meshstep::einsum {
namespace {

using Op = ReshardStep::Op;

constexpr double kV = 2.0 * 2048 * 8192;  // bytes of bf16[2048, 8192], chapter 3, pop quiz 2
constexpr double kLink = 4.5e10;          // v5e, one way

Hardware V5e() {
  Hardware hardware;
  hardware.link = BytesPerSecond(kLink);
  hardware.interconnect.kind = Interconnect::Kind::kTorus;
  hardware.interconnect.dimensions = 2;
  hardware.interconnect.wraparound = Interconnect::Wraparound::kFullAxis;
  hardware.interconnect.full_axis = 16;
  hardware.interconnect.latency = Seconds(1e-6);
  return hardware;
}

double Time(Op op, const std::string& mesh_text, std::vector<AxisId> axes, CostModel model,
            const Hardware& hardware = V5e()) {
  const MeshShape mesh = *ParseMeshShape(mesh_text);
  return CollectiveFormula(hardware, mesh, model, std::nullopt).Of(op, axes, kV).total();
}

TEST(CollectiveFormulaTest, NamedModelsOfAGather) {
  EXPECT_DOUBLE_EQ(Time(Op::kAllGather, "8x4", {1}, CostModel::kBook), kV / (2 * kLink));
  EXPECT_DOUBLE_EQ(Time(Op::kAllGather, "8x4", {1}, CostModel::kRing), kV * 3 / 4 / (2 * kLink));
  // The book's own answer without wraparound: 3 hops of 8.4 MB, 560 us.
  EXPECT_DOUBLE_EQ(Time(Op::kAllGather, "8x4", {1}, CostModel::kNoWrap), 3 * (kV / 4) / kLink);
  EXPECT_NEAR(Time(Op::kAllGather, "8x4", {1}, CostModel::kNoWrap), 560e-6, 1e-6);
}

TEST(CollectiveFormulaTest, AllReduceIsTwiceAndAxesAddUp) {
  for (CostModel model : {CostModel::kBook, CostModel::kRing, CostModel::kNoWrap}) {
    EXPECT_DOUBLE_EQ(Time(Op::kAllReduce, "8x4", {0}, model),
                     2 * Time(Op::kReduceScatter, "8x4", {0}, model));
  }
  EXPECT_DOUBLE_EQ(Time(Op::kAllGather, "8x4", {0, 1}, CostModel::kBook), kV / (4 * kLink));
}

// sharding_rules.md, section 3: V/(4 W) on a ring, V max/(4 N W) on a torus, twice on a line.
TEST(CollectiveFormulaTest, AllToAll) {
  EXPECT_DOUBLE_EQ(Time(Op::kAllToAll, "8x4", {0}, CostModel::kBook), kV / (4 * 2 * kLink));
  EXPECT_DOUBLE_EQ(Time(Op::kAllToAll, "8x4", {0, 1}, CostModel::kBook),
                   kV * 8 / (4 * 32 * 2 * kLink));
  EXPECT_DOUBLE_EQ(Time(Op::kAllToAll, "8x4", {0}, CostModel::kNoWrap),
                   2 * Time(Op::kAllToAll, "8x4", {0}, CostModel::kBook));
}

TEST(CollectiveFormulaTest, WraparoundOfTheChip) {
  // v5e wraps only on axes of 16; of the 8x16 slice the long one.
  EXPECT_DOUBLE_EQ(Time(Op::kAllGather, "8x16", {1}, CostModel::kChip), kV * 15 / 16 / (2 * kLink));
  EXPECT_DOUBLE_EQ(Time(Op::kAllGather, "8x16", {0}, CostModel::kChip), kV * 7 / 8 / kLink);
  Hardware cubes = V5e();
  cubes.interconnect.dimensions = 3;
  cubes.interconnect.wraparound = Interconnect::Wraparound::kWholeCubes;
  EXPECT_DOUBLE_EQ(Time(Op::kAllGather, "4x4x8", {2}, CostModel::kChip, cubes),
                   kV * 7 / 8 / (2 * kLink));
  EXPECT_DOUBLE_EQ(Time(Op::kAllGather, "2x4x4", {2}, CostModel::kChip, cubes), kV * 3 / 4 / kLink);
  // 4x4 is taken as part of a cube, on whose slice of 4x4x4 all dimensions close.
  EXPECT_DOUBLE_EQ(Time(Op::kAllGather, "4x4", {0}, CostModel::kChip, cubes),
                   kV * 3 / 4 / (2 * kLink));
  // A logical axis over two physical dimensions has the links of both.
  EXPECT_DOUBLE_EQ(Time(Op::kAllGather, "X=4x4,Y=4", {0}, CostModel::kChip, cubes),
                   kV * 15 / 16 / (4 * kLink));
}

TEST(CollectiveFormulaTest, HopsAreAFloor) {
  const MeshShape mesh = *ParseMeshShape("16x16");
  const Hardware hardware = V5e();
  const CollectiveFormula cost(hardware, mesh, CostModel::kChip, std::nullopt);
  EXPECT_DOUBLE_EQ(cost.Of(Op::kAllGather, {0}, 256).total(), 8 * 1e-6);
  EXPECT_DOUBLE_EQ(cost.Of(Op::kAllGather, {0, 1}, 256).total(), 16 * 1e-6);
  EXPECT_DOUBLE_EQ(cost.Of(Op::kAllReduce, {0}, 256).total(), 2 * 8 * 1e-6);
  // The named models count bytes only, unless told a latency.
  EXPECT_DOUBLE_EQ(Time(Op::kAllGather, "16x16", {0}, CostModel::kBook), kV / (2 * kLink));
  const CollectiveFormula slow(hardware, mesh, CostModel::kBook, 1e-3);
  EXPECT_DOUBLE_EQ(slow.Of(Op::kAllGather, {0}, 256).total(), 8 * 1e-3);
}

// sharding_rules.md, section 9: V(N-1)/(N W) in a node, the node's network beyond.
TEST(CollectiveFormulaTest, Switch) {
  Hardware h100;
  h100.link = BytesPerSecond(450e9);
  h100.scale_out = BytesPerSecond(50e9);
  h100.interconnect.kind = Interconnect::Kind::kSwitch;
  h100.interconnect.domain_chips = 8;
  h100.interconnect.latency = Seconds(0);
  EXPECT_DOUBLE_EQ(Time(Op::kAllGather, "X=8", {0}, CostModel::kChip, h100), kV * 7 / 8 / 450e9);
  EXPECT_DOUBLE_EQ(Time(Op::kAllGather, "X=8", {0}, CostModel::kBook, h100), kV / 450e9);
  EXPECT_DOUBLE_EQ(Time(Op::kAllToAll, "X=8", {0}, CostModel::kBook, h100), kV / (8 * 450e9));
  // 32 nodes of 8: 31 of 32 parts of the array come over the node's 400 GB/s; with 4 nodes the
  // switch inside the node takes longer.
  EXPECT_DOUBLE_EQ(Time(Op::kAllGather, "X=256", {0}, CostModel::kChip, h100),
                   kV * 31 / 32 / 400e9);
  EXPECT_DOUBLE_EQ(Time(Op::kAllGather, "X=32", {0}, CostModel::kChip, h100), kV * 7 / 8 / 450e9);
  // With the inner axis in the node each chip has its own 50 GB/s.
  EXPECT_DOUBLE_EQ(Time(Op::kAllGather, "X=4,Y=8", {0}, CostModel::kChip, h100), kV * 3 / 4 / 50e9);
  // With X innermost it is inside the node.
  const MeshShape mesh = *ParseMeshShape("X=4,Y=8");
  const CollectiveFormula x_first(h100, mesh, CostModel::kChip, std::nullopt, {0, 1});
  EXPECT_DOUBLE_EQ(x_first.Of(Op::kAllGather, {0}, kV).total(), kV * 3 / 4 / 450e9);
  // X and Z of X=2,Y=4,Z=2 are 2 chips in each of 2 nodes, whatever is between them.
  EXPECT_DOUBLE_EQ(Time(Op::kAllGather, "X=2,Y=4,Z=2", {0, 2}, CostModel::kChip, h100),
                   kV / 2 / (2 * 50e9));
  h100.scale_out = BytesPerSecond(0);
  EXPECT_TRUE(std::isnan(Time(Op::kAllGather, "X=16", {0}, CostModel::kChip, h100)));
}

TEST(CollectiveFormulaTest, SentBytes) {
  EXPECT_DOUBLE_EQ(SentBytes(Op::kAllGather, 4, 100), 75);
  EXPECT_DOUBLE_EQ(SentBytes(Op::kReduceScatter, 4, 100), 75);
  EXPECT_DOUBLE_EQ(SentBytes(Op::kAllReduce, 4, 100), 150);
  EXPECT_DOUBLE_EQ(SentBytes(Op::kAllToAll, 4, 100), 100 * 3 / 16.0);
  EXPECT_DOUBLE_EQ(SentBytes(Op::kSlice, 4, 100), 0);
}

}  // namespace
}  // namespace meshstep::einsum
