// Quick bounds against the simulation, on random plans of several networks: never above it.
//
//   sim_advice_search_quick_table_test [--plans=N] [--seed=S]

#include "sim/advice/search/quick_table.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "sim/advice/search/evaluate.h"
#include "tests/int_option.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {

int plans = 60;  // of each scenario
unsigned seed = 5;

namespace {

const Catalog& Presets() {
  static const Catalog catalog;
  return catalog;
}

std::string Toy(const std::string& cluster, const std::string& model = "",
                const std::string& plan = "framework: 'megatron-core'") {
  return absl::StrCat(
      "name: 'toy' model { name: 'toy' layers: 8 hidden: 4096 heads: 32 kv_heads: 8 ",
      "ffn: 8192 vocab: 32000 gated_mlp: true ", model, " } cluster { ", cluster,
      " } workload { mode: TRAIN global_batch_sequences: 64 sequence_length: 4096 } ", "plan { ",
      plan, " }");
}

bool IsRefused(const PlanSpace& space, const Choices& choices) {
  for (int k = 0; k < kKnobs; ++k) {
    if (*space.Refuses(static_cast<Knob>(k), choices) != '\0') return true;
  }
  return false;
}

std::string Named(const PlanSpace& space, std::int64_t index) {
  return absl::StrCat(index, ": ", absl::StrJoin(space.SetOf(index), " "));
}

class QuickTableTest : public testing::TestWithParam<std::string> {};

TEST_P(QuickTableTest, IsNeverAboveTheSimulation) {
  const StatusOr<PlanSpace> space =
      PlanSpace::Make(ParseScenario(GetParam()), {}, Presets(), Fidelity::kCalibrated);
  ASSERT_TRUE(space.ok()) << space.status();
  const QuickTable table(*space, Presets(), Fidelity::kCalibrated);
  const Evaluator evaluator(*space, Presets(), Fidelity::kCalibrated, /*allow_tight=*/true);
  Workspace workspace;
  std::mt19937_64 random(seed);
  double closest = 0;
  int simulated = 0;
  for (int i = 0; i < 4000 * plans && simulated < plans; ++i) {
    const auto index =
        static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(space->size()));
    const Choices choices = space->ChoicesOf(index);
    if (IsRefused(*space, choices)) continue;
    const GroupBound group = table.Group(choices);
    Evaluated plan =
        evaluator.Bound(index, group.ps, evaluator.BoundGroup(index, &workspace), &workspace);
    if (!plan.invalid.empty()) continue;
    evaluator.Simulate(&plan, &workspace);
    ASSERT_TRUE(plan.simulated) << plan.invalid;
    ++simulated;
    ASSERT_LE(plan.bound_ps, plan.time_ps) << Named(*space, plan.index);
    ASSERT_LE(group.ps, plan.time_ps) << Named(*space, plan.index);
    ASSERT_LE(table.Peak(choices, group), static_cast<double>(plan.peak_bytes))
        << Named(*space, plan.index);
    closest = std::max(closest, static_cast<double>(group.ps) / static_cast<double>(plan.time_ps));
  }
  EXPECT_EQ(simulated, plans);
  // A bound that is made too high would not pass above.
  EXPECT_GT(closest, 0.8);
  RecordProperty("closest", std::to_string(closest));
}

INSTANTIATE_TEST_SUITE_P(
    Networks, QuickTableTest,
    testing::Values(Toy("preset: 'dgx-h100' chips: 32"),
                    Toy("preset: 'gcp-a3-high' chips: 16"),  // GPUs share NICs
                    Toy("preset: 'aws-p4d' chips: 16", "", "framework: 'torchtitan'"),
                    Toy("preset: 'a100-pcie-pairs' chips: 16", "", ""),
                    Toy("preset: 'dgx-h100' chips: 16",
                        "moe { experts: 8 experts_per_token: 2 expert_ffn: 4096 }"),
                    Toy("preset: 'dgx-h100' chips: 16",
                        "moe { experts: 8 experts_per_token: 2 expert_ffn: 4096 }",
                        "framework: 'megatron-core' overlap_experts: true"),
                    Toy("preset: 'tpu-v5e' slice: '4x4'", "", "framework: 'maxtext'")));

}  // namespace
}  // namespace meshstep

int main(int argc, char** argv) {
  using namespace meshstep;
  ::testing::InitGoogleTest(&argc, argv);
  plans = IntOption(argc, argv, "plans", plans);
  seed = static_cast<unsigned>(IntOption(argc, argv, "seed", static_cast<int>(seed)));
  return RUN_ALL_TESTS();
}
