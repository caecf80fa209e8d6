#include "sim/simulate/memory.h"

#include <random>

#include "gtest/gtest.h"
#include "tests/sim/simulate/hand_made_step.h"

namespace meshstep {
namespace {

constexpr MemoryBucket kActivations = MemoryBucket::kActivations;

TEST(Memory, WithoutEventsThePeakIsWhatIsHeldAllStep) {
  HandMadeStep step;
  const int u = step.AddUnit(0);
  step.Kernel(u, 10);
  step.step().resident[0] = {100, 200, 300.4, 0, 0};
  const std::vector<MemoryPeak> peaks = MemoryPeaks(step.step(), step.Simulated());
  ASSERT_EQ(peaks.size(), 1u);
  EXPECT_EQ(peaks[0].point.bytes, (MemoryBuckets{100, 200, 300, 0, 0}));
  EXPECT_EQ(peaks[0].point.total(), 600);
  EXPECT_EQ(peaks[0].point.time.ps(), 0);
}

TEST(Memory, ThePeakIsWhereTheCurveIsHighest) {
  HandMadeStep step;
  const int u = step.AddUnit(0);
  const TaskId f0 = step.Kernel(u, 10), f1 = step.Kernel(u, 10), b1 = step.Kernel(u, 20),
               b0 = step.Kernel(u, 20);
  step.step().resident[0] = {50, 0, 0, 0, 0};
  step.Memory(f0, false, u, kActivations, 7);
  step.Memory(f1, false, u, kActivations, 7);
  step.Memory(b1, false, u, MemoryBucket::kWorkspace, 3);
  step.Memory(b1, true, u, MemoryBucket::kWorkspace, -3);
  step.Memory(b1, true, u, kActivations, -7);
  step.Memory(b0, true, u, kActivations, -7);
  const meshstep::Run run = step.Simulated();
  const MemoryPeak peak = MemoryPeaks(step.step(), run)[0];
  EXPECT_EQ(peak.point.bytes, (MemoryBuckets{50, 0, 0, 14, 0, 0, 0, 3}));
  EXPECT_EQ(peak.point.time, run.start[static_cast<std::size_t>(b1)]);
  EXPECT_EQ(peak.task, b1);
  std::vector<std::int64_t> totals;
  for (const MemoryPoint& p : MemoryCurve(step.step(), run, u)) totals.push_back(p.total());
  EXPECT_EQ(totals, (std::vector<std::int64_t>{57, 64, 67, 57, 50}));
}

TEST(Memory, WhatIsGivenBackLeavesBeforeWhatIsTakenArrives) {
  HandMadeStep step;
  const int u = step.AddUnit(0);
  const TaskId a = step.Kernel(u, 10), b = step.Kernel(u, 10);
  step.Memory(a, false, u, kActivations, 5);
  step.Memory(b, false, u, kActivations, 6);  // at the same instant as the next line
  step.Memory(a, true, u, kActivations, -5);
  EXPECT_EQ(MemoryPeaks(step.step(), step.Simulated())[0].point.total(), 6);
}

TEST(Memory, FractionsOfBytesCancel) {
  HandMadeStep step;
  const int u = step.AddUnit(0);
  for (int i = 0; i < 100; ++i) {
    const TaskId task = step.Kernel(u, 1);
    step.Memory(task, false, u, kActivations, 1.0 / 3 + i * 0.5);
    step.Memory(task, true, u, kActivations, -(1.0 / 3 + i * 0.5));
  }
  EXPECT_EQ(MemoryCurve(step.step(), step.Simulated(), u).back().total(), 0);
}

TEST(Memory, UnitsAreSeparate) {
  HandMadeStep step;
  const int u = step.AddUnit(0), v = step.AddUnit(1);
  const TaskId a = step.Kernel(u, 10), b = step.Kernel(v, 10, {a});
  step.Memory(a, false, u, kActivations, 5);
  step.Memory(b, false, v, kActivations, 9);
  const std::vector<MemoryPeak> peaks = MemoryPeaks(step.step(), step.Simulated());
  EXPECT_EQ(peaks[0].point.total(), 5);
  EXPECT_EQ(peaks[1].point.total(), 9);
  EXPECT_EQ(peaks[1].task, b);
  EXPECT_EQ(peaks[1].point.time.ps(), 10);
}

// The peak is the maximum over all instants of what was taken and not yet given back.
TEST(Memory, ThePeakIsTheMaximumOverAllInstants) {
  std::mt19937 random(11);
  for (int round = 0; round < 200; ++round) {
    HandMadeStep step;
    const int u = step.AddUnit(0);
    std::vector<TaskId> tasks;
    for (int i = 0; i < 12; ++i) tasks.push_back(step.Kernel(u, random() % 4));
    for (int i = 0; i < 30; ++i) {
      step.Memory(tasks[random() % tasks.size()], random() % 2 == 0, u,
                  static_cast<MemoryBucket>(random() % kMemoryBuckets),
                  static_cast<double>(random() % 100) - 40);
    }
    const meshstep::Run run = step.Simulated();
    std::int64_t highest = 0;
    for (std::int64_t t = 0; t <= run.makespan.ps(); ++t) {
      double sum = 0;
      for (const MemoryEvent& e : step.step().memory) {
        const auto task = static_cast<std::size_t>(e.task);
        if ((e.at_end ? run.end : run.start)[task].ps() <= t) sum += e.bytes;
      }
      // The first instant counts even if less is held than before the step.
      highest = t == 0 ? static_cast<std::int64_t>(sum)
                       : std::max(highest, static_cast<std::int64_t>(sum));
    }
    const MemoryPeak peak = MemoryPeaks(step.step(), run)[0];
    // A unit whose first event comes later starts with what it holds all step.
    EXPECT_EQ(peak.point.total(), highest) << "round " << round;
  }
}

}  // namespace
}  // namespace meshstep
