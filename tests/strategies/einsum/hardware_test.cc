#include "strategies/einsum/hardware.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "strategies/einsum/load_hardware.h"

namespace meshstep::einsum {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Hardware Load(const std::string& chip) {
  StatusOr<Hardware> hardware = LoadHardware(chip, RateSet::kBook);
  EXPECT_TRUE(hardware.ok()) << hardware.status();
  return *hardware;
}

std::vector<std::vector<bool>> RingsOf(const std::string& chip, const std::string& mesh) {
  return Rings(Load(chip), *ParseMeshShape(mesh));
}

// topologies/wraparound.h: cubes of 4 close, other dimensions of a v5p do not; a v5e closes at 16.
TEST(HardwareTest, RingsOfAMeshThatIsASliceOfItsOwn) {
  EXPECT_EQ(RingsOf("tpu-v5p", "X=4,Y=8"), (std::vector<std::vector<bool>>{{true}, {true}}));
  EXPECT_EQ(RingsOf("tpu-v5p", "X=4"), (std::vector<std::vector<bool>>{{true}}));
  EXPECT_EQ(RingsOf("tpu-v5p", "X=2,Y=8"), (std::vector<std::vector<bool>>{{false}, {false}}));
  EXPECT_EQ(RingsOf("tpu-v5p", "X=4x4,Y=4"),
            (std::vector<std::vector<bool>>{{true, true}, {true}}));
  EXPECT_EQ(RingsOf("tpu-v5e", "X=8,Y=16"), (std::vector<std::vector<bool>>{{false}, {true}}));
}

TEST(HardwareTest, ChipsFillNodesInTheOrderOfTheAxes) {
  const Hardware h100 = Load("h100-sxm");
  const MeshShape mesh = *ParseMeshShape("X=4,Y=4,Z=4");
  EXPECT_THAT(LocalSizes(h100, mesh, {}), ElementsAre(1, 2, 4));
  EXPECT_THAT(LocalSizes(h100, mesh, {0, 1, 2}), ElementsAre(4, 2, 1));
}

TEST(HardwareTest, SaysThePlacement) {
  EXPECT_EQ(PlacementOf(Load("tpu-v5p"), *ParseMeshShape("X=4,Y=8"), {}),
            "X a ring of 4, Y a ring of 8, on a slice of 4x8x4");
  EXPECT_EQ(PlacementOf(Load("tpu-v5e"), *ParseMeshShape("X=8"), {}),
            "X a line of 8, on a slice of 8x1");
  EXPECT_EQ(PlacementOf(Load("h100-sxm"), *ParseMeshShape("X=4,Y=4,Z=4"), {}),
            "Z inside a node of 8, Y 2 in each of 2 nodes, X 1 in each of 4 nodes "
            "(innermost first)");
}

TEST(HardwareTest, NotesWhatTheOrderCosts) {
  const Hardware h100 = Load("h100-sxm");
  const MeshShape mesh = *ParseMeshShape("X=4,Y=4,Z=4");
  EXPECT_THAT(PlacementNotes(h100, mesh, {}, {0}), ElementsAre(HasSubstr("--order=X,Z,Y")));
  EXPECT_THAT(PlacementNotes(h100, mesh, {0, 1, 2}, {0}), IsEmpty());
  EXPECT_THAT(PlacementNotes(h100, mesh, {}, {2}), IsEmpty());
}

TEST(HardwareTest, NotesLinesAndDimensionsThatATorusHasNot) {
  EXPECT_THAT(PlacementNotes(Load("tpu-v5e"), *ParseMeshShape("X=8,Y=16"), {}, {0}),
              ElementsAre(HasSubstr("X do not close")));
  EXPECT_THAT(PlacementNotes(Load("tpu-v5e"), *ParseMeshShape("X=16,Y=16"), {}, {0}), IsEmpty());
  EXPECT_THAT(PlacementNotes(Load("tpu-v5e"), *ParseMeshShape("X=16,Y=16,Z=16"), {}, {}),
              ElementsAre(HasSubstr("3 dimensions and the torus of tpu-v5e 2")));
}

// dgx-h100 is not tapered: 50 GB/s of each GPU at every tier (the cluster's file).
TEST(HardwareTest, AClusterGivesNodesAndTheRateOutOfThem) {
  for (const double chips : {16.0, 256.0, 4096.0}) {
    const StatusOr<Hardware> hardware = LoadClusterHardware("dgx-h100", chips, RateSet::kBook);
    ASSERT_TRUE(hardware.ok()) << hardware.status();
    EXPECT_EQ(hardware->interconnect.domain_chips, 8);
    EXPECT_DOUBLE_EQ(hardware->scale_out.value(), 50e9) << chips;
  }
  EXPECT_THAT(std::string(LoadClusterHardware("dgx", 8, RateSet::kBook).status().message()),
              HasSubstr("dgx-h100"));
  EXPECT_FALSE(LoadClusterHardware("dgx-h100", 1e9, RateSet::kBook).ok());
}

}  // namespace
}  // namespace meshstep::einsum
