// Models with routed experts, latent attention and multi-token prediction, whole: FLOPs and
// parameters of all ranks are the model's, and the presets simulate.

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/simulate/simulate.h"
#include "strategies/model/model_arithmetic.h"
#include "strategies/step/lower_step.h"
#include "strategies/step/step_graph.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {
namespace {

constexpr double kHidden = 1024, kExperts = 8, kWidth = 512, kVocab = 4096;
constexpr double kExpertParameters = kExperts * 2 * kHidden * kWidth;
constexpr double kDenseParameters = 4 * kHidden * kHidden + kExperts * kHidden + 2 * kHidden;
constexpr char kToy[] =
    "name: 'routed' layers: 2 hidden: 1024 heads: 16 vocab: 4096 moe { experts: 8 "
    "experts_per_token: 2 expert_ffn: 512 }";

Scenario Load(const std::string& model, int devices, const std::string& plan) {
  return meshstep::Load(OnDgx(model, devices, plan));
}

// What one device does, forward and backward, is what `meshstep model` counts.
TEST(RoutedModels, HardwareFlopsAreTheModels) {
  constexpr char kMla[] =
      " mla { q_lora_rank: 256 kv_lora_rank: 128 qk_nope_head_dim: 64 qk_rope_head_dim: 32 "
      "v_head_dim: 48 }";
  const std::string toy = kToy;
  std::string shared = toy;
  shared.replace(shared.find("expert_ffn: 512"), 15,
                 "expert_ffn: 512 dense_layers: 1 shared_experts: 2 shared_expert_gate: true");
  for (const std::string& model :
       {toy, toy + " gated_mlp: true mlp_bias: true", shared + " ffn: 2048", toy + kMla,
        toy + kMla + " mtp_layers: 2", toy + " mtp_layers: 1"}) {
    const Scenario s = Load(model, 1, "");
    const StatusOr<StepGraph> step = LowerStep(s, {Fidelity::kIdeal, false});
    ASSERT_TRUE(step.ok()) << model << step.status();
    const ModelArithmetic arithmetic(s.model, {.batch = 256, .queries = 512, .keys = 512});
    EXPECT_NEAR(step->hardware_flops.value() / (3 * arithmetic.Forward(Square::kMasked).total()), 1,
                1e-12)
        << model;
  }
}

TEST(RoutedModels, ParametersOfAllRanksAreTheModels) {
  for (const std::string& extra : {std::string(), std::string(" mtp_layers: 2")}) {
    const Scenario s = Load(kToy + extra, 8, "fsdp: 8 expert: 4");
    const StatusOr<StepGraph> step = LowerStep(s, {Fidelity::kIdeal, false});
    ASSERT_TRUE(step.ok()) << step.status();
    const double bytes = step->resident[0][static_cast<std::size_t>(MemoryBucket::kParameters)];
    EXPECT_NEAR(8 * bytes / 2 / ModelArithmetic(s.model, {}).Parameters().total, 1, 1e-9) << extra;
  }
}

// arXiv 2412.19437 §2.2: the module, and the head on its result, follow the last layer.
TEST(MultiTokenPrediction, IsOnTheLastStage) {
  const Scenario without = Load(kToy, 8, "data: 4 pipeline: 2 micro_batch_sequences: 1");
  const Scenario with =
      Load(std::string(kToy) + " mtp_layers: 1", 8, "data: 4 pipeline: 2 micro_batch_sequences: 1");
  const StatusOr<StepGraph> a = LowerStep(without, {Fidelity::kIdeal, false});
  const StatusOr<StepGraph> b = LowerStep(with, {Fidelity::kIdeal, false});
  ASSERT_TRUE(a.ok() && b.ok());
  const auto parameters = [](const StepGraph& step, int stage) {
    for (std::size_t u = 0; u < step.units.size(); ++u) {
      if (step.units[u].stage == stage) {
        return step.resident[u][static_cast<std::size_t>(MemoryBucket::kParameters)] / 2;
      }
    }
    return 0.0;
  };
  EXPECT_EQ(parameters(*a, 0), parameters(*b, 0));
  // One more layer, W_mtp, two norms, and a copy of the table, which the first stage has.
  EXPECT_EQ(
      parameters(*b, 1) - parameters(*a, 1),
      kDenseParameters + kExpertParameters + 2 * kHidden * kHidden + 2 * kHidden + 4096 * kHidden);
  // A second one has the same table.
  const Scenario more =
      Load(std::string(kToy) + " mtp_layers: 2", 8, "data: 4 pipeline: 2 micro_batch_sequences: 1");
  const StatusOr<StepGraph> c = LowerStep(more, {Fidelity::kIdeal, false});
  ASSERT_TRUE(c.ok()) << c.status();
  EXPECT_EQ(parameters(*c, 1) - parameters(*b, 1),
            kDenseParameters + kExpertParameters + 2 * kHidden * kHidden + 2 * kHidden);
  std::map<std::string, int> kernels;
  for (const TaskInfo& task : b->tasks) {
    if (task.layer > LayerRef::Head() && task.pass == Pass::kForward && task.micro_batch == 0) {
      ++kernels[*task.name];
    }
  }
  EXPECT_EQ(kernels["mtp_embedding"], 1);
  EXPECT_EQ(kernels["mtp_projection"], 1);
  EXPECT_EQ(kernels["logits"], 1);
  EXPECT_EQ(kernels["loss"], 1);
}

TEST(RoutedModels, PresetsSimulate) {
  struct Case {
    const char* preset;
    int chips;
    const char* plan;
  };
  for (const Case& c :
       {Case{"mixtral-8x7b", 64, "data: 8 tensor: 2 pipeline: 4 expert: 8 sequence_parallel: true"},
        Case{"mixtral-8x22b", 128, "data: 8 tensor: 2 pipeline: 8 expert: 8 zero_stage: 1"},
        Case{"deepseek-v2", 128, "data: 16 pipeline: 8 expert: 16 zero_stage: 1"},
        Case{"deepseek-v3", 256, "data: 16 pipeline: 16 expert: 16 zero_stage: 1"},
        Case{"qwen-3-30b-a3b", 32, "fsdp: 32 expert: 16"},
        Case{"qwen-3-235b-a22b", 128, "fsdp: 32 tensor: 4 expert: 32 sequence_parallel: true"},
        Case{"gpt-oss-20b", 16, "fsdp: 16 expert: 8"},
        Case{"gpt-oss-120b", 64, "data: 16 pipeline: 4 expert: 16"}}) {
    const Scenario s = Load(absl::StrCat("preset: '", c.preset, "'"), c.chips, c.plan);
    const StatusOr<SimulatedStep> simulated = SimulateStep(s, {});
    ASSERT_TRUE(simulated.ok()) << c.preset << simulated.status();
    // No rank is faster than its FLOPs.
    EXPECT_GT(simulated->run.makespan.seconds() * c.chips *
                  s.cluster.chip.datasheet.peak(Dtype::kBf16).value(),
              simulated->step.hardware_flops.value())
        << c.preset;
  }
}

}  // namespace
}  // namespace meshstep
