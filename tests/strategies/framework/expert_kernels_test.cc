// What dispatchers and kernels of experts move besides the matmuls, in what order, what of a layer
// runs again by modules, and pairs of micro-batches that hide each other's transfers.

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/catalog.h"
#include "sim/simulate/simulate.h"
#include "strategies/block/block_context.h"
#include "strategies/passes/lower_block.h"
#include "strategies/passes/recompute.h"
#include "strategies/plan/load_plan.h"
#include "strategies/plan/load_scenario.h"
#include "strategies/step/lower_step.h"
#include "strategies/step/step_graph.h"
#include "tests/strategies/passes/block_steps.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kHidden = 1024, kTopK = 2, kWidth = 512, kTokens = 2 * 512;
// Bytes in bf16 of a rank's tokens and of its copies of them.
constexpr double kOwn = kTokens * kHidden * 2, kCopies = kTopK * kOwn;
constexpr double kInner = kTokens * kTopK * kWidth * 2;

v1::Scenario Proto(const std::string& plan, int devices = 8) {
  return ParseScenario(absl::StrCat(
      "model { name: 'routed' layers: 4 hidden: 1024 heads: 16 vocab: 4096 gated_mlp: true "
      "mlp_bias: true moe { experts: 8 experts_per_token: 2 expert_ffn: 512 shared_experts: 1 "
      "shared_expert_ffn: 256 } } cluster { preset: 'dgx-h100' chips: ",
      devices, " } workload { global_batch_sequences: 256 sequence_length: 512 } plan { ", plan,
      " micro_batch_sequences: 2 }"));
}

std::string Problem(const std::string& plan) {
  Diagnostics diagnostics;
  LoadScenario(Proto(plan), Catalog(), &diagnostics);
  EXPECT_FALSE(diagnostics.ok()) << plan;
  return std::string(diagnostics.status().message());
}

struct Layer {
  TransferTable transfers;
  LoweredBlock lowered;
};

Layer Lowered(const v1::Scenario& proto, Fidelity fidelity = Fidelity::kIdeal) {
  const Scenario s = Load(proto);
  Layer layer;
  const ComputeModel compute(s.cluster.chip, RateSet::kDatasheet, fidelity);
  const BlockContext context{&s.model, &s.plan, &s.workload, &compute, &layer.transfers};
  StatusOr<LoweredBlock> lowered = LowerBlock(BuildTransformer(s.model, {}).kinds[0], context);
  EXPECT_TRUE(lowered.ok()) << lowered.status();
  if (lowered.ok()) layer.lowered = *std::move(lowered);
  return layer;
}

Layer Lowered(const std::string& plan, Fidelity fidelity = Fidelity::kIdeal) {
  return Lowered(Proto(plan), fidelity);
}

TEST(ExpertDispatcher, AllToAllSortsWhatArrives) {
  const LoweredBlock several = Lowered("data: 8 expert: 4 expert_dispatch: 'all-to-all'").lowered;
  EXPECT_EQ(BytesOf(several.forward, "dispatch"), kOwn + kCopies);
  EXPECT_EQ(BytesOf(several.forward, "dispatch by expert"), 2 * kCopies);
  EXPECT_EQ(BytesOf(several.forward, "combine by rank"), 2 * kCopies);
  EXPECT_EQ(BytesOf(several.forward, "combine"), kOwn + kCopies);
  EXPECT_EQ(BytesOf(several.backward, "combine backward"), kOwn + kCopies);
  EXPECT_EQ(BytesOf(several.backward, "combine backward by expert"), 2 * kCopies);
  EXPECT_EQ(BytesOf(several.backward, "dispatch backward by rank"), 2 * kCopies);
  EXPECT_EQ(BytesOf(several.backward, "dispatch backward"), kOwn + kCopies);
  // Two ranks share an expert: both have all its copies.
  const LoweredBlock shared =
      Lowered("data: 8 expert: 4 expert_tensor: 2 expert_dispatch: 'all-to-all'").lowered;
  EXPECT_EQ(BytesOf(shared.forward, "dispatch by expert"), 2 * 2 * kCopies);
  // What a rank with one expert gets is sorted.
  const LoweredBlock one = Lowered("data: 8 expert: 8 expert_dispatch: 'all-to-all'").lowered;
  EXPECT_EQ(BytesOf(one.forward, "dispatch"), kOwn + kCopies);
  EXPECT_EQ(BytesOf(one.forward, "dispatch by expert"), -1);
}

TEST(ExpertDispatcher, DeepEpCopiesWhereTheExpertsAre) {
  // Two copies over 4 ranks are on 4 (1 - (3/4)^2) = 1.75 of them.
  const double arrived = kCopies * 1.75 / 2;
  for (const char* name : {"deepep", "hybridep"}) {
    const Layer l = Lowered(absl::StrCat("data: 8 expert: 4 expert_dispatch: '", name, "'"));
    EXPECT_EQ(BytesOf(l.lowered.forward, "dispatch"), -1) << name;
    EXPECT_EQ(BytesOf(l.lowered.forward, "dispatch by expert"), arrived + kCopies) << name;
    EXPECT_EQ(BytesOf(l.lowered.forward, "combine by rank"), arrived + kCopies) << name;
    EXPECT_EQ(BytesOf(l.lowered.backward, "combine backward by expert"), arrived + kCopies) << name;
    EXPECT_EQ(BytesOf(l.lowered.backward, "dispatch backward by rank"), arrived + kCopies) << name;
  }
}

TEST(ExpertDispatcher, NarrowMatmulsPadTheirTokens) {
  const std::string fp8 = " precision { compute: 'fp8' }";
  const auto padding = [&](const std::string& name, const std::string& precision) {
    return BytesOf(
        Lowered(absl::StrCat("data: 8 expert: 4 expert_dispatch: '", name, "'", precision))
            .lowered.forward,
        "dispatch padding");
  };
  EXPECT_EQ(padding("all-to-all", fp8), 2 * kCopies);
  EXPECT_EQ(padding("deepep", fp8), 2 * kCopies);
  EXPECT_EQ(padding("hybridep", fp8), -1);
  EXPECT_EQ(padding("", fp8), -1);
  EXPECT_EQ(padding("all-to-all", ""), -1);
}

// Of 8 ranks a token's two experts are on 8 (1 - (7/8)^2) = 1.875.
TEST(ExpertDispatcher, DeepEpSendsATokenOnceToARank) {
  const auto sent = [](const std::string& name) {
    const Scenario s = Load(Proto(absl::StrCat("data: 8 expert: 8 expert_dispatch: '", name, "'")));
    const StatusOr<StepGraph> step = LowerStep(s, {.fidelity = Fidelity::kIdeal});
    EXPECT_TRUE(step.ok()) << step.status();
    for (const StepTransfer& t : step->transfers) {
      if (t.spec.collective == Collective::kAllToAll) return t.sent_bytes_per_device;
    }
    return 0.0;
  };
  EXPECT_DOUBLE_EQ(sent("all-to-all"), kCopies * 7 / 8);
  EXPECT_DOUBLE_EQ(sent("deepep"), kCopies * 1.875 / 2 * 7 / 8);
  EXPECT_DOUBLE_EQ(sent("hybridep"), sent("deepep"));
}

// Megatron-Core's gates multiply the experts' activations (weighted_bias_swiglu_impl): what comes
// back from the experts is not kept.
TEST(ExpertDispatcher, SumsOfCopiesKeepNone) {
  const auto kept = [](const std::string& name) {
    return Lowered(absl::StrCat("data: 8 expert: 8 expert_dispatch: '", name, "'"))
        .lowered.kept_bytes;
  };
  EXPECT_EQ(kept("") - kept("all-to-all"), kCopies);
  EXPECT_EQ(kept("deepep"), kept("all-to-all"));
}

// That kernel is for gated activations; without a gate the weighted activation is an array more
// (mlp.py: activation, then product with per_token_scale), which recomputation makes again.
TEST(ExpertDispatcher, WeighedActivationsWithoutGateAreKept) {
  const auto kept = [](const std::string& plan) {
    v1::Scenario proto = Proto("data: 8 expert: 8 " + plan);
    proto.mutable_model()->set_gated_mlp(false);
    return Lowered(proto).lowered.kept_bytes;
  };
  EXPECT_EQ(kept("") - kept("expert_dispatch: 'all-to-all'"), kCopies - kInner);
  const std::string again = " recompute: 'modules' recompute_modules: 'moe_act'";
  EXPECT_EQ(kept("expert_dispatch: 'all-to-all'") - kept("expert_dispatch: 'all-to-all'" + again),
            2 * kInner);
}

// Whether the transfer of the tokens' gradients waits for the kernel before it, which makes the
// gradients of weights.
bool WaitsForWeights(const std::string& plan) {
  const BlockPass pass = Lowered(plan).lowered.backward;
  const BlockStep* transfer = Find(pass, "dx_routed");
  EXPECT_NE(transfer, nullptr);
  return std::any_of(transfer->after.begin(), transfer->after.end(), [&](int step) {
    return pass.steps[static_cast<std::size_t>(step)].name == "experts_in dw";
  });
}

TEST(ExpertDispatcher, ExchangesWaitForWhatWasLaunchedBefore) {
  const std::string plan = "data: 8 expert: 8 ";
  EXPECT_FALSE(WaitsForWeights(plan));
  EXPECT_TRUE(WaitsForWeights(plan + "expert_dispatch: 'all-to-all'"));
  EXPECT_FALSE(WaitsForWeights(plan + "expert_dispatch: 'all-to-all' overlap_experts: true"));
}

// Of Megatron-Core: dispatchers size their exchange by what the router made.
TEST(ExpertDispatcher, TheHostWaitsForTheRouter) {
  for (const char* name : {"all-to-all", "deepep", "hybridep"}) {
    const BlockPass pass = Lowered(absl::StrCat("data: 8 expert: 4 expert_dispatch: '", name,
                                                "' kernels { launches: 'megatron-core' }"))
                               .lowered.forward;
    const BlockStep* transfer = Find(pass, "x_routed");
    ASSERT_NE(transfer, nullptr);
    ASSERT_GE(transfer->host_after, 0) << name;
    EXPECT_EQ(pass.steps[static_cast<std::size_t>(transfer->host_after)].name, "routing") << name;
  }
}

// fused_bias_geglu.py: the number between the matmul and the activation.
TEST(ExpertKernels, TheHostWaitsBeforeAClampedActivation) {
  const std::string plan = "data: 8 expert: 4 expert_dispatch: 'all-to-all' kernels { launches: ";
  const auto waits_for = [](const BlockPass& pass) {
    const BlockStep& step = *Find(pass, "experts_act");
    return step.host_after < 0 ? std::string()
                               : pass.steps[static_cast<std::size_t>(step.host_after)].name;
  };
  const LoweredBlock clamped =
      Lowered(plan +
              "'megatron-core' eager_expert_clamp: true } recompute: 'modules' "
              "recompute_modules: 'moe_act'")
          .lowered;
  EXPECT_EQ(waits_for(clamped.forward), "experts_act clamp");
  EXPECT_EQ(waits_for(Lowered(plan + "'megatron-core' }").lowered.forward), "");
  EXPECT_EQ(waits_for(Lowered(plan + "'pytorch' eager_expert_clamp: true }").lowered.forward), "");
}

double HostOps(const std::string& kernels) {
  double ops = 0;
  const std::string plan = "data: 8 expert: 4 kernels { launches: 'megatron-core' " + kernels + "}";
  for (const BlockStep& step : Lowered(plan).lowered.forward.steps) ops += step.host_ops;
  return ops;
}

TEST(ExpertKernels, TheHostIssuesEagerOnes) {
  const double plain = HostOps("");
  // Two experts: a product and a sum each, and a join.
  EXPECT_NEAR(HostOps("eager_expert_bias: true ") - plain, 2 * 2 + 1, 1e-9);
  EXPECT_NEAR(HostOps("eager_expert_clamp: true ") - plain, 3, 1e-9);
}

// Transformer Engine's multi_tensor_quantize_impl has one kernel for all with delayed scaling only.
TEST(ExpertKernels, CastsAreEachExpertsToo) {
  const auto launches = [](const std::string& scaling, const char* experts) {
    const Layer layer = Lowered(
        absl::StrCat("data: 8 expert: 2 expert_dispatch: 'hybridep' precision { compute: 'fp8' ",
                     "scaling: '", scaling, "' } kernels { experts: '", experts, "' }"),
        Fidelity::kCalibrated);
    const ComputeCalibration c = Load(Proto("data: 8")).cluster.chip.calibration;
    return Find(layer.lowered.forward, "experts_in cast")->duration.seconds() /
           c.elementwise_launch.value();
  };
  // Four experts of a rank; a scale of its own takes two kernels.
  EXPECT_NEAR(launches("current", "each") - launches("current", "grouped"), 2 * 3, 1e-3);
  EXPECT_NEAR(launches("block", "each") - launches("block", "grouped"), 3, 1e-3);
  EXPECT_NEAR(launches("tensor", "each") - launches("tensor", "grouped"), 0, 1e-3);
}

TEST(ExpertKernels, OneForEachExpertTakesAsLongAsAllTogetherOrLonger) {
  const std::string plan = "data: 8 expert: 2 kernels { experts: '";
  for (const Fidelity fidelity : {Fidelity::kIdeal, Fidelity::kCalibrated}) {
    const LoweredBlock grouped = Lowered(plan + "grouped' }", fidelity).lowered;
    const LoweredBlock each = Lowered(plan + "each' }", fidelity).lowered;
    for (const char* name : {"experts_in", "experts_out"}) {
      const BlockStep& a = *Find(grouped.forward, name);
      const BlockStep& b = *Find(each.forward, name);
      EXPECT_EQ(a.flops.value(), b.flops.value());
      if (fidelity == Fidelity::kIdeal) {
        EXPECT_EQ(a.duration, b.duration) << name;
      } else {
        EXPECT_GT(b.duration.ps(), a.duration.ps()) << name;
      }
    }
  }
}

// Megatron-Core TEGroupedMLP._apply_bias, by the kernels that PyTorch runs for it (a = 2 bytes).
TEST(ExpertKernels, EagerBiases) {
  const std::string plan = "data: 8 expert: 4 kernels { eager_expert_bias: true } ";
  const double elements = kCopies / 2;
  // The router's weights are fp32 where these move them.
  const double wide_forward = 4 + (2 + 4 + 4) + (4 + 4) + (4 + 2);
  const double wide_backward = (2 + 4) + (4 + 2) + (2 + 2) + 2 * (4 + 4 + 4);
  for (const char* name : {"deepep", "hybridep"}) {
    const LoweredBlock wide = Lowered(absl::StrCat(plan, "expert_dispatch: '", name, "'")).lowered;
    EXPECT_EQ(BytesOf(wide.forward, "experts_out bias"), wide_forward * elements) << name;
    EXPECT_EQ(BytesOf(wide.backward, "experts_out bias backward"), wide_backward * elements);
  }
  const double forward = 2 + (2 + 2 + 2) + (2 + 2);
  const double backward = (2 + 2) + 2 * (2 + 2 + 2);
  const LoweredBlock layer = Lowered(plan + "expert_dispatch: 'all-to-all'").lowered;
  EXPECT_EQ(BytesOf(layer.forward, "experts_out bias"), forward * elements);
  EXPECT_EQ(BytesOf(layer.backward, "experts_out bias backward"), backward * elements);
  EXPECT_EQ(BytesOf(layer.forward, "experts_in bias"), -1);
  EXPECT_EQ(BytesOf(Lowered("data: 8 expert: 4").lowered.forward, "experts_out bias"), -1);
  // One expert: nothing to join.
  const LoweredBlock one = Lowered("data: 8 expert: 8 kernels { eager_expert_bias: true }").lowered;
  EXPECT_EQ(BytesOf(one.forward, "experts_out bias"), (forward - 4) * elements);
}

// Megatron-Core rope_utils.py _apply_rotary_pos_emb_bshd, of q and k in bf16: 16 heads of 64 each.
TEST(EagerKernels, RotaryOperationByOperation) {
  const LoweredBlock fused = Lowered("data: 8 expert: 8").lowered;
  const LoweredBlock eager = Lowered("data: 8 expert: 8 kernels { eager_rotary: true }").lowered;
  const double heads = 2 * kTokens * 16 * 64;
  EXPECT_EQ(BytesOf(fused.forward, "rotary"), (2 + 2) * heads);
  // Products 4, negated half 2, joined 4, product 4, sum 6, joined 4.
  EXPECT_EQ(BytesOf(eager.forward, "rotary"), (4 + 2 + 4 + 4 + 6 + 4) * heads);
  // Products 4 and 4, negated half 2, joined 4, sum 6, fill 2, sum 6.
  EXPECT_EQ(BytesOf(eager.backward, "rotary backward"), (4 + 4 + 2 + 4 + 6 + 2 + 6) * heads);
}

TEST(ExpertKernels, FusedOnesActivateAndQuantise) {
  const std::string plan = "data: 8 expert: 4 expert_dispatch: 'hybridep' ";
  const std::string fp8 = "precision { compute: 'fp8' scaling: 'mx' } ";
  const LoweredBlock grouped = Lowered(plan + fp8).lowered;
  const LoweredBlock fused = Lowered(plan + fp8 + "kernels { experts: 'fused' }").lowered;
  for (const char* gone : {"experts_act", "experts_out cast"}) {
    EXPECT_NE(Find(grouped.forward, gone), nullptr) << gone;
    EXPECT_EQ(Find(fused.forward, gone), nullptr) << gone;
  }
  for (const char* gone : {"experts_act backward", "experts_in gradient cast"}) {
    EXPECT_NE(Find(grouped.backward, gone), nullptr) << gone;
    EXPECT_EQ(Find(fused.backward, gone), nullptr) << gone;
  }
  for (const char* stays : {"experts_in cast", "experts_in", "experts_out", "shared_act"}) {
    EXPECT_NE(Find(fused.forward, stays), nullptr) << stays;
  }
  EXPECT_EQ(fused.kept_bytes, grouped.kept_bytes);
}

// HybridEP's transfers bring kernels of their own; with all-to-all they are Transformer Engine's.
TEST(ExpertDispatcher, PermutationsGoAtTheirOwnRate) {
  const auto seconds = [](const char* name, const char* kernel) {
    const Layer l = Lowered(absl::StrCat("data: 8 expert: 4 expert_dispatch: '", name, "'"),
                            Fidelity::kCalibrated);
    const BlockStep& step = *Find(l.lowered.forward, kernel);
    return std::pair(step.hbm_bytes.value(), step.duration.seconds());
  };
  const Chip chip = Load(Proto("data: 8")).cluster.chip;
  const ComputeCalibration& c = chip.calibration;
  ASSERT_LT(c.permutation_fraction, c.hbm_fraction);
  const double rate = chip.datasheet.hbm_rate.value(), launch = c.elementwise_launch.value();
  for (const char* name : {"all-to-all", "deepep"}) {
    const auto [bytes, time] = seconds(name, "dispatch by expert");
    EXPECT_NEAR(time, launch + bytes / (c.permutation_fraction * rate), 1e-11) << name;
  }
  const auto [bytes, time] = seconds("hybridep", "dispatch by expert");
  EXPECT_NEAR(time, launch + bytes / (c.hbm_fraction * rate), 1e-11);
}

TEST(ExpertKernels, EagerClamps) {
  const LoweredBlock plain = Lowered("data: 8 expert: 4").lowered;
  const LoweredBlock clamped =
      Lowered("data: 8 expert: 4 kernels { eager_expert_clamp: true }").lowered;
  EXPECT_EQ(BytesOf(plain.forward, "experts_act"), 3 * kInner);
  EXPECT_EQ(BytesOf(clamped.forward, "experts_act"), 3 * kInner);
  EXPECT_EQ(BytesOf(clamped.forward, "experts_act clamp"), (4 + 4) * kInner);
  EXPECT_EQ(BytesOf(clamped.backward, "experts_act clamp backward"),
            (3 + 5 + 3 + 3 + 3 + 5 + 8) / 2.0 * kInner);
  EXPECT_EQ(BytesOf(clamped.forward, "shared_act"), BytesOf(plain.forward, "shared_act"));
}

std::vector<std::string> RunsAgain(const std::string& modules) {
  std::vector<std::string> names;
  const std::string plan =
      absl::StrCat("data: 8 expert: 8 recompute: 'modules' recompute_modules: ", modules);
  for (const BlockStep& step : Lowered(plan).lowered.recompute.steps) names.push_back(step.name);
  return names;
}

TEST(RecomputeModules, AreMegatrons) {
  EXPECT_THAT(RunsAgain("['moe_act']"), ElementsAre("experts_act"));
  EXPECT_THAT(RunsAgain("['layernorm']"), ElementsAre("attention_norm", "mlp_norm"));
  EXPECT_THAT(RunsAgain("['core_attn', 'layernorm']"),
              ElementsAre("attention_norm", "attention", "mlp_norm"));
  EXPECT_THAT(RunsAgain("['mlp']"), ElementsAre());  // no dense layer
  EXPECT_THAT(RunsAgain("['moe']"),
              ElementsAre("router", "routing", "dispatch", "x_routed", "experts_in", "experts_act",
                          "experts_out", "y_routed", "combine", "shared_in", "shared_act",
                          "shared_out", "shared_add"));
  const auto kept = [](const std::string& recompute) {
    return Lowered("data: 8 expert: 8 " + recompute).lowered.kept_bytes;
  };
  // Not the activation function's output, which the experts' second matmul saves.
  EXPECT_EQ(kept("") - kept("recompute: 'modules' recompute_modules: 'moe_act'"), kInner);
}

double Seconds(const v1::Scenario& proto, bool unfolded = false) {
  return StepOf(Load(proto), Fidelity::kCalibrated, unfolded).run.makespan.seconds();
}

TEST(OverlapExperts, HidesTransfersBehindAnotherMicroBatch) {
  for (const char* pipeline : {"data: 16 ", "data: 8 pipeline: 2 virtual_stages: 2 "}) {
    const std::string plan = absl::StrCat(pipeline, "expert: 8 expert_dispatch: 'all-to-all' ");
    const double apart = Seconds(Proto(plan, 16));
    const double paired = Seconds(Proto(plan + "overlap_experts: true", 16));
    EXPECT_LT(paired, apart) << plan;
    EXPECT_EQ(paired, Seconds(Proto(plan + "overlap_experts: true", 16), true)) << plan;
  }
}

// Where no layer runs again, a policy is the same as none.
TEST(Recompute, OfNoLayersIsNone) {
  for (const std::string dispatch : {"", "all-to-all", "deepep", "hybridep", "gather"}) {
    const std::string plan = absl::StrCat("data: 8 expert: 8 expert_dispatch: '", dispatch, "' ");
    for (const std::string policy : {"selective", "matmuls", "alternate", "full"}) {
      EXPECT_EQ(Seconds(Proto(plan)),
                Seconds(Proto(absl::StrCat(plan, "recompute_layers: 0 recompute: '", policy, "'"))))
          << plan << policy;
    }
  }
}

// An activation that is not kept takes time to be made again, by whatever kernel.
TEST(RecomputeModules, FusedActivationsAreMadeAgain) {
  const std::string plan = "data: 8 expert: 8 kernels { experts: 'fused' } ";
  EXPECT_GT(Seconds(Proto(plan + "recompute: 'modules' recompute_modules: 'moe_act'")),
            Seconds(Proto(plan)));
}

TEST(ExpertPlans, TilesHaveARowAtLeast) {
  EXPECT_THAT(Problem("data: 8 expert: 4 kernels { expert_tile_rows: 0.5 }"),
              HasSubstr("plan.kernels.expert_tile_rows: is 0.5"));
}

TEST(ExpertPlans, ExpandToTheSameStep) {
  for (const char* plan :
       {"data: 8 expert: 4 expert_dispatch: 'deepep' overlap_experts: true kernels { experts: "
        "'each' eager_expert_bias: true eager_expert_clamp: true }",
        "data: 8 expert: 4 expert_dispatch: 'hybridep' kernels { experts: 'fused' eager_rotary: "
        "true }",
        "data: 4 pipeline: 2 virtual_stages: 2 expert: 4 expert_dispatch: 'all-to-all' "
        "overlap_experts: true recompute: 'modules' recompute_modules: ['moe', 'layernorm']"}) {
    const v1::Scenario proto = Proto(plan);
    EXPECT_EQ(Seconds(proto), Seconds(ExpandScenario(proto, Catalog()))) << plan;
  }
}

TEST(ExpertPlans, SayWhatDoesNotGo) {
  const std::string plan = "data: 8 expert: 8 ";
  EXPECT_THAT(
      Problem(plan + "expert_dispatch: 'nccl'"),
      HasSubstr("plan.expert_dispatch: is \"nccl\", expected all-to-all, deepep, hybridep"));
  EXPECT_THAT(Problem(plan + "kernels { experts: 'all' }"),
              HasSubstr("plan.kernels.experts: is \"all\", expected grouped, each, fused"));
  EXPECT_THAT(Problem("data: 4 pipeline: 2 expert: 4 overlap_experts: true"),
              HasSubstr("plan.overlap_experts: is true with schedule \"1f1b\" in 2 stages"));
  EXPECT_THAT(Problem("data: 4 pipeline: 2 schedule: 'gpipe' expert: 4 overlap_experts: true"),
              HasSubstr("plan.overlap_experts: is true with schedule \"gpipe\""));
  EXPECT_THAT(Problem(plan + "recompute: 'modules'"),
              HasSubstr("plan.recompute: is \"modules\" without recompute_modules"));
  EXPECT_THAT(Problem(plan + "recompute: 'full' recompute_modules: 'moe'"),
              HasSubstr("plan.recompute_modules: is set with recompute \"full\""));
  EXPECT_THAT(Problem(plan + "recompute: 'modules' recompute_modules: 'router'"),
              HasSubstr("plan.recompute_modules[0]: is \"router\", expected one of layernorm"));
}

}  // namespace
}  // namespace meshstep
