// Every schedule: each action once, dependencies kept, bubble and live activations as
// its paper says on equal stages.

#include "strategies/plan/schedules/schedule.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "sim/engine/engine.h"

namespace meshstep {
namespace {

using Kind = Action::Kind;

struct Case {
  const PublishedSchedule* schedule;
  Pipeline pipeline;
  std::string Name() const {
    return absl::StrCat(std::string(schedule->name()), " p=", pipeline.stages,
                        " v=", pipeline.virtual_stages, " m=", pipeline.micro_batches,
                        pipeline.pairs ? " in pairs" : "");
  }
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const PublishedSchedule* s : Schedules()) {
    for (const int p : {1, 2, 3, 4, 6, 8}) {
      for (const int v : {1, 2, 3}) {
        for (const std::int64_t m : {1, 2, 4, 6, 8, 16, 24}) {
          const Pipeline pipeline{p, v, m};
          if (!s->Check(pipeline).ok()) continue;
          cases.push_back({s, pipeline});
          if (s->Pairs(pipeline)) cases.push_back({s, {p, v, m, true}});
        }
      }
    }
  }
  return cases;
}

TEST(Schedules, HaveCases) {
  std::set<std::string_view> seen;
  for (const Case& c : Cases()) seen.insert(c.schedule->name());
  EXPECT_EQ(seen.size(), Schedules().size());
}

TEST(Schedules, PlacesAndPartsAgree) {
  for (const Case& c : Cases()) {
    for (int part = 0; part < c.schedule->Parts(c.pipeline); ++part) {
      for (const std::int64_t i : {std::int64_t{0}, c.pipeline.micro_batches - 1}) {
        const ChunkPlace place = c.schedule->PlaceOf(part, i, c.pipeline);
        EXPECT_EQ(c.schedule->PartOf(place, c.pipeline), part) << c.Name();
        EXPECT_LT(place.stage, c.pipeline.stages);
        EXPECT_LT(place.chunk, c.schedule->Chunks(place.stage, c.pipeline));
      }
    }
  }
}

// Each (part, micro-batch) has one forward and either one backward or one of each half, where
// PlaceOf says; on a stage the forward comes first and the weights' half last.
TEST(Schedules, EveryActionOnceAndInOrder) {
  for (const Case& c : Cases()) {
    std::map<std::pair<int, std::int64_t>, std::vector<Kind>> seen;
    for (int stage = 0; stage < c.pipeline.stages; ++stage) {
      for (const Action& a : c.schedule->Actions(stage, c.pipeline)) {
        const ChunkPlace place{stage, a.chunk};
        const int part = c.schedule->PartOf(place, c.pipeline);
        ASSERT_EQ(c.schedule->PlaceOf(part, a.micro_batch, c.pipeline), place) << c.Name();
        seen[{part, a.micro_batch}].push_back(a.kind);
      }
    }
    ASSERT_EQ(static_cast<std::int64_t>(seen.size()),
              c.schedule->Parts(c.pipeline) * c.pipeline.micro_batches)
        << c.Name();
    const std::vector<Kind> whole = {Kind::kForward, Kind::kBackward};
    const std::vector<Kind> split = {Kind::kForward, Kind::kBackwardInput, Kind::kBackwardWeight};
    for (const auto& [key, kinds] : seen) {
      ASSERT_TRUE(kinds == whole || kinds == split) << c.Name() << " part " << key.first;
    }
  }
}

std::size_t At(std::int64_t i) { return static_cast<std::size_t>(i); }

double TimeOf(Kind kind, const StageTimes& t) {
  if (kind == Kind::kForward) return t.forward;
  return (kind != Kind::kBackwardWeight ? t.backward_input : 0) +
         (kind != Kind::kBackwardInput ? t.backward_weight : 0);
}

// Runs the schedule on equal stages (times per stage and micro-batch, split over the parts that a
// micro-batch passes on it) with free transfers.
Run Execute(const Case& c, const StageTimes& times) {
  const Pipeline& p = c.pipeline;
  TaskGraph graph;
  const int parts = c.schedule->Parts(p);
  const double share = static_cast<double>(p.stages) / parts;
  using Table = std::vector<std::vector<TaskId>>;
  Table forward(At(parts), std::vector<TaskId>(At(p.micro_batches), -1)), backward = forward;
  for (int s = 0; s < p.stages; ++s) {
    const StreamId stream = graph.AddStream();
    const std::vector<Action> actions = c.schedule->Actions(s, p);
    for (std::size_t n = 0; n < actions.size(); ++n) {
      // What runs together ends together.
      std::vector<Action> together = {actions[n]};
      while (together.back().with_next) together.push_back(actions[++n]);
      double time = 0;
      for (const Action& a : together) time += TimeOf(a.kind, times) * share;
      const TaskId task = graph.AddTimed(stream, Time(static_cast<std::int64_t>(time)), {});
      for (const Action& a : together) {
        if (a.kind == Kind::kBackwardWeight) continue;
        (a.kind == Kind::kForward
             ? forward
             : backward)[At(c.schedule->PartOf({s, a.chunk}, p))][At(a.micro_batch)] = task;
      }
    }
  }
  for (int k = 0; k < parts; ++k) {
    for (std::int64_t i = 0; i < p.micro_batches; ++i) {
      if (k > 0) graph.AddDependency(forward[At(k)][At(i)], forward[At(k - 1)][At(i)]);
      if (k + 1 < parts) graph.AddDependency(backward[At(k)][At(i)], backward[At(k + 1)][At(i)]);
      graph.AddDependency(backward[At(k)][At(i)], forward[At(k)][At(i)]);
    }
  }
  const StatusOr<Run> run = RunGraph(graph);
  EXPECT_TRUE(run.ok()) << c.Name() << ": " << run.status();
  return run.ok() ? *run : Run{};
}

TEST(Schedules, BubbleIsThePapers) {
  // The closed forms of ZB-V (arXiv 2401.10241 §6) and DualPipe are for F = B = W; the others hold
  // for any times with W <= B.
  const StageTimes equal{6000, 6000, 6000}, uneven{6000, 7200, 4800};
  for (const Case& c : Cases()) {
    const Pipeline& p = c.pipeline;
    if (p.micro_batches < p.stages) continue;  // the papers assume m >= p
    if (p.pairs) continue;                     // and nothing that runs together
    const bool v = c.schedule->name() == "zb-v";
    if (v && p.micro_batches < std::int64_t{2} * p.stages) continue;
    for (const StageTimes& t : {equal, uneven}) {
      const bool needs_equal = v || c.schedule->name() == "dualpipe";
      if (needs_equal && t.backward_weight != t.forward) continue;
      const double work =
          (t.forward + t.backward_input + t.backward_weight) * static_cast<double>(p.micro_batches);
      const double bubble = static_cast<double>(Execute(c, t).makespan.ps()) - work;
      EXPECT_NEAR(bubble, c.schedule->Bubble(p, t), 1e-6 * work) << c.Name();
    }
  }
}

// Megatron-Core combined_1f1b.py: from the end of the warm-up on, each forward goes with a backward
// of another micro-batch or chunk, and neither waits for the other.
TEST(Schedules, PairsAreOfForwardsAndBackwards) {
  int pairs = 0;
  for (const Case& c : Cases()) {
    if (!c.pipeline.pairs || c.schedule->name() == "dualpipe") continue;
    for (int stage = 0; stage < c.pipeline.stages; ++stage) {
      const std::vector<Action> actions = c.schedule->Actions(stage, c.pipeline);
      bool backward = false;
      for (std::size_t i = 0; i < actions.size(); ++i) {
        const Action& a = actions[i];
        if (a.kind == Kind::kForward && (backward || a.with_next)) {
          ASSERT_TRUE(a.with_next) << c.Name();
          ASSERT_EQ(actions[i + 1].kind, Kind::kBackward) << c.Name();
          EXPECT_FALSE(actions[i + 1].micro_batch == a.micro_batch &&
                       actions[i + 1].chunk == a.chunk)
              << c.Name();
          ++pairs;
        }
        backward |= a.kind == Kind::kBackward;
      }
    }
    EXPECT_GT(Execute(c, {6000, 6000, 6000}).makespan.ps(), 0) << c.Name();
  }
  EXPECT_GT(pairs, 0);
}

// Chunks of micro-batches of a stage between their forward and the end of their backward, at most.
std::int64_t CountLive(const Case& c, int stage) {
  std::int64_t live = 0, most = 0;
  for (const Action& a : c.schedule->Actions(stage, c.pipeline)) {
    if (a.kind == Kind::kForward) most = std::max(most, ++live);
    if (a.kind == Kind::kBackward || a.kind == Kind::kBackwardWeight) --live;
  }
  return most;
}

TEST(Schedules, LiveActivationsAreThePapers) {
  for (const Case& c : Cases()) {
    for (int s = 0; s < c.pipeline.stages; ++s) {
      EXPECT_EQ(CountLive(c, s), c.schedule->MostLive(s, c.pipeline)) << c.Name() << " stage " << s;
    }
  }
}

TEST(Schedules, RefuseWhatTheyCannotRun) {
  EXPECT_FALSE(FindSchedule("1f1b")->Check({4, 2, 8}).ok());
  EXPECT_FALSE(FindSchedule("gpipe")->Check({4, 2, 8}).ok());
  EXPECT_FALSE(FindSchedule("interleaved")->Check({4, 1, 8}).ok());
  EXPECT_FALSE(FindSchedule("interleaved")->Check({4, 2, 6}).ok());
  EXPECT_FALSE(FindSchedule("zb-h1")->Check({4, 2, 8}).ok());
  EXPECT_FALSE(FindSchedule("zb-v")->Check({4, 1, 8}).ok());
  EXPECT_FALSE(FindSchedule("dualpipe")->Check({3, 1, 8}).ok());
  EXPECT_FALSE(FindSchedule("dualpipe")->Check({4, 1, 6}).ok());
  EXPECT_FALSE(FindSchedule("dualpipe")->Check({4, 1, 9}).ok());
  EXPECT_EQ(FindSchedule("none-such"), nullptr);
}

}  // namespace
}  // namespace meshstep
