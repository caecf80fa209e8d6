#include "strategies/plan/schedule_table.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace meshstep {
namespace {

// A schedule as PyTorch would write it.
std::string Table(const Schedule& schedule, const Pipeline& pipeline) {
  std::string text;
  for (int s = 0; s < pipeline.stages; ++s) {
    for (const Action& a : schedule.Actions(s, pipeline)) {
      const char* kind = a.kind == Action::Kind::kForward         ? "F"
                         : a.kind == Action::Kind::kBackward      ? "B"
                         : a.kind == Action::Kind::kBackwardInput ? "I"
                                                                  : "W";
      absl::StrAppend(&text, schedule.PartOf({s, a.chunk}, pipeline), kind, a.micro_batch, ", ,");
    }
    text += "\n";
  }
  return text;
}

TEST(ScheduleTable, GivesBackWhatWasWritten) {
  for (const char* name : {"1f1b", "gpipe", "interleaved", "zb-h1", "zb-v"}) {
    const PublishedSchedule& schedule = *FindSchedule(name);
    const Pipeline pipeline{4, schedule.DefaultVirtualStages(), 8};
    const auto table = ParseScheduleTable("t.csv", Table(schedule, pipeline), 4, 8);
    ASSERT_TRUE(table.ok()) << table.status();
    EXPECT_EQ((*table)->Parts(pipeline), schedule.Parts(pipeline));
    for (int s = 0; s < 4; ++s) {
      EXPECT_EQ((*table)->Actions(s, pipeline), schedule.Actions(s, pipeline)) << name;
    }
    for (int part = 0; part < schedule.Parts(pipeline); ++part) {
      EXPECT_EQ((*table)->PlaceOf(part, 0, pipeline), schedule.PlaceOf(part, 0, pipeline));
    }
  }
}

TEST(ScheduleTable, BeforeWIsTheInputsHalf) {
  const auto table = ParseScheduleTable("t.csv", "0F0,RECV\n", 1, 1);
  EXPECT_FALSE(table.ok());
  const auto older = ParseScheduleTable("t.csv", "0F0,0SEND_F0,0B0,,0W0\n", 1, 1);
  ASSERT_TRUE(older.ok()) << older.status();
  const std::vector<Action> expected = {{Action::Kind::kForward, 0, 0},
                                        {Action::Kind::kBackwardInput, 0, 0},
                                        {Action::Kind::kBackwardWeight, 0, 0}};
  EXPECT_EQ((*older)->Actions(0, {1, 1, 1}), expected);
}

TEST(ScheduleTable, SaysWhatIsWrong) {
  const auto problem = [](const char* text) {
    const auto table = ParseScheduleTable("t.csv", text, 2, 1);
    return table.ok() ? std::string() : std::string(table.status().message());
  };
  EXPECT_EQ(problem("0F0,0B0\n1F0,1B0\n"), "");
  EXPECT_NE(problem("0F0,0X0\n1F0,1B0\n").find("t.csv:1: cell 2 is \"0X0\""), std::string::npos);
  EXPECT_NE(problem("0F0,0B1\n1F0,1B0\n").find("the plan has 1 micro-batches"), std::string::npos);
  EXPECT_NE(problem("0F0,0B0\n").find("has 1 lines"), std::string::npos);
  EXPECT_NE(problem("0F0,0B0\n0F0,0B0\n").find("t.csv:2: part 0 is on stage 0"), std::string::npos);
  EXPECT_NE(problem("0F0,0B0\n2F0,2B0\n").find("has no part 1"), std::string::npos);
  EXPECT_NE(problem("0F0\n1F0,1B0\n").find("micro-batch 0 of part 0 has 1 actions"),
            std::string::npos);
  EXPECT_NE(problem("0B0,0F0\n1F0,1B0\n").find("expected F, then B"), std::string::npos);
  EXPECT_NE(problem("0F0,1F0,1B0,0B0\n,\n").find("t.csv:2: stage 1 has no action"),
            std::string::npos);
  EXPECT_NE(problem("").find("has 0 lines"), std::string::npos);
}

}  // namespace
}  // namespace meshstep
