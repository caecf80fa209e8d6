#include "sim/engine/engine.h"

#include <map>
#include <numeric>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/sim/engine/slow_simulator.h"

namespace meshstep {
namespace {

using ::testing::HasSubstr;
using Random = std::mt19937_64;

int Uniform(Random& random, int low, int high) {
  return std::uniform_int_distribution<int>(low, high)(random);
}

TaskId Timed(TaskGraph* graph, StreamId stream, std::int64_t ps,
             const std::vector<TaskId>& dependencies = {}) {
  return graph->AddTimed(stream, Time(ps), dependencies);
}

TaskId Transfer(TaskGraph* graph, const std::vector<StreamId>& members, PatternId pattern,
                const std::vector<TaskId>& dependencies = {}) {
  return graph->AddTransfer(members, pattern, dependencies);
}

// Links of 1..4 bytes per ns, patterns of 0..3 phases with round numbers, so that many events fall
// on one instant.
void AddRandomNetwork(Random& random, TaskGraph* graph, std::vector<PatternId>* patterns) {
  const int links = Uniform(random, 1, 6);
  for (int i = 0; i < links; ++i) graph->AddLink(BytesPerSecond(1e9 * Uniform(random, 1, 4)));
  for (int i = 0; i < 6; ++i) {
    std::vector<Phase> phases(static_cast<std::size_t>(Uniform(random, 0, 3)));
    for (Phase& phase : phases) {
      phase.latency = Time(500 * Uniform(random, 0, 3));
      phase.weight = Uniform(random, 1, 60);
      for (int link = 0; link < links; ++link) {
        if (Uniform(random, 0, 2) > 0) continue;
        phase.demands.push_back({link, phase.weight * Uniform(random, 0, 3)});
      }
    }
    patterns->push_back(graph->AddPattern(std::move(phases), 150000 * Uniform(random, 0, 3)));
  }
}

// Any order of tasks on streams with dependencies on earlier tasks ends, so late dependencies are
// on tasks that were added earlier too.
TaskGraph RandomGraph(Random& random) {
  TaskGraph graph;
  std::vector<PatternId> patterns;
  AddRandomNetwork(random, &graph, &patterns);
  const int streams = Uniform(random, 1, 6);
  for (int i = 0; i < streams; ++i) graph.AddStream(Uniform(random, kNoProcessor, 1));
  const int tasks = Uniform(random, 1, 60);
  for (TaskId t = 0; t < tasks; ++t) {
    std::vector<TaskId> dependencies;
    for (int i = Uniform(random, 0, 2); i > 0 && t > 0; --i) {
      dependencies.push_back(Uniform(random, 0, t - 1));
    }
    if (Uniform(random, 0, 1) > 0) {
      Timed(&graph, Uniform(random, 0, streams - 1), 500 * Uniform(random, 0, 5), dependencies);
    } else {
      std::vector<StreamId> all(static_cast<std::size_t>(streams));
      std::iota(all.begin(), all.end(), 0);
      std::shuffle(all.begin(), all.end(), random);
      all.resize(static_cast<std::size_t>(Uniform(random, 1, std::min(3, streams))));
      Transfer(&graph, all, patterns[static_cast<std::size_t>(Uniform(random, 0, 5))],
               dependencies);
    }
    if (t > 0 && Uniform(random, 0, 3) == 0) graph.AddDependency(t, Uniform(random, 0, t - 1));
  }
  return graph;
}

// Time of a task alone on the network: a lower bound of what it takes.
Time Alone(const TaskGraph& graph, TaskId t) {
  if (graph.pattern(t) == kTimed) return graph.duration(t);
  Time total;
  for (const Phase& phase : graph.phases(graph.pattern(t))) {
    Seconds drain;
    for (const FlowDemand& d : phase.demands) {
      drain = std::max(drain, Bytes(d.bytes) / graph.links()[static_cast<std::size_t>(d.link)]);
    }
    total += phase.latency + Time::RoundUp(drain);
  }
  return total;
}

TEST(EngineTest, RandomGraphsAgreeWithSlowSimulatorToThePicosecond) {
  std::int64_t flows = 0, shared = 0;
  for (std::uint64_t seed = 0; seed < 3000; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const TaskGraph graph = RandomGraph(random);
    const auto run = RunGraph(graph);
    ASSERT_TRUE(run.ok()) << run.status();
    const SlowRun truth = SlowSimulator(graph).Run();
    ASSERT_EQ(run->start, truth.start);
    ASSERT_EQ(run->end, truth.end);
    flows += run->flows;
    for (TaskId t = 0; t < graph.tasks(); ++t) {
      const auto i = static_cast<std::size_t>(t);
      if (run->end[i] - run->start[i] > Alone(graph, t)) ++shared;
    }
  }
  EXPECT_GT(flows, 10000);
  EXPECT_GT(shared, 1000) << "too few flows met others for this test to mean anything";
}

TEST(EngineTest, MakespanIsAtLeastCriticalPathAndWorkOverCapacity) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const TaskGraph graph = RandomGraph(random);
    const auto run = RunGraph(graph);
    ASSERT_TRUE(run.ok());
    std::vector<Time> earliest_end;
    std::vector<Time> stream_work(static_cast<std::size_t>(graph.streams()));
    std::vector<double> link_bytes(graph.links().size(), 0);
    for (TaskId t = 0; t < graph.tasks(); ++t) {
      Time start;
      const auto after = [&](TaskId d) {
        start = std::max(start, earliest_end[static_cast<std::size_t>(d)]);
      };
      for (const TaskId d : graph.dependencies(t)) after(d);
      for (const auto& e : graph.late_dependencies()) {
        if (e.task == t) after(e.on);
      }
      earliest_end.push_back(start + Alone(graph, t));
      ASSERT_GE(run->end[static_cast<std::size_t>(t)], earliest_end.back());
      for (const StreamId s : graph.members(t)) {
        stream_work[static_cast<std::size_t>(s)] += Alone(graph, t);
      }
      if (graph.pattern(t) == kTimed) continue;
      for (const Phase& phase : graph.phases(graph.pattern(t))) {
        for (const FlowDemand& d : phase.demands) {
          link_bytes[static_cast<std::size_t>(d.link)] += d.bytes;
        }
      }
    }
    for (const Time work : stream_work) ASSERT_GE(run->makespan, work);
    for (std::size_t l = 0; l < link_bytes.size(); ++l) {
      ASSERT_GE(run->makespan, Time::RoundUp(Bytes(link_bytes[l]) / graph.links()[l]));
    }
    ASSERT_EQ(run->makespan, *std::max_element(run->end.begin(), run->end.end()));
  }
}

TEST(EngineTest, SameGraphTwiceGivesTheSameRun) {
  Random random(7);
  const TaskGraph graph = RandomGraph(random);
  const auto a = RunGraph(graph);
  const auto b = RunGraph(graph);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(a->start, b->start);
  EXPECT_EQ(a->end, b->end);
  EXPECT_EQ(a->events, b->events);
  EXPECT_EQ(a->network_solves, b->network_solves);
}

// Adds the tasks of `graph` in another order that keeps the order on streams and of dependencies.
TaskGraph Reordered(const TaskGraph& graph, Random& random, std::vector<TaskId>* new_id) {
  const auto n = static_cast<std::size_t>(graph.tasks());
  std::vector<std::vector<TaskId>> before(n);
  for (TaskId t = 0; t < graph.tasks(); ++t) {
    auto& b = before[static_cast<std::size_t>(t)];
    b.assign(graph.dependencies(t).begin(), graph.dependencies(t).end());
    for (TaskId earlier = 0; earlier < t; ++earlier) {
      for (const StreamId s : graph.members(t)) {
        if (std::ranges::count(graph.members(earlier), s) > 0) b.push_back(earlier);
      }
    }
  }
  TaskGraph out;
  for (const BytesPerSecond c : graph.links()) out.AddLink(c);
  for (StreamId s = 0; s < graph.streams(); ++s) out.AddStream(graph.processor(s));
  std::map<PatternId, PatternId> patterns;
  new_id->assign(n, -1);
  const auto is_added = [&](TaskId t) { return (*new_id)[static_cast<std::size_t>(t)] >= 0; };
  while (out.tasks() < graph.tasks()) {
    const TaskId t = Uniform(random, 0, graph.tasks() - 1);
    if (is_added(t) || !std::ranges::all_of(before[static_cast<std::size_t>(t)], is_added))
      continue;
    std::vector<TaskId> dependencies;
    for (const TaskId d : graph.dependencies(t)) {
      dependencies.push_back((*new_id)[static_cast<std::size_t>(d)]);
    }
    const PatternId p = graph.pattern(t);
    if (p != kTimed && patterns.count(p) == 0) {
      patterns[p] = out.AddPattern(graph.phases(p), graph.taken(p));
    }
    (*new_id)[static_cast<std::size_t>(t)] =
        p == kTimed ? out.AddTimed(graph.members(t)[0], graph.duration(t), dependencies)
                    : out.AddTransfer(graph.members(t), patterns[p], dependencies);
  }
  for (const auto& e : graph.late_dependencies()) {
    out.AddDependency((*new_id)[static_cast<std::size_t>(e.task)],
                      (*new_id)[static_cast<std::size_t>(e.on)]);
  }
  return out;
}

TEST(EngineTest, OrderOfIndependentTasksDoesNotMatter) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const TaskGraph graph = RandomGraph(random);
    std::vector<TaskId> new_id;
    const auto a = RunGraph(graph);
    const auto b = RunGraph(Reordered(graph, random, &new_id));
    ASSERT_TRUE(a.ok() && b.ok());
    for (std::size_t t = 0; t < a->start.size(); ++t) {
      ASSERT_EQ(a->start[t], b->start[static_cast<std::size_t>(new_id[t])]);
      ASSERT_EQ(a->end[t], b->end[static_cast<std::size_t>(new_id[t])]);
    }
    ASSERT_EQ(a->makespan, b->makespan);
  }
}

// A collective waits for its last member, and holds the first one's stream meanwhile.
TEST(EngineTest, TransferIsARendezvousOfItsMembers) {
  TaskGraph graph;
  const std::int32_t link = graph.AddLink(BytesPerSecond(2e9));
  const PatternId pattern = graph.AddPattern({{Time(300), {{link, 4}}, 4}});
  const StreamId a = graph.AddStream(), b = graph.AddStream();
  Timed(&graph, a, 1000);
  Timed(&graph, b, 5000);
  const TaskId transfer = Transfer(&graph, {a, b}, pattern);
  const TaskId after = Timed(&graph, a, 10);
  const auto run = RunGraph(graph);
  ASSERT_TRUE(run.ok());
  EXPECT_EQ(run->start[static_cast<std::size_t>(transfer)], Time(5000));
  // 300 ps of latency, then 4 bytes at 2 GB/s = 2000 ps.
  EXPECT_EQ(run->end[static_cast<std::size_t>(transfer)], Time(5000 + 300 + 2000));
  EXPECT_EQ(run->start[static_cast<std::size_t>(after)], Time(7300));
  EXPECT_EQ(run->makespan, Time(7310));
  EXPECT_EQ(run->flows, 1);
}

// Two equal flows on one link: half the rate while both run. The first has 3000 bytes left when
// the second comes at 1 us; they share 1 GB/s until the second's 1000 bytes are through at 3 us.
TEST(EngineTest, FlowsShareALink) {
  TaskGraph graph;
  const std::int32_t link = graph.AddLink(BytesPerSecond(1e9));
  const PatternId large = graph.AddPattern({{Time(0), {{link, 4000}}, 4000}});
  const PatternId small = graph.AddPattern({{Time(0), {{link, 1000}}, 1000}});
  const StreamId a = graph.AddStream(), b = graph.AddStream();
  const TaskId first = Transfer(&graph, {a}, large);
  Timed(&graph, b, 1000000);
  const TaskId second = Transfer(&graph, {b}, small);
  const auto run = RunGraph(graph);
  ASSERT_TRUE(run.ok());
  EXPECT_EQ(run->end[static_cast<std::size_t>(second)], Time(3000000));
  EXPECT_EQ(run->end[static_cast<std::size_t>(first)], Time(5000000));
}

TEST(EngineTest, EmptyGraph) {
  const auto run = RunGraph(TaskGraph());
  ASSERT_TRUE(run.ok());
  EXPECT_EQ(run->makespan, Time(0));
  EXPECT_EQ(run->events, 0);
}

// A transfer without members or phases is a barrier; a member named twice is one member.
TEST(EngineTest, BarriersAndRepeatedMembers) {
  TaskGraph graph;
  const PatternId nothing = graph.AddPattern({});
  const StreamId a = graph.AddStream(), b = graph.AddStream();
  const TaskId x = Timed(&graph, a, 100), y = Timed(&graph, b, 200);
  const TaskId barrier = Transfer(&graph, {}, nothing, {x, y});
  const TaskId twice = Transfer(&graph, {a, b, a}, nothing, {barrier});
  const auto run = RunGraph(graph);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->end[static_cast<std::size_t>(barrier)], Time(200));
  EXPECT_EQ(run->end[static_cast<std::size_t>(twice)], Time(200));
}

// Each rank sends before it receives, and each send waits for the other rank to receive.
TEST(EngineTest, DeadlockNamesStreamsAndWhatTheyWaitFor) {
  TaskGraph graph;
  const PatternId pattern = graph.AddPattern({});
  const StreamId s0 = graph.AddStream(), s1 = graph.AddStream();
  const TaskId send0 = Timed(&graph, s0, 10), receive0 = Timed(&graph, s0, 10);
  const TaskId send1 = Timed(&graph, s1, 10), receive1 = Timed(&graph, s1, 10);
  const TaskId last = Transfer(&graph, {s0, s1}, pattern);
  graph.AddDependency(send0, receive1);
  graph.AddDependency(send1, receive0);
  GraphNames names;
  names.task = [&](TaskId t) {
    return t == send0      ? "send 0"
           : t == receive0 ? "receive 0"
           : t == send1    ? "send 1"
           : t == last     ? "last"
                           : "receive 1";
  };
  names.stream = [](StreamId s) { return "rank " + std::to_string(s); };
  const auto run = RunGraph(graph, names);
  EXPECT_EQ(run.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(run.status().message(),
            "deadlock: 5 of 5 tasks can never start\n"
            "\"send 0\" on rank 0 waits for \"receive 1\" on rank 1\n"
            "\"send 1\" on rank 1 waits for \"receive 0\" on rank 0");
}

TEST(EngineTest, DeadlockWithoutNamesOrMembers) {
  TaskGraph graph;
  const PatternId pattern = graph.AddPattern({});
  const TaskId a = Transfer(&graph, {}, pattern), b = Transfer(&graph, {}, pattern);
  graph.AddDependency(a, b);
  graph.AddDependency(b, a);
  const auto run = RunGraph(graph);
  EXPECT_EQ(run.status().message(),
            "deadlock: 2 of 2 tasks can never start\n"
            "\"task 0\" waits for \"task 1\"\n"
            "\"task 1\" waits for \"task 0\"");
}

TEST(EngineTest, TooLongIsAnError) {
  TaskGraph graph;
  const StreamId s = graph.AddStream();
  for (int i = 0; i < 8; ++i) graph.AddTimed(s, Time::Longest(), {});
  const auto run = RunGraph(graph);
  EXPECT_THAT(std::string(run.status().message()), HasSubstr("the longest that can be simulated"));
}

TEST(EngineTest, ManyPhases) {
  TaskGraph graph;
  const std::int32_t link = graph.AddLink(BytesPerSecond(1e12));
  const PatternId pattern =
      graph.AddPattern(std::vector<Phase>(100000, Phase{Time(1), {{link, 2}}, 2}));
  Transfer(&graph, {graph.AddStream()}, pattern);
  const auto run = RunGraph(graph);
  ASSERT_TRUE(run.ok());
  EXPECT_EQ(run->makespan, Time(100000 * (1 + 2)));
}

TEST(EngineDeathTest, BrokenInvariants) {
  TaskGraph graph;
  const StreamId s = graph.AddStream();
  const std::int32_t link = graph.AddLink(BytesPerSecond(1));
  EXPECT_DEATH(graph.AddPattern({{Time(0), {{7, 1}}, 1}}), "link 7");
  EXPECT_DEATH(graph.AddPattern({{Time(0), {{link, 1}, {link, 2}}, 1}}), "twice");
  EXPECT_DEATH(graph.AddPattern({{Time(0), {{link, -1}}, 1}}), "CHECK failed");
  EXPECT_DEATH(graph.AddPattern({{Time(-1), {}, 0}}), "CHECK failed");
  EXPECT_DEATH(Timed(&graph, s, -1), "CHECK failed");
  EXPECT_DEATH(Timed(&graph, s, 1, {0}), "dependency 0");
  EXPECT_DEATH(Timed(&graph, 9, 1), "stream 9");
}

}  // namespace
}  // namespace meshstep
