// Bounds against the simulation, on random plans: never above it, and close.
//
//   strategies_bounds_plan_plan_bounds_test [--plans=N] [--seed=S]

#include "strategies/bounds/plan/plan_bounds.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "sim/base/catalog.h"
#include "sim/simulate/simulate.h"
#include "strategies/plan/load_scenario.h"
#include "strategies/step/lower_step.h"
#include "tests/int_option.h"
#include "tests/properties/scenario_generator.h"

namespace meshstep {
namespace {

int plans = 2000;
unsigned seed = 17;

struct Compared {
  PlanBounds quick, full;
  Time time;
  std::int64_t peak_bytes;
  std::string plan;
};

// Bounds and what is simulated of random plans that are valid.
std::vector<Compared> CompareRandomPlans() {
  const Catalog catalog;
  ScenarioGenerator generator(seed);
  std::vector<Compared> all;
  for (int i = 0; i < plans; ++i) {
    const v1::Scenario proto = generator.Next();
    Diagnostics diagnostics;
    const Scenario scenario = LoadScenario(proto, catalog, &diagnostics);
    if (!diagnostics.ok()) continue;
    const StatusOr<SimulatedStep> step = SimulateStep(scenario, {.catalog = &catalog});
    if (!step.ok()) continue;
    const StatusOr<PreparedStep> prepared = PrepareStep(scenario, {});
    EXPECT_TRUE(prepared.ok());
    const StatusOr<PlanBounds> full = BoundsOf(*prepared);
    const StatusOr<PlanBounds> quick = QuickBounds(scenario, Fidelity::kCalibrated);
    EXPECT_TRUE(full.ok()) << full.status();
    EXPECT_TRUE(quick.ok()) << quick.status();
    all.push_back({*quick, *full, step->run.makespan, step->report.memory().peak_bytes(),
                   proto.ShortDebugString()});
  }
  return all;
}

const std::vector<Compared>& Plans() {
  static const std::vector<Compared> all = CompareRandomPlans();
  return all;
}

// Plans of which a bound is above what was simulated, with the bound made higher by `factor`.
int Above(double factor) {
  int above = 0;
  for (const Compared& c : Plans()) {
    const double bound = factor * static_cast<double>(c.full.time.time.ps());
    above += bound > static_cast<double>(c.time.ps()) ? 1 : 0;
  }
  return above;
}

TEST(PlanBoundsTest, TimeIsNeverAboveTheSimulation) {
  ASSERT_GT(Plans().size(), static_cast<std::size_t>(plans) / 4);
  int shown = 0;
  for (const Compared& c : Plans()) {
    if (c.full.time.time <= c.time && c.quick.time.time <= c.full.time.time) continue;
    if (++shown > 10) break;
    ADD_FAILURE() << "quick " << c.quick.time.time.ps() << ", full " << c.full.time.time.ps()
                  << " (" << c.full.time.binds << "), simulated " << c.time.ps() << ": " << c.plan;
  }
}

TEST(PlanBoundsTest, MemoryIsNeverAboveTheSimulation) {
  int shown = 0;
  for (const Compared& c : Plans()) {
    if (c.full.memory.peak_bytes <= c.peak_bytes) continue;
    if (++shown > 10) break;
    ADD_FAILURE() << c.full.memory.peak_bytes << " on stage " << c.full.memory.stage
                  << ", simulated " << c.peak_bytes << ": " << c.plan;
  }
}

TEST(PlanBoundsTest, OnePercentMoreIsCaught) {
  EXPECT_EQ(Above(1), 0);
  EXPECT_GT(Above(1.01), 0);
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

TEST(PlanBoundsTest, BoundsAreClose) {
  std::vector<double> time, memory;
  for (const Compared& c : Plans()) {
    time.push_back(c.full.time.time.seconds() / c.time.seconds());
    memory.push_back(static_cast<double>(c.full.memory.peak_bytes) /
                     static_cast<double>(c.peak_bytes));
  }
  RecordProperty("median_time", std::to_string(Median(time)));
  RecordProperty("median_memory", std::to_string(Median(memory)));
  // These models are so small that launches and latencies of shared links are a good part of a step;
  // tests/sim/advice/search has the median of plans that people would run.
  EXPECT_GE(Median(time), 0.7);
  EXPECT_GE(Median(memory), 0.85);
}

}  // namespace
}  // namespace meshstep

int main(int argc, char** argv) {
  using namespace meshstep;
  ::testing::InitGoogleTest(&argc, argv);
  plans = IntOption(argc, argv, "plans", plans);
  seed = static_cast<unsigned>(IntOption(argc, argv, "seed", static_cast<int>(seed)));
  return RUN_ALL_TESTS();
}
