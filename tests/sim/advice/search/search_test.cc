// The search against simulating everything, on small spaces; its bounds against the simulation, on
// plans that people would run.

#include "sim/advice/search/search.h"

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "sim/advice/search/assemble.h"
#include "sim/advice/search/quick_table.h"
#include "sim/simulate/simulate.h"
#include "strategies/plan/load_scenario.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {
namespace {

const Catalog& Presets() {
  static const Catalog catalog;
  return catalog;
}

PlanSpace SpaceOf(const std::string& scenario, const std::vector<std::string>& varied) {
  std::vector<Vary> list;
  for (const std::string& text : varied) {
    StatusOr<Vary> vary = ParseVary(text);
    EXPECT_TRUE(vary.ok()) << vary.status();
    list.push_back(*std::move(vary));
  }
  StatusOr<PlanSpace> space =
      PlanSpace::Make(ParseScenario(scenario), list, Presets(), Fidelity::kCalibrated);
  CHECK(space.ok()) << std::string(space.status().message());
  return *std::move(space);
}

std::string Toy(const std::string& cluster, const std::string& plan, const std::string& model = "",
                int batch = 16) {
  return absl::StrCat(
      "name: 'toy' model { name: 'toy' layers: 8 hidden: 1024 heads: 8 kv_heads: 4 ",
      "ffn: 4096 vocab: 32000 gated_mlp: true ", model, " } cluster { ", cluster,
      " } workload { mode: TRAIN global_batch_sequences: ", batch,
      " sequence_length: 2048 } plan { ", plan, " }");
}

struct Small {
  std::string scenario;
  std::vector<std::string> varied;
};

// Twenty spaces: two knobs or three free in each, on several networks.
std::vector<Small> SmallSpaces() {
  const std::string dgx8 = "preset: 'dgx-h100' chips: 8", dgx16 = "preset: 'dgx-h100' chips: 16";
  const std::string tpu = "preset: 'tpu-v5e' slice: '4x2'";
  const std::string moe = "moe { experts: 8 experts_per_token: 2 expert_ffn: 512 }";
  const std::vector<std::string> plain = {"plan.async_tensor=false",
                                          "plan.overlap_parameters=false",
                                          "plan.order=tensor,context,fsdp,data,pipeline"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), plain.begin(), plain.end());
    return more;
  };
  const std::vector<std::string> one = {"plan.recompute=none", "plan.schedule=1f1b",
                                        "plan.micro_batch_sequences=1"};
  const auto with_one = [&](std::vector<std::string> more) {
    more.insert(more.end(), one.begin(), one.end());
    return with(more);
  };
  std::vector<Small> spaces;
  for (const std::string& cluster : {dgx8, tpu}) {
    spaces.push_back({Toy(cluster, ""), with_one({})});
    spaces.push_back({Toy(cluster, "framework: 'megatron-core'"), with_one({"plan.zero_stage=1"})});
    spaces.push_back(
        {Toy(cluster, "framework: 'torchtitan-compiled'"), with_one({"plan.context=1,2"})});
    spaces.push_back({Toy(cluster, ""),
                      {"plan.micro_batch_sequences=1", "plan.schedule=1f1b", "plan.zero_stage=0",
                       "plan.context=1", "plan.async_tensor=false", "plan.overlap_parameters=false",
                       "plan.sequence_parallel=true"}});
    spaces.push_back({Toy(cluster, "", moe), with_one({"plan.context=1", "plan.zero_stage=0"})});
    spaces.push_back({Toy(cluster, "overlap_gradients: false", "tied_embeddings: true"),
                      with_one({"plan.tensor=1,2"})});
    spaces.push_back({Toy(cluster, ""),
                      with({"plan.recompute=none", "plan.zero_stage=0", "plan.context=1",
                            "plan.sequence_parallel=true", "plan.micro_batch_sequences=1,2"})});
    spaces.push_back({Toy(cluster, ""),
                      {"plan.micro_batch_sequences=2", "plan.recompute=full", "plan.context=1",
                       "plan.pipeline=1,2", "plan.schedule=1f1b"}});
  }
  spaces.push_back({Toy(dgx16, ""), with_one({"plan.context=1"})});
  spaces.push_back({Toy(dgx16, "framework: 'megatron-core'"), with_one({"plan.zero_stage=0"})});
  spaces.push_back(
      {Toy(dgx8, "", "", 8), with_one({"plan.prefetch_layers=0,1,2", "plan.tensor=1"})});
  spaces.push_back({Toy(dgx8, "", "qk_norm: true"), with_one({"plan.tensor=1", "plan.context=1"})});
  return spaces;
}

std::string RefusedBy(const PlanSpace& space, const Choices& choices) {
  for (int k = 0; k < kKnobs; ++k) {
    const char* why = space.Refuses(static_cast<Knob>(k), choices);
    if (*why != '\0') return why;
  }
  return "";
}

struct StepFigures {
  Time time;
  std::int64_t peak_bytes;
};

StatusOr<StepFigures> Figures(const PlanSpace& space, std::int64_t index) {
  ASSIGN_OR_RETURN(const SimulatedStep step,
                   SimulateStep(space.ScenarioOf(index), {.catalog = &Presets()}));
  return StepFigures{step.run.makespan,
                     step.report.memory().peak_bytes() + step.report.memory().reserve_bytes()};
}

TEST(SearchTest, TheBestAreThoseOfSimulatingEverything) {
  constexpr int kTop = 5;
  std::int64_t plans = 0;
  for (const Small& small : SmallSpaces()) {
    const PlanSpace space = SpaceOf(small.scenario, small.varied);
    ASSERT_LT(space.size(), 60000) << small.scenario;
    SCOPED_TRACE(absl::StrCat(small.scenario, " ", space.size()));
    SearchOptions options{.catalog = &Presets(), .top = kTop, .threads = 2};
    const StatusOr<Searched> searched = Search(space, options, nullptr);
    ASSERT_TRUE(searched.ok()) << searched.status();
    const v1::SearchReport report = Assemble(space, *searched, options, {});
    EXPECT_TRUE(report.proven());

    std::vector<std::pair<std::int64_t, std::int64_t>> all;  // time and index of those that fit
    const double limit = MemoryLimit(space, options);
    for (std::int64_t i = 0; i < space.size(); ++i) {
      if (!RefusedBy(space, space.ChoicesOf(i)).empty()) continue;
      const StatusOr<StepFigures> figures = Figures(space, i);
      if (!figures.ok()) continue;
      ++plans;
      if (static_cast<double>(figures->peak_bytes) > limit) continue;
      all.emplace_back(figures->time.ps(), i);
    }
    std::sort(all.begin(), all.end());
    if (all.size() > kTop) all.resize(kTop);
    std::vector<std::pair<std::int64_t, std::int64_t>> best;
    for (const v1::FoundPlan& plan : report.best()) {
      best.emplace_back(Time::RoundUp(Seconds(plan.step_time_s())).ps(), plan.index());
    }
    EXPECT_EQ(best, all);

    std::int64_t counted = report.counts().does_not_fit() + report.counts().simulated();
    for (const auto& [why, n] : report.counts().invalid()) counted += n;
    for (const auto& [why, n] : report.counts().pruned()) counted += n;
    EXPECT_EQ(counted, space.size());
  }
  EXPECT_GT(plans, 1000);
}

// A rule that refused a plan that simulates would hide it.
TEST(SearchTest, RulesRefuseOnlyWhatTheLoaderRefusesOrAnotherPlanIs) {
  const PlanSpace space = SpaceOf(Toy("preset: 'dgx-h100' chips: 8", ""),
                                  {"plan.recompute=none,full", "plan.micro_batch_sequences=1,8"});
  std::mt19937 random(3);
  int refused = 0;
  for (int i = 0; i < 4000; ++i) {
    const auto index = static_cast<std::int64_t>(random()) % space.size();
    const std::string why = RefusedBy(space, space.ChoicesOf(index));
    if (why.empty() || why == "the same as another plan") continue;
    ++refused;
    EXPECT_FALSE(Figures(space, index).ok()) << why << ": plan " << index;
    if (refused > 200) break;
  }
  EXPECT_GT(refused, 50);
}

constexpr char kLlama[] =
    "name: 'l' model { preset: 'llama-3-8b' } cluster { preset: 'dgx-h100' chips: 32 } workload { "
    "mode: TRAIN global_batch_sequences: 128 sequence_length: 4096 } plan { framework: "
    "'megatron-core' }";

// A workspace that has bounded the plan before gives the bounds that a new one gives.
TEST(SearchTest, BoundsDoNotDependOnTheWorkspace) {
  for (const char* framework : {"", "framework: 'megatron-core'", "framework: 'maxtext'"}) {
    const PlanSpace space =
        SpaceOf(Toy("preset: 'dgx-h100' chips: 8", framework),
                {"plan.recompute=none", "plan.schedule=1f1b", "plan.micro_batch_sequences=1",
                 "plan.context=1", "plan.async_tensor=false"});
    ASSERT_EQ(space.choices(Knob::kOverlap).size(), 2u);
    const Evaluator evaluator(space, Presets(), Fidelity::kCalibrated, /*allow_tight=*/false);
    Workspace kept;
    int valid = 0;
    for (std::int64_t index = 0; index < space.size(); ++index) {
      Workspace fresh;
      const Evaluated a = evaluator.Bound(index, 0, 0, &kept),
                      b = evaluator.Bound(index, 0, 0, &fresh);
      ASSERT_EQ(a.invalid, b.invalid) << framework << " " << index;
      ASSERT_EQ(a.bound_ps, b.bound_ps) << framework << " " << index;
      ASSERT_EQ(a.least_bytes, b.least_bytes) << framework << " " << index;
      ASSERT_EQ(a.binds, b.binds) << framework << " " << index;
      valid += a.invalid.empty() ? 1 : 0;
    }
    EXPECT_GT(valid, 20) << framework;
  }
}

TEST(SearchTest, BoundsAreBelowTheSimulationAndClose) {
  const PlanSpace space = SpaceOf(kLlama, {"plan.context=1,2", "plan.micro_batch_sequences=1,2"});
  const QuickTable table(space, Presets(), Fidelity::kCalibrated);
  const Evaluator evaluator(space, Presets(), Fidelity::kCalibrated, /*allow_tight=*/true);
  Workspace workspace;
  std::mt19937_64 random(11);
  std::vector<double> ratios, quick;
  for (int i = 0; i < 100000 && ratios.size() < 60; ++i) {
    const auto index =
        static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(space.size()));
    const Choices choices = space.ChoicesOf(index);
    if (!RefusedBy(space, choices).empty()) continue;
    const GroupBound group = table.Group(choices);
    Evaluated plan =
        evaluator.Bound(index, group.ps, evaluator.BoundGroup(index, &workspace), &workspace);
    if (!plan.invalid.empty()) continue;
    evaluator.Simulate(&plan, &workspace);
    ASSERT_TRUE(plan.simulated) << plan.invalid;
    EXPECT_LE(group.ps, plan.time_ps) << "plan " << index;
    EXPECT_LE(plan.bound_ps, plan.time_ps) << "plan " << index;
    EXPECT_LE(table.Peak(choices, group), static_cast<double>(plan.peak_bytes)) << "plan " << index;
    EXPECT_LE(plan.least_bytes, plan.peak_bytes) << "plan " << index;
    if (static_cast<double>(plan.peak_bytes) > 80e9) continue;
    ratios.push_back(static_cast<double>(plan.bound_ps) / static_cast<double>(plan.time_ps));
    quick.push_back(static_cast<double>(plan.quick_ps) / static_cast<double>(plan.time_ps));
  }
  ASSERT_EQ(ratios.size(), 60U);
  const auto median = [](std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
  };
  RecordProperty("median", std::to_string(median(ratios)));
  RecordProperty("median_quick", std::to_string(median(quick)));
  EXPECT_GE(median(ratios), 0.85);
}

}  // namespace
}  // namespace meshstep
