#include "sim/engine/recurrence.h"

#include <algorithm>
#include <optional>
#include <random>
#include <vector>

#include "gtest/gtest.h"
#include "sim/base/index.h"
#include "sim/engine/engine.h"

namespace meshstep {
namespace {

using Random = std::mt19937_64;

int Uniform(Random& random, int low, int high) {
  return std::uniform_int_distribution<int>(low, high)(random);
}

// A task of a copy; `here` and `before`: what it waits for in its copy and in the one before.
struct BodyTask {
  std::vector<StreamId> streams;
  int pattern;  // kTimed: takes `duration`
  Time duration;
  std::vector<int> here, before;
};

// Streams of up to two processors and of none, links that transfers share, and what one copy does.
struct Body {
  std::vector<ProcessorId> streams;
  std::vector<BytesPerSecond> links;
  std::vector<std::vector<Phase>> patterns;
  std::vector<BodyTask> tasks;
};

Body RandomBody(Random& random) {
  Body body;
  for (int i = Uniform(random, 2, 5); i > 0; --i) {
    body.streams.push_back(Uniform(random, kNoProcessor, 1));
  }
  for (int i = 0; i < 3; ++i) body.links.emplace_back(1e9 * Uniform(random, 1, 4));
  for (int i = 0; i < 4; ++i) {
    std::vector<Phase>& phases = body.patterns.emplace_back(Index(Uniform(random, 1, 2)));
    for (Phase& phase : phases) {
      phase.latency = Time(500 * Uniform(random, 0, 3));
      phase.weight = Uniform(random, 1, 60);
      for (int link = 0; link < 3; ++link) {
        if (Uniform(random, 0, 1) == 0) phase.demands.push_back({link, phase.weight});
      }
    }
  }
  const int streams = static_cast<int>(body.streams.size()), tasks = Uniform(random, 3, 12);
  for (int t = 0; t < tasks; ++t) {
    BodyTask& task = body.tasks.emplace_back();
    task.streams = {Uniform(random, 0, streams - 1)};
    task.pattern = Uniform(random, -2, 3);
    if (task.pattern < 0) {
      task.pattern = kTimed;
      task.duration = Time(Uniform(random, 1, 20000));
    } else if (const StreamId other = Uniform(random, 0, streams - 1); other != task.streams[0]) {
      task.streams.push_back(other);
    }
    if (t > 0 && Uniform(random, 0, 3) > 0) task.here = {Uniform(random, 0, t - 1)};
    if (Uniform(random, 0, 2) > 0) task.before = {Uniform(random, 0, tasks - 1)};
  }
  return body;
}

// Two tasks, copies of the body, and a task on each stream of a processor after the last copy.
TaskGraph GraphOf(const Body& body, int copies, Beats* beats = nullptr) {
  TaskGraph graph;
  for (const ProcessorId p : body.streams) graph.AddStream(p);
  for (const BytesPerSecond capacity : body.links) graph.AddLink(capacity);
  for (const std::vector<Phase>& phases : body.patterns) graph.AddPattern(phases, 300000);
  graph.AddTimed(0, Time(1234), {});
  graph.AddTimed(1, Time(4321), {});
  const auto n = static_cast<TaskId>(body.tasks.size());
  for (int c = 0; c < copies; ++c) {
    const TaskId first = graph.tasks();
    for (const BodyTask& task : body.tasks) {
      std::vector<TaskId> after;
      for (const int i : task.here) after.push_back(first + i);
      for (const int i : task.before) {
        if (c > 0) after.push_back(first - n + i);
      }
      if (task.pattern == kTimed) {
        graph.AddTimed(task.streams.front(), task.duration, after);
      } else {
        graph.AddTransfer(task.streams, task.pattern, after);
      }
    }
    if (beats != nullptr) beats->marks.push_back(graph.tasks() - 1);
    if (beats != nullptr && c == 0) beats->steady = graph.tasks();
  }
  if (beats != nullptr) beats->common = graph.tasks();
  for (StreamId s = 0; s < graph.streams(); ++s) {
    if (graph.processor(s) == kNoProcessor) continue;
    const TaskId last = graph.tasks() - 1;
    graph.AddTimed(s, Time(100 * (s + 1)), {&last, 1});
  }
  return graph;
}

// What the sources do in a period must take no longer than the period.
bool SourcesKeepUp(const Body& body, const StateLog& log, const Recurrence& found) {
  std::vector<Time> work(body.streams.size());
  for (const BodyTask& task : body.tasks) {
    work[Index(task.streams.front())] += task.duration * (found.to - found.from);
  }
  for (std::size_t s = 0; s < work.size(); ++s) {
    if (log.IsSource(static_cast<StreamId>(s)) && work[s] > found.end - found.start) return false;
  }
  return true;
}

TEST(Recurrence, MoreCopiesTakeWholePeriodsMore) {
  Random random(11);
  int found_any = 0, longer = 0;
  for (int i = 0; i < 1500; ++i) {
    const Body body = RandomBody(random);
    Beats beats;
    const TaskGraph graph = GraphOf(body, 16, &beats);
    StateLog log(graph, beats.marks);
    const auto run = RunGraph(graph, {}, FlowNetwork::Sharing::kFair, &log);
    ASSERT_TRUE(run.ok());
    const std::optional<Recurrence> found =
        log.Find(beats, run->start, run->end,
                 [&](const Recurrence& r) { return SourcesKeepUp(body, log, r); });
    if (!found) continue;
    ++found_any;
    longer += found->to - found->from > 1 ? 1 : 0;
    for (const int periods : {1, 7}) {
      const TaskGraph more = GraphOf(body, 16 + periods * (found->to - found->from));
      const auto all = RunGraph(more);
      ASSERT_TRUE(all.ok());
      ASSERT_EQ(all->makespan, run->makespan + (found->end - found->start) * periods)
          << "body " << i << ", beats " << found->from << " and " << found->to;
    }
  }
  EXPECT_GT(found_any, 300);
  EXPECT_GT(longer, 0) << "some repeat after more than one copy";
}

// A stream that waits for nobody is ever further ahead, and no part of the state, unless it is what
// the others wait for.
TEST(Recurrence, SourcesMayRunAhead) {
  for (const int duration : {10, 100, 101}) {
    const Body body{{kNoProcessor, 0},
                    {},
                    {},
                    {{{0}, kTimed, Time(duration), {}, {}}, {{1}, kTimed, Time(100), {0}, {}}}};
    Beats beats;
    const TaskGraph graph = GraphOf(body, 80, &beats);
    StateLog log(graph, beats.marks);
    const auto run = RunGraph(graph, {}, FlowNetwork::Sharing::kFair, &log);
    ASSERT_TRUE(run.ok());
    EXPECT_TRUE(log.IsSource(0));
    EXPECT_FALSE(log.IsSource(1));
    const std::optional<Recurrence> found =
        log.Find(beats, run->start, run->end,
                 [&](const Recurrence& r) { return SourcesKeepUp(body, log, r); });
    ASSERT_EQ(found.has_value(), duration <= 100) << duration;
    if (!found) continue;
    EXPECT_EQ(found->end - found->start, Time(100) * (found->to - found->from));
  }
}

}  // namespace
}  // namespace meshstep
