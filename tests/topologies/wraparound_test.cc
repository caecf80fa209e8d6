// Which dimensions close, by chip, and the slice that a mesh is taken to lie on.

#include "topologies/wraparound.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace meshstep {
namespace {

using testing::ElementsAre;
using Wraparound = Interconnect::Wraparound;

Interconnect Net(Wraparound rule, int dimensions) {
  Interconnect net;
  net.kind = Interconnect::Kind::kTorus;
  net.wraparound = rule;
  net.dimensions = dimensions;
  net.full_axis = 16;
  return net;
}

TEST(Wraps, ByTheRuleOfTheChip) {
  const Interconnect v5e = Net(Wraparound::kFullAxis, 2), v5p = Net(Wraparound::kWholeCubes, 3);
  EXPECT_THAT(WrapsOf(v5e, std::vector{8, 16}), ElementsAre(false, true));
  EXPECT_THAT(WrapsOf(v5p, std::vector{4, 8, 12}), ElementsAre(true, true, true));
  EXPECT_THAT(WrapsOf(v5p, std::vector{2, 4, 4}), ElementsAre(false, false, false));
  // Two neighbours are no ring.
  EXPECT_THAT(WrapsOf(Net(Wraparound::kAlways, 2), std::vector{2, 3}), ElementsAre(false, true));
}

TEST(SliceOfMesh, ClosesWhereTheMeshCan) {
  const Interconnect v5e = Net(Wraparound::kFullAxis, 2), v5p = Net(Wraparound::kWholeCubes, 3);
  EXPECT_THAT(SliceOfMesh(v5p, std::vector{4, 8}), ElementsAre(4, 8, 4));
  EXPECT_THAT(SliceOfMesh(v5p, std::vector{4}), ElementsAre(4, 4, 4));
  EXPECT_THAT(SliceOfMesh(v5p, std::vector{4, 1, 8}), ElementsAre(4, 4, 8));
  EXPECT_THAT(SliceOfMesh(v5p, std::vector{2, 8}), ElementsAre(2, 8, 1));
  EXPECT_THAT(SliceOfMesh(v5e, std::vector{16}), ElementsAre(16, 1));
}

TEST(NotOffered, OddSlicesAndThoseAboveTheLargestJob) {
  Interconnect v5p = Net(Wraparound::kWholeCubes, 3);
  v5p.largest_job_chips = 6144;
  EXPECT_THAT(NotOffered(v5p, std::vector{3, 5, 7}), testing::HasSubstr("not offered"));
  EXPECT_EQ(NotOffered(v5p, std::vector{16, 20, 28}),
            "has 8960 chips; the largest slice that is offered has 6144");
  const std::vector<std::vector<int>> offered = {{2, 2, 1}, {2, 4, 4}, {4, 8, 12}};
  for (const std::vector<int>& slice : offered) {
    EXPECT_EQ(NotOffered(v5p, slice), "");
  }
  EXPECT_THAT(NotOffered(Net(Wraparound::kFullAxis, 2), std::vector{3, 16}),
              testing::HasSubstr("power of two"));
}

}  // namespace
}  // namespace meshstep
