// Colour refinement of units: what groups and links tell apart stays apart, the rest is one, and
// one group stands for the bytes of all.

#include "strategies/step/unit_classes.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "sim/cost/collective_model.h"

namespace meshstep {
namespace {

UnitGroup Group(std::vector<int> members, std::vector<LinkDemand> demands, int kind = 0) {
  UnitGroup group;
  group.kind = kind;
  group.members = std::move(members);
  group.cost.phases.push_back({Time(1), std::move(demands), Bytes(1)});
  return group;
}

// Units 0 to 3 in a line, each pair with a link of its own.
std::vector<UnitGroup> Line(double last_bytes) {
  return {Group({0, 1}, {{0, Bytes(8)}}), Group({1, 2}, {{1, Bytes(8)}}),
          Group({2, 3}, {{2, Bytes(last_bytes)}})};
}

constexpr int kAlike[] = {0, 0, 0, 0};

TEST(UnitClasses, EndsOfALineAreAlike) {
  for (const double bytes : {8.0, 8.0 * (1 + 1e-15)}) {
    const std::vector<UnitGroup> groups = Line(bytes);
    const UnitClasses classes = RefineUnits(kAlike, std::span(kAlike).first(3), groups);
    EXPECT_EQ(classes.unit, (std::vector<int>{0, 1, 1, 0}));
    EXPECT_EQ(classes.link, (std::vector<int>{0, 1, 0}));
    EXPECT_EQ(classes.group, (std::vector<int>{0, 1, 0}));
    const std::vector<UnitGroup> merged = MergeGroups(classes, groups);
    ASSERT_EQ(merged.size(), 2U);
    EXPECT_EQ(merged[0].members, (std::vector<int>{0, 1}));
    EXPECT_EQ(merged[1].members, (std::vector<int>{1}));
  }
}

TEST(UnitClasses, BytesKindsAndFirstColoursTellApart) {
  EXPECT_EQ(RefineUnits(kAlike, std::span(kAlike).first(3), Line(9)).unit,
            (std::vector<int>{0, 1, 2, 3}));
  std::vector<UnitGroup> kinds = Line(8);
  kinds[2].kind = 1;
  EXPECT_EQ(RefineUnits(kAlike, std::span(kAlike).first(3), kinds).unit,
            (std::vector<int>{0, 1, 2, 3}));
  const int stages[] = {0, 0, 0, 1}, links[] = {0, 0, 1};
  EXPECT_EQ(RefineUnits(stages, std::span(kAlike).first(3), Line(8)).unit,
            (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(RefineUnits(kAlike, links, Line(8)).unit, (std::vector<int>{0, 1, 2, 3}));
}

// Two groups of one class on one link: the one that stands for them loads it with the bytes of
// both.
TEST(UnitClasses, GroupsOfAClassShareTheirLinks) {
  const std::vector<UnitGroup> groups = {Group({0, 1}, {{0, Bytes(8)}, {1, Bytes(3)}}),
                                         Group({2, 3}, {{0, Bytes(8)}, {2, Bytes(3)}})};
  const UnitClasses classes = RefineUnits(kAlike, std::span(kAlike).first(3), groups);
  EXPECT_EQ(classes.unit, (std::vector<int>{0, 0, 0, 0}));
  EXPECT_EQ(classes.link, (std::vector<int>{0, 1, 1}));
  const std::vector<UnitGroup> merged = MergeGroups(classes, groups);
  ASSERT_EQ(merged.size(), 1U);
  const std::vector<LinkDemand>& demands = merged[0].cost.phases[0].demands;
  ASSERT_EQ(demands.size(), 2U);
  EXPECT_EQ(demands[0].bytes, Bytes(16));
  EXPECT_EQ(demands[1].bytes, Bytes(3));
  EXPECT_EQ(merged[0].cost.phases[0].weight, Bytes(1));
}

// Who sends and who receives differ, though each does it in one group.
TEST(UnitClasses, RolesTellApart) {
  std::vector<UnitGroup> groups = {Group({0, 1}, {}), Group({2, 3}, {})};
  for (UnitGroup& group : groups) group.ordered = true;
  EXPECT_EQ(RefineUnits(kAlike, {}, groups).unit, (std::vector<int>{0, 1, 0, 1}));
}

}  // namespace
}  // namespace meshstep
