// Every schedule: each forward and backward once, dependencies kept, bubble and live activations as
// its paper says on equal stages.

#include <algorithm>
#include <map>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "sim/engine/engine.h"
#include "strategies/schedules/schedule.h"

namespace meshstep {
namespace {

struct Case {
  const Schedule* schedule;
  int p, v;
  std::int64_t m;
};

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const Schedule* s : Schedules()) {
    for (const int p : {1, 2, 3, 4, 8}) {
      for (const int v : {1, 2, 3}) {
        for (const std::int64_t m : {1, 2, 4, 6, 8, 24}) {
          if (s->Check(p, v, m).ok()) cases.push_back({s, p, v, m});
        }
      }
    }
  }
  return cases;
}

TEST(Schedules, EveryForwardAndBackwardOnce) {
  for (const Case& c : Cases()) {
    for (int stage = 0; stage < c.p; ++stage) {
      std::map<std::tuple<int, int, std::int64_t>, int> count;
      for (const Action& a : c.schedule->Actions(stage, c.p, c.v, c.m)) {
        ++count[{static_cast<int>(a.kind), a.chunk, a.micro_batch}];
      }
      ASSERT_EQ(count.size(), static_cast<std::size_t>(2 * c.v * c.m)) << c.schedule->name();
      for (const auto& [key, n] : count) ASSERT_EQ(n, 1);
    }
  }
}

// Runs the schedule with forwards of `f` and backwards of `b` per stage (split over its chunks) and
// free transfers.
Run Execute(const Case& c, Time f, Time b) {
  TaskGraph graph;
  const int stages = c.p * c.v;
  std::vector<std::vector<TaskId>> forward(static_cast<std::size_t>(stages)), backward = forward;
  for (auto* side : {&forward, &backward}) {
    for (auto& row : *side) row.assign(static_cast<std::size_t>(c.m), -1);
  }
  for (int s = 0; s < c.p; ++s) {
    const StreamId stream = graph.AddStream();
    for (const Action& a : c.schedule->Actions(s, c.p, c.v, c.m)) {
      const bool is_forward = a.kind == Action::Kind::kForward;
      const Time t((is_forward ? f : b).ps() / c.v);
      (is_forward ? forward : backward)[static_cast<std::size_t>(a.chunk * c.p + s)]
                                       [static_cast<std::size_t>(a.micro_batch)] =
                                           graph.AddTimed(stream, t, {});
    }
  }
  for (int k = 0; k < stages; ++k) {
    for (std::int64_t i = 0; i < c.m; ++i) {
      const auto at = static_cast<std::size_t>(k), mb = static_cast<std::size_t>(i);
      if (k > 0) graph.AddDependency(forward[at][mb], forward[at - 1][mb]);
      if (k + 1 < stages) graph.AddDependency(backward[at][mb], backward[at + 1][mb]);
      graph.AddDependency(backward[at][mb], forward[at][mb]);
    }
  }
  const StatusOr<Run> run = Simulate(graph);
  EXPECT_TRUE(run.ok()) << run.status();
  return run.ok() ? *run : Run{};
}

TEST(Schedules, BubbleIsThePapers) {
  for (const Case& c : Cases()) {
    if (c.m < c.p) continue;  // the papers assume m >= p
    const Time f(6000), b(12000);
    const Time work = (f + b) * c.m;
    const double bubble = static_cast<double>((Execute(c, f, b).makespan - work).ps()) /
                          static_cast<double>(work.ps());
    EXPECT_NEAR(bubble, c.schedule->BubbleFraction(c.p, c.v, c.m), 1e-9)
        << c.schedule->name() << " p=" << c.p << " v=" << c.v << " m=" << c.m;
  }
}

// Micro-batches of a chunk between their forward and their backward, at most.
std::int64_t MostLive(const Case& c, int stage) {
  std::int64_t live = 0, most = 0;
  for (const Action& a : c.schedule->Actions(stage, c.p, c.v, c.m)) {
    live += a.kind == Action::Kind::kForward ? 1 : -1;
    most = std::max(most, live);
  }
  return most;
}

TEST(Schedules, LiveActivationsAreThePapers) {
  for (const Case& c : Cases()) {
    for (int s = 0; s < c.p; ++s) {
      std::int64_t expected = 0;
      if (c.schedule->name() == "gpipe") {
        expected = c.m;  // arXiv 1811.06965 §2.3
      } else if (c.schedule->name() == "1f1b") {
        expected = std::min<std::int64_t>(c.m, c.p - s);  // arXiv 2006.09503 §2.2
      } else {
        // arXiv 2104.04473 §2.2.2: warm-up 2 (p - s - 1) + (v - 1) p, and one more in flight.
        expected = std::min<std::int64_t>(c.m * c.v, 2 * (c.p - s - 1) + (c.v - 1) * c.p + 1);
      }
      EXPECT_EQ(MostLive(c, s), expected) << c.schedule->name() << " stage " << s;
    }
  }
}

TEST(Schedules, RefuseWhatTheyCannotRun) {
  EXPECT_FALSE(FindSchedule("1f1b")->Check(4, 2, 8).ok());
  EXPECT_FALSE(FindSchedule("gpipe")->Check(4, 2, 8).ok());
  EXPECT_FALSE(FindSchedule("interleaved")->Check(4, 1, 8).ok());
  EXPECT_FALSE(FindSchedule("interleaved")->Check(4, 2, 6).ok());
  EXPECT_EQ(FindSchedule("none-such"), nullptr);
}

}  // namespace
}  // namespace meshstep
