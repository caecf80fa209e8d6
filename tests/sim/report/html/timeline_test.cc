#include "sim/report/html/timeline.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "google/protobuf/text_format.h"
#include "sim/base/index.h"
#include "sim/simulate/simulate.h"

namespace meshstep {
namespace {

using Kind = TimelineLane::Kind;

SimulatedStep StepOf(const char* text) {
  v1::Scenario proto;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &proto));
  StatusOr<SimulatedStep> step = SimulateStep(proto, SimulateOptions());
  EXPECT_TRUE(step.ok()) << step.status();
  return *std::move(step);
}

// Launches by the host, collectives over two axes, 4 micro-batches.
constexpr char kEager[] = R"pb(
  name: "eager"
  model { preset: "llama-3-8b" }
  cluster { preset: "dgx-h100" chips: 64 }
  workload { mode: TRAIN global_batch_sequences: 32 sequence_length: 4096 }
  plan { fsdp: 8 tensor: 8 micro_batch_sequences: 1 framework: "torchtitan" })pb";

constexpr char kStages[] = R"pb(
  name: "stages"
  model { preset: "llama-3-8b" }
  cluster { preset: "dgx-h100" chips: 32 }
  workload { mode: TRAIN global_batch_sequences: 16 sequence_length: 4096 }
  plan { tensor: 1 pipeline: 32 micro_batch_sequences: 1 })pb";

std::vector<TimelineLane> AllLanes(const SimulatedStep& s) {
  return TimelineLanes(s.step, s.run, UnitsToDraw(s.step, s.run, 128));
}

TEST(Timeline, LanesHoldOneKindOfWork) {
  const SimulatedStep s = StepOf(kEager);
  int hosts = 0, communication = 0;
  for (const TimelineLane& lane : AllLanes(s)) {
    hosts += lane.kind == Kind::kHost;
    communication += lane.kind == Kind::kCommunication;
    Time until;
    for (const TaskId t : lane.tasks) {
      EXPECT_EQ(s.step.tasks[Index(t)].transfer >= 0, lane.kind == Kind::kCommunication);
      EXPECT_EQ(s.step.tasks[Index(t)].kind == TaskKind::kHost, lane.kind == Kind::kHost);
      EXPECT_GE(s.run.start[Index(t)], until);
      until = s.run.end[Index(t)];
    }
  }
  EXPECT_EQ(hosts, 1);
  EXPECT_GE(communication, 2);
}

TEST(Timeline, SharesSumToTheTimeInUse) {
  const SimulatedStep s = StepOf(kEager);
  for (const TimelineLane& lane : AllLanes(s)) {
    double busy = 0;
    for (const TaskId t : lane.tasks) {
      busy += (s.run.end[Index(t)] - s.run.start[Index(t)]).seconds();
    }
    const TimelineLane* const one[] = {&lane};
    const std::vector<double> share = ShareInUse(s.run, one, 360);
    const double mean = std::accumulate(share.begin(), share.end(), 0.0) / 360;
    // Averages at the two ends of the step take fewer columns: at most two columns' worth.
    EXPECT_NEAR(mean, busy / s.run.makespan.seconds(), 2.0 / 360) << lane.name;
  }
}

TEST(Timeline, LanesTogetherAreTheirUnion) {
  const SimulatedStep s = StepOf(kEager);
  const std::vector<TimelineLane> lanes = AllLanes(s);
  std::vector<const TimelineLane*> all;
  for (const TimelineLane& lane : lanes) all.push_back(&lane);
  const std::vector<double> together = ShareInUse(s.run, all, 100);
  for (const TimelineLane* lane : all) {
    const TimelineLane* const one[] = {lane};
    const std::vector<double> alone = ShareInUse(s.run, one, 100);
    for (std::size_t c = 0; c < 100; ++c) EXPECT_LE(alone[c], together[c] + 1e-9);
  }
}

TEST(Timeline, OpensOnOneLayerWhereAMicroBatchHasManyKernels) {
  const SimulatedStep s = StepOf(kEager);
  const std::vector<TimelineLane> lanes = AllLanes(s);
  const std::vector<TimelineWindow> windows = SteadyWindows(s.step, s.run, lanes.front());
  ASSERT_EQ(windows.size(), 3u);
  EXPECT_EQ(windows[0].name, "one layer, backward");
  std::int32_t layer = -1;
  for (const TaskId t : lanes.front().tasks) {
    if (s.run.start[Index(t)] < windows[0].begin || s.run.end[Index(t)] > windows[0].end) continue;
    const TaskInfo& info = s.step.tasks[Index(t)];
    EXPECT_EQ(info.micro_batch, 2);  // the middle one of four
    if (layer < 0) layer = info.layer.index;
    EXPECT_EQ(info.layer, LayerRef::Layer(layer));
  }
  EXPECT_EQ(layer, 32 - 1 - 16);  // backward goes from layer 31 to 0
}

TEST(Timeline, OpensOnOneMicroBatchWhereItHasFewKernels) {
  const SimulatedStep s = StepOf(kStages);
  const std::vector<TimelineLane> lanes = AllLanes(s);
  // The last stage goes back at once; the first has no forward after a backward, as it sends 16
  // micro-batches to 32 stages.
  const auto of_stage = [&](int stage) {
    const auto lane = std::ranges::find_if(lanes, [&](const TimelineLane& l) {
      return l.kind == Kind::kCompute && s.step.units[Index(l.unit)].stage == stage;
    });
    return SteadyWindows(s.step, s.run, *lane).at(0);
  };
  EXPECT_EQ(of_stage(31).name, "one micro-batch");
  EXPECT_EQ(of_stage(0).name, "one backward");
  for (const int stage : {0, 31}) EXPECT_LT(of_stage(stage).begin, of_stage(stage).end);
}

// Four parts to a stage: a forward of one is followed by a backward of another.
TEST(Timeline, OpensOnAForwardAndABackwardOfInterleavedParts) {
  const SimulatedStep s = StepOf(R"pb(
    name: "interleaved"
    model { preset: "llama-3-8b" }
    cluster { preset: "dgx-h100" chips: 8 }
    workload { mode: TRAIN global_batch_sequences: 32 sequence_length: 4096 }
    plan {
      tensor: 2
      pipeline: 4
      schedule: "interleaved"
      virtual_stages: 4
      micro_batch_sequences: 1
    })pb");
  const std::vector<TimelineLane> lanes = AllLanes(s);
  const std::vector<TimelineWindow> windows = SteadyWindows(s.step, s.run, lanes.front());
  const auto pair = std::ranges::find(windows, "one forward and backward", &TimelineWindow::name);
  ASSERT_NE(pair, windows.end());
  std::set<int> forward, backward;
  for (const TaskId t : lanes.front().tasks) {
    if (s.run.start[Index(t)] < pair->begin || s.run.end[Index(t)] > pair->end) continue;
    const TaskInfo& info = s.step.tasks[Index(t)];
    if (info.layer.kind != LayerRef::Kind::kLayer) continue;
    (info.pass == Pass::kForward ? forward : backward).insert(info.layer.index);
  }
  EXPECT_EQ(forward.size(), 32 / 4 / 4);  // layers of a part
  EXPECT_EQ(backward.size(), 32 / 4 / 4);
}

TEST(Timeline, DrawsEveryStageOrOneDeviceOfEach) {
  const SimulatedStep s = StepOf(kStages);
  EXPECT_EQ(UnitsToDraw(s.step, s.run, 32).size(), 32u);
  SimulateOptions unfolded;
  unfolded.unfolded = true;
  v1::Scenario proto;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(kStages, &proto));
  proto.mutable_cluster()->set_chips(64);
  proto.mutable_plan()->set_tensor(2);
  const StatusOr<SimulatedStep> each = SimulateStep(proto, unfolded);
  ASSERT_TRUE(each.ok()) << each.status();
  ASSERT_EQ(each->step.units.size(), 64u);
  const std::vector<std::int32_t> units = UnitsToDraw(each->step, each->run, 63);
  ASSERT_EQ(units.size(), 32u);
  for (std::size_t i = 0; i < units.size(); ++i) {
    EXPECT_EQ(each->step.units[Index(units[i])].stage, static_cast<int>(i));
  }
}

TEST(Timeline, RangesHoldNoMoreSlicesThanAllowed) {
  const SimulatedStep s = StepOf(kStages);
  const std::vector<TimelineLane> lanes = AllLanes(s);
  const std::vector<TimelineWindow> windows = SteadyWindows(s.step, s.run, lanes.front());
  std::int64_t all = 0;
  for (const TimelineLane& lane : lanes) all += static_cast<std::int64_t>(lane.tasks.size());
  const std::vector<TimeRange> whole = KernelRanges(s.run, lanes, windows, all);
  ASSERT_EQ(whole.size(), 1u);
  EXPECT_EQ(whole[0].begin, Time());
  EXPECT_EQ(whole[0].end, s.run.makespan);
  for (const std::int64_t most : {all / 2, all / 10, all / 100}) {
    std::int64_t inside = 0;
    const std::vector<TimeRange> ranges = KernelRanges(s.run, lanes, windows, most);
    for (const TimelineLane& lane : lanes) {
      for (const TaskId t : lane.tasks) {
        inside += std::ranges::any_of(ranges, [&](const TimeRange& r) {
          return s.run.start[Index(t)] < r.end && s.run.end[Index(t)] > r.begin;
        });
      }
    }
    EXPECT_LE(inside, most);
    EXPECT_GT(inside, 0);
  }
}

}  // namespace
}  // namespace meshstep
