#include "sim/base/release.h"

#include <gtest/gtest.h>

namespace meshstep {
namespace {

TEST(Release, NumbersAreNotWords) {
  EXPECT_TRUE(IsBefore("0.9", "0.10"));
  EXPECT_FALSE(IsBefore("0.10", "0.9"));
  EXPECT_TRUE(IsBefore("2.19", "2.19.3"));
  EXPECT_FALSE(IsBefore("2.19", "2.19"));
  EXPECT_TRUE(IsBefore("24.07", "24.12"));
}

// What has no first release is in all.
TEST(Release, NothingIsBeforeNone) { EXPECT_FALSE(IsBefore("2.19", "")); }

TEST(Release, NameAndRelease) {
  EXPECT_EQ(NameAndRelease("nccl@2.19"), std::pair(std::string("nccl"), std::string("2.19")));
  EXPECT_EQ(NameAndRelease("nccl"), std::pair(std::string("nccl"), std::string()));
}

}  // namespace
}  // namespace meshstep
