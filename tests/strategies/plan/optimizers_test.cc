// State of every optimizer, from its paper or the code that keeps it.

#include "strategies/plan/optimizers.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace meshstep {
namespace {

constexpr double kBf16 = 2, kFp32 = 4;

double State(const char* name, double parameter, bool matrix = false) {
  const OptimizerKind* kind = FindOptimizer(name);
  EXPECT_NE(kind, nullptr) << name;
  if (kind == nullptr) return 0;
  return matrix ? kind->MatrixStateBytes(parameter) : kind->StateBytes(parameter);
}

TEST(Optimizers, StateOfAnElement) {
  // Moments in fp32 and the value in fp32 (ZeRO, arXiv 1910.02054 section 3.1: K = 12).
  EXPECT_EQ(State("adam-fp32", kBf16), 4 + 4 + 4);
  EXPECT_EQ(State("adam-fp32", kFp32), 4 + 4);
  EXPECT_EQ(State("adam-fp32-no-master", kBf16), 8);
  EXPECT_EQ(State("adam-bf16", kBf16), 2 + 2);
  EXPECT_EQ(State("adam-bf16-master", kBf16), 2 + 2 + 4);
  // A bf16 parameter is the first half of its fp32 value; the other half is kept.
  EXPECT_EQ(State("adam-fp32-remainder", kBf16), 4 + 4 + 2);
  EXPECT_EQ(State("adam-bf16-remainder", kBf16), 2 + 2 + 2);
  // One byte a moment, an fp32 scale for 256 of them.
  EXPECT_EQ(State("adam-8bit", kBf16), 2 * (1 + 4.0 / 256));
  EXPECT_EQ(State("adam-8bit-master", kBf16), 2 * (1 + 4.0 / 256) + 4);
  // One moment.
  EXPECT_EQ(State("lion", kBf16), 4 + 4);
  EXPECT_EQ(State("lion-bf16", kBf16), 2);
  EXPECT_EQ(State("sgd", kBf16), 0);
  EXPECT_EQ(State("sgd-momentum", kBf16), 4 + 4);
}

TEST(Optimizers, StateOfMatrices) {
  EXPECT_EQ(State("muon", kBf16, true), 4 + 4);
  EXPECT_EQ(State("muon", kBf16), State("adam-fp32", kBf16));
  // Rows and columns are not counted by element.
  EXPECT_EQ(State("adafactor", kBf16, true), 4);
  EXPECT_EQ(State("adafactor", kBf16), 4 + 4);
}

TEST(Optimizers, NamesAreDistinctAndHaveSources) {
  std::set<std::string_view> names;
  for (const OptimizerKind& kind : Optimizers()) {
    EXPECT_TRUE(names.insert(kind.name).second) << kind.name;
    EXPECT_FALSE(kind.source.empty()) << kind.name;
  }
  EXPECT_EQ(FindOptimizer("adam"), nullptr);
}

}  // namespace
}  // namespace meshstep
