#include "sim/simulate/breakdown.h"

#include <random>

#include "gtest/gtest.h"
#include "tests/sim/simulate/hand_made_step.h"

namespace meshstep {
namespace {

StepBreakdown Of(const HandMadeStep& step) {
  return BreakDown(const_cast<HandMadeStep&>(step).step(), step.Simulated());
}

// compute, exposed, bubble, optimizer, other in picoseconds.
std::vector<std::int64_t> Parts(const StepBreakdown& b) {
  return {b.compute.ps(), b.exposed.ps(), b.bubble.ps(), b.optimizer.ps(), b.other.ps()};
}

TEST(Breakdown, KernelsAreComputeAndTheOptimizerIsItsOwn) {
  HandMadeStep step;
  const int u = step.AddUnit(0);
  step.Kernel(u, 10, {}, TaskKind::kCompute, Pass::kForward, "mlp");
  step.Kernel(u, 20, {}, TaskKind::kCompute, Pass::kBackward, "mlp");
  step.Kernel(u, 4, {}, TaskKind::kCompute, Pass::kRecompute, "mlp");
  step.Kernel(u, 3, {}, TaskKind::kOptimizer, Pass::kUpdate, "adam");
  const StepBreakdown b = Of(step);
  EXPECT_EQ(Parts(b), (std::vector<std::int64_t>{10 + 20 + 4, 0, 0, 3, 0}));
  EXPECT_EQ(b.forward.ps(), 10);
  EXPECT_EQ(b.backward.ps(), 20);
  EXPECT_EQ(b.recompute.ps(), 4);
  ASSERT_EQ(b.kernels.size(), 4u);
  EXPECT_EQ(b.kernels[0].pass, Pass::kBackward) << "longest first";
  EXPECT_EQ(b.busy[0].ps(), 37);
}

TEST(Breakdown, AGatherIsExposedOnlyWhereComputeWaits) {
  HandMadeStep step;
  const int u = step.AddUnit(0);
  const TaskId gather = step.Transfer({u}, 15);  // [0, 15), hidden behind [0, 10)
  step.Kernel(u, 10);
  step.Kernel(u, 10, {gather});
  const StepBreakdown b = Of(step);
  EXPECT_EQ(Parts(b), (std::vector<std::int64_t>{20, 15 - 10, 0, 0, 0}));
  EXPECT_EQ(b.transfers[0].count, 1);
  EXPECT_EQ(b.transfers[0].busy.ps(), 15);
  EXPECT_EQ(b.transfers[0].exposed.ps(), 5);
  EXPECT_EQ(b.in_flight.ps(), 15);
}

TEST(Breakdown, InAQueueOfTwoCollectivesEachPaysItsPart) {
  HandMadeStep step;
  const int u = step.AddUnit(0);
  const TaskId a = step.Kernel(u, 10);
  step.Transfer({u}, 7, {a}, 0);                       // [10, 17): nobody waits for its result,
  const TaskId second = step.Transfer({u}, 5, {}, 1);  // [17, 22): but this one queues behind it
  step.Kernel(u, 10, {second});
  const StepBreakdown b = Of(step);
  EXPECT_EQ(Parts(b), (std::vector<std::int64_t>{20, 7 + 5, 0, 0, 0}));
  EXPECT_EQ(b.transfers[0].exposed.ps(), 7);
  EXPECT_EQ(b.transfers[1].exposed.ps(), 5);
}

TEST(Breakdown, TheTailAfterTheLastKernelIsExposed) {
  HandMadeStep step;
  const int u = step.AddUnit(0);
  const TaskId first = step.Kernel(u, 10);
  step.Transfer({u}, 12, {first}, 0);  // [10, 22)
  const TaskId last = step.Kernel(u, 5);
  step.Transfer({u}, 8, {last}, 1);  // [22, 30)
  const StepBreakdown b = Of(step);
  EXPECT_EQ(Parts(b), (std::vector<std::int64_t>{15, 30 - 15, 0, 0, 0}));
  EXPECT_EQ(b.transfers[0].exposed.ps(), 22 - 15);
  EXPECT_EQ(b.transfers[1].exposed.ps(), 8);
}

// GPipe with p stages and m micro-batches of forward f and backward 2f, free transfers: every stage
// idles (p - 1) · (f + 2f) (arXiv 1811.06965 §2.3).
TEST(Breakdown, PipelineBubbleIsTheClosedForm) {
  constexpr int kStages = 4, kMicroBatches = 6;
  constexpr std::int64_t kForward = 10, kBackward = 2 * kForward;
  HandMadeStep step;
  for (int s = 0; s < kStages; ++s) step.AddUnit(s);
  std::vector<TaskId> forward(kMicroBatches, -1);
  for (int s = 0; s < kStages; ++s) {
    for (TaskId& f : forward) {
      std::vector<TaskId> after;
      if (s > 0) after.push_back(f);
      f = step.Kernel(s, kForward, after);
    }
  }
  std::vector<TaskId> backward = forward;
  for (int s = kStages - 1; s >= 0; --s) {
    for (TaskId& b : backward) {
      std::vector<TaskId> after;
      if (s + 1 < kStages) after.push_back(b);
      b = step.Kernel(s, kBackward, after, TaskKind::kCompute, Pass::kBackward);
    }
  }
  const StepBreakdown b = Of(step);
  EXPECT_EQ(b.unit, 0) << "backward ends at the first stage";
  EXPECT_EQ(Parts(b), (std::vector<std::int64_t>{kMicroBatches * (kForward + kBackward), 0,
                                                 (kStages - 1) * (kForward + kBackward), 0, 0}));
}

TEST(Breakdown, WaitingForAnotherStageIsBubbleAndItsTransferExposed) {
  HandMadeStep step;
  const int first = step.AddUnit(0), second = step.AddUnit(1);
  const TaskId f = step.Kernel(first, 30);
  const TaskId send = step.Transfer({first, second}, 4, {f});
  step.Kernel(second, 10, {send});
  const StepBreakdown b = Of(step);
  EXPECT_EQ(b.unit, second);
  EXPECT_EQ(Parts(b), (std::vector<std::int64_t>{10, 4, 30, 0, 0}));
}

TEST(Breakdown, ACollectiveOfAnotherStageIsBubble) {
  HandMadeStep step;
  const int first = step.AddUnit(0), second = step.AddUnit(1);
  const TaskId reduce = step.Transfer({first}, 9, {}, 1);
  const TaskId f = step.Kernel(first, 30, {reduce});
  const TaskId send = step.Transfer({first, second}, 4, {f}, 0);
  step.Kernel(second, 10, {send});
  const StepBreakdown b = Of(step);
  EXPECT_EQ(Parts(b), (std::vector<std::int64_t>{10, 4, 9 + 30, 0, 0}));
  EXPECT_EQ(b.transfers[1].exposed.ps(), 0);
  EXPECT_EQ(b.transfers[1].count, 0) << "the unit takes no part in it";
}

TEST(Breakdown, WaitingForAStragglerOfItsOwnStageIsOther) {
  HandMadeStep step;
  const int fast = step.AddUnit(0), slow = step.AddUnit(0);
  const TaskId a = step.Kernel(fast, 10), b = step.Kernel(slow, 25);
  const TaskId reduce = step.Transfer({fast, slow}, 5, {a, b});
  step.Kernel(fast, 10, {reduce});
  step.Kernel(slow, 1, {reduce});
  EXPECT_EQ(Parts(Of(step)), (std::vector<std::int64_t>{20, 5, 0, 0, 25 - 10}));
}

TEST(Breakdown, TheUnitThatEndsLastIsTheLowestAmongEquals) {
  HandMadeStep step;
  for (const std::int64_t ps : {9, 10, 10}) step.Kernel(step.AddUnit(0), ps);
  EXPECT_EQ(Of(step).unit, 1);
}

TEST(Breakdown, DependenciesAddedLaterCount) {
  HandMadeStep step;
  const int first = step.AddUnit(0), second = step.AddUnit(1);
  const TaskId waits = step.Kernel(second, 10);
  const TaskId late = step.Kernel(first, 30);
  step.step().graph.AddDependency(waits, late);
  EXPECT_EQ(Parts(Of(step)), (std::vector<std::int64_t>{10, 0, 30, 0, 0}));
}

// On random graphs: the parts sum to the makespan, rows sum to the exposed part, and the busy part
// is what the kernels take.
TEST(Breakdown, SumsAreExactOnRandomGraphs) {
  std::mt19937 random(7);
  const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  for (int round = 0; round < 300; ++round) {
    HandMadeStep step;
    const int units = 1 + below(4);
    for (int u = 0; u < units; ++u) step.AddUnit(below(3));
    std::vector<TaskId> tasks;
    for (int i = 0; i < 60; ++i) {
      std::vector<TaskId> after;
      for (int k = below(3); k > 0 && !tasks.empty(); --k) {
        after.push_back(tasks[static_cast<std::size_t>(below(static_cast<int>(tasks.size())))]);
      }
      const int u = below(units), v = below(units);
      if (below(2) == 0) {
        tasks.push_back(step.Kernel(u, below(20), after,
                                    below(8) == 0 ? TaskKind::kOptimizer : TaskKind::kCompute));
      } else {
        tasks.push_back(step.Transfer(u == v ? std::vector<int>{u} : std::vector<int>{u, v},
                                      below(20), after, below(3)));
      }
    }
    const meshstep::Run run = step.Simulated();
    const StepBreakdown b = BreakDown(step.step(), run);
    Time sum, exposed, kernels;
    for (const std::int64_t part : Parts(b)) sum += Time(part);
    for (const TransferTime& t : b.transfers) {
      exposed += t.exposed;
      EXPECT_LE(t.exposed, t.busy);
    }
    for (const KernelTime& k : b.kernels) kernels += k.busy;
    EXPECT_EQ(sum, run.makespan);
    EXPECT_EQ(exposed, b.exposed);
    EXPECT_EQ(kernels, b.compute + b.optimizer);
    EXPECT_EQ(kernels, b.busy[static_cast<std::size_t>(b.unit)]);
    EXPECT_LE(b.exposed, b.in_flight);
  }
}

}  // namespace
}  // namespace meshstep
