// Documents in a sequence.

#include "strategies/model/packing.h"

#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace meshstep {
namespace {

using testing::ElementsAre;
using testing::Pair;

Packing Pack(std::int64_t sequence, const std::vector<DocumentLength>& lengths) {
  return Packing(sequence, lengths);
}

TEST(Packing, TakesLengthsInTurnByTheirWeights) {
  EXPECT_THAT(Pack(8, {{4, 1}, {1, 2}}).ends(), ElementsAre(1, 5, 6, 7, 8));
  EXPECT_THAT(Pack(8, {{3, 1}}).ends(), ElementsAre(3, 6, 8));
  EXPECT_THAT(Pack(8, {{100, 1}}).ends(), ElementsAre(8));
  EXPECT_THAT(Pack(8, {{3, 1}}).lengths(), ElementsAre(Pair(2, 1), Pair(3, 2)));
}

// Of 1,000 documents of each length two to one, the sequence has two to one.
TEST(Packing, HasTheMixOfTheWeights) {
  const Packing packing = Pack(1000 * (2 * 10 + 40), {{10, 2}, {40, 1}});
  EXPECT_THAT(packing.lengths(), ElementsAre(Pair(10, 2000), Pair(40, 1000)));
  EXPECT_DOUBLE_EQ(packing.MeanLength(), (2 * 10 * 10 + 40 * 40) / (2 * 10 + 40.0));
}

TEST(Packing, VisibleShare) {
  const Packing quarters = Pack(64, {{16, 1}});
  EXPECT_EQ(VisibleShare(64, 0, true, nullptr), 0.5);
  EXPECT_EQ(VisibleShare(64, 0, true, &quarters), 0.5 / 4);
  EXPECT_EQ(VisibleShare(64, 0, false, &quarters), 1.0 / 4);
  // A window of 4 of a document of 16: 4/16 (1 - 4/32) of its square.
  EXPECT_EQ(VisibleShare(64, 4, true, &quarters), 4.0 / 16 * (1 - 4.0 / 32) / 4);
  EXPECT_EQ(VisibleShare(64, 32, true, &quarters), 0.5 / 4);
}

}  // namespace
}  // namespace meshstep
