#include "strategies/plan/load_framework.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "meshstep/v1/framework.pb.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/data_path.h"
#include "sim/base/set_field.h"
#include "strategies/plan/load_scenario.h"

namespace meshstep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::Scenario Dense() {
  v1::Scenario scenario;
  scenario.mutable_model()->set_preset("llama-3-8b");
  scenario.mutable_cluster()->set_preset("dgx-h100");
  scenario.mutable_cluster()->set_chips(16);
  scenario.mutable_workload()->set_global_batch_sequences(16);
  scenario.mutable_workload()->set_sequence_length(8192);
  scenario.mutable_plan()->set_fsdp(16);
  return scenario;
}

v1::Scenario Routed() {
  v1::Scenario scenario = Dense();
  scenario.mutable_model()->set_preset("qwen-3-235b-a22b");
  scenario.mutable_plan()->set_fsdp(8);
  scenario.mutable_plan()->set_tensor(2);
  scenario.mutable_plan()->set_expert(8);
  return scenario;
}

// The scenario's plan with `framework` and fields that are set.
Plan PlanOf(v1::Scenario scenario, const std::string& framework,
            const std::vector<std::string>& sets = {}) {
  scenario.mutable_plan()->set_framework(framework);
  for (const std::string& set : sets) EXPECT_TRUE(SetField(set, &scenario).ok()) << set;
  Diagnostics diagnostics;
  const Scenario loaded = LoadScenario(scenario, Catalog(), &diagnostics);
  EXPECT_TRUE(diagnostics.ok()) << std::string(diagnostics.status().message());
  return loaded.plan;
}

std::string ErrorOf(v1::Scenario scenario) {
  Diagnostics diagnostics;
  LoadScenario(scenario, Catalog(), &diagnostics);
  return diagnostics.ok() ? "" : std::string(diagnostics.status().message());
}

TEST(LoadFramework, FieldsOfTheScenarioStandOverItsDefaults) {
  // strategies/frameworks/torchtitan.textproto
  EXPECT_EQ(PlanOf(Dense(), "torchtitan").precision.reduce, Dtype::kFp32);
  EXPECT_EQ(PlanOf(Dense(), "torchtitan", {"plan.precision.reduce=bf16"}).precision.reduce,
            Dtype::kBf16);
  EXPECT_FALSE(
      PlanOf(Dense(), "torchtitan", {"plan.kernels.repeated_heads=false"}).kernels.repeated_heads);
}

TEST(LoadFramework, AFileBuildsOnAnother) {
  const Plan eager = PlanOf(Dense(), "torchtitan"),
             compiled = PlanOf(Dense(), "torchtitan-compiled");
  EXPECT_EQ(eager.kernels.elementwise, Kernels::Elementwise::kEager);
  EXPECT_EQ(compiled.kernels.elementwise, Kernels::Elementwise::kInductor);
  EXPECT_EQ(compiled.flash_kernel, eager.flash_kernel);
  EXPECT_TRUE(compiled.kernels.repeated_heads);
}

TEST(LoadFramework, EntriesHoldForDegrees) {
  EXPECT_EQ(PlanOf(Dense(), "torchtitan").kernels.sharded_copies, Kernels::ShardedCopies::kEach);
  EXPECT_EQ(PlanOf(Dense(), "torchtitan", {"plan.fsdp=1", "plan.data=16"}).kernels.sharded_copies,
            Kernels::ShardedCopies::kNone);
  // zero_stage 3 is FSDP.
  EXPECT_EQ(PlanOf(Dense(), "torchtitan", {"plan.fsdp=1", "plan.data=16", "plan.zero_stage=3"})
                .kernels.sharded_copies,
            Kernels::ShardedCopies::kEach);
  EXPECT_EQ(PlanOf(Dense(), "megatron-core", {"plan.fsdp=1", "plan.data=16"}).zero_stage, 1);
  EXPECT_EQ(PlanOf(Dense(), "megatron-core", {"plan.fsdp=1", "plan.data=16", "plan.zero_stage=0"})
                .zero_stage,
            0);
}

TEST(LoadFramework, EntriesHoldForChipsFormatsReleasesAndModels) {
  // cuBLAS 2 x 32 MiB and Transformer Engine 32 MiB on Hopper: 96 MiB; 2 x 8.125 + 32 on Blackwell.
  EXPECT_EQ(PlanOf(Dense(), "megatron-core").kernels.library_workspace_bytes, 96 * 1048576.0);
  EXPECT_EQ(
      PlanOf(Dense(), "megatron-core", {"cluster.preset=dgx-b200"}).kernels.library_workspace_bytes,
      (2 * 8.125 + 32) * 1048576);
  EXPECT_EQ(PlanOf(Dense(), "megatron-bridge", {"plan.precision.compute=fp8"}).precision.scaling,
            Scaling::kCurrent);
  EXPECT_EQ(PlanOf(Dense(), "nemo@24.07", {"plan.precision.compute=fp8"}).precision.scaling,
            Scaling::kTensor);
  EXPECT_EQ(PlanOf(Dense(), "nemo@24.07").flash_kernel, "cudnn-2024");
  EXPECT_EQ(PlanOf(Dense(), "nemo@25.02").flash_kernel, "");
  // 0.9 is before 0.10, 0.15 is not.
  EXPECT_EQ(PlanOf(Dense(), "megatron-core@0.9").flash_kernel, "cudnn-2024");
  EXPECT_EQ(PlanOf(Dense(), "megatron-core@0.15").flash_kernel, "");
  EXPECT_EQ(PlanOf(Routed(), "megatron-bridge").expert_dispatch, ExpertDispatch::kAllToAll);
  EXPECT_EQ(PlanOf(Routed(), "megatron-bridge", {"cluster.preset=dgx-h200"}).expert_dispatch,
            ExpertDispatch::kHybridEp);
}

// Megatron-Bridge's mixed_precision.py: fp8_param_gather, but for block scales.
TEST(LoadFramework, RecipesInFp8StoreParametersInFp8) {
  const auto stored = [](const std::string& framework, const std::vector<std::string>& sets) {
    return PlanOf(Dense(), framework, sets).precision.parameters;
  };
  const std::string fp8 = "plan.precision.compute=fp8", scaling = "plan.precision.scaling=";
  EXPECT_EQ(stored("megatron-bridge", {}), Dtype::kBf16);
  EXPECT_EQ(stored("megatron-bridge", {fp8}), Dtype::kFp8);
  EXPECT_EQ(stored("megatron-bridge", {fp8, scaling + "tensor"}), Dtype::kFp8);
  EXPECT_EQ(stored("megatron-bridge", {fp8, scaling + "block"}), Dtype::kBf16);
  EXPECT_EQ(stored("nemo@24.07", {fp8}), Dtype::kFp8);
  EXPECT_EQ(stored("megatron-core", {fp8}), Dtype::kBf16);
}

// Megatron reduces gradients in the type of its main gradients, whatever that is.
TEST(LoadFramework, ReductionsFollowTheTypeOfGradients) {
  const std::string fp32 = "plan.precision.gradients=fp32", bf16 = "plan.precision.reduce=bf16";
  const auto reduce = [](const std::string& framework, const std::vector<std::string>& sets) {
    return PlanOf(Dense(), framework, sets).precision.reduce;
  };
  EXPECT_EQ(reduce("megatron-bridge", {}), Dtype::kBf16);
  EXPECT_EQ(reduce("megatron-bridge", {fp32}), Dtype::kFp32);
  EXPECT_EQ(reduce("megatron-bridge", {fp32, bf16}), Dtype::kBf16);
  // FSDP's mixed precision says what is on the wire.
  EXPECT_EQ(reduce("pytorch-fsdp", {fp32}), Dtype::kBf16);
}

TEST(LoadFramework, MegatronsExpertsAreAsWideAsTensor) {
  const auto width = [](const Plan& plan) {
    for (const auto& [name, size] : Degrees(plan)) {
      if (name == "expert_tensor" || name == "expert-tensor") return size;
    }
    return 1;
  };
  EXPECT_EQ(width(PlanOf(Routed(), "megatron-core")), 2);
  EXPECT_EQ(width(PlanOf(Routed(), "megatron-core", {"plan.expert_tensor=1"})), 1);
  EXPECT_EQ(width(PlanOf(Routed(), "megatron-bridge")), 1);
}

TEST(LoadFramework, LayoutsHoldForPartsOfTheModelThatIsThere) {
  v1::Scenario scenario = Dense();
  scenario.mutable_model()->set_preset("deepseek-v3");
  scenario.mutable_cluster()->set_chips(256);
  scenario.mutable_workload()->set_global_batch_sequences(256);
  v1::Plan* const plan = scenario.mutable_plan();
  plan->clear_fsdp();
  plan->set_data(16);
  plan->set_pipeline(16);
  plan->set_expert(16);
  // Megatron-Bridge's recipe for 16 parts, without and with multi-token prediction.
  EXPECT_EQ(PlanOf(scenario, "megatron-bridge").layout, "Et*4|(t*4|)*14tL");
  EXPECT_EQ(PlanOf(scenario, "megatron-bridge", {"model.mtp_layers=1"}).layout,
            "Et*4|(t*4|)*14tmL");
  EXPECT_EQ(PlanOf(scenario, "nemo@25.02").layout, "");
}

TEST(LoadFramework, PresetOfKernelsIsASynonym) {
  v1::Scenario scenario = Dense();
  scenario.mutable_plan()->mutable_kernels()->set_preset("torchtitan");
  Diagnostics diagnostics;
  const Scenario loaded = LoadScenario(scenario, Catalog(), &diagnostics);
  ASSERT_TRUE(diagnostics.ok());
  EXPECT_EQ(loaded.plan.framework, "torchtitan");
  EXPECT_EQ(loaded.plan.precision.reduce, Dtype::kFp32);
  scenario.mutable_plan()->set_framework("megatron-core");
  EXPECT_THAT(ErrorOf(scenario), HasSubstr("is \"torchtitan\" beside framework \"megatron-core\""));
}

TEST(LoadFramework, WhatIsWrong) {
  v1::Scenario scenario = Dense();
  scenario.mutable_plan()->set_framework("torchtita");
  EXPECT_THAT(ErrorOf(scenario), HasSubstr("plan.framework"));
  EXPECT_THAT(ErrorOf(scenario), HasSubstr("torchtitan"));
  scenario.mutable_plan()->set_framework("maxtext");
  scenario.mutable_plan()->add_framework_options("speed");
  EXPECT_THAT(ErrorOf(scenario), HasSubstr("framework_options[0]: is \"speed\", expected one of"));
  scenario.mutable_plan()->clear_framework();
  EXPECT_THAT(ErrorOf(scenario), HasSubstr("framework_options: is given, but no framework"));
}

// Every framework runs dense and routed models, in training, forward alone and as it is expanded.
TEST(LoadFramework, EveryFileLoadsAndExpandsToItself) {
  const Catalog catalog;
  for (const std::string& name : ListPresets("strategies/frameworks")) {
    const auto files = ReadFramework(name, catalog);
    ASSERT_TRUE(files.ok()) << name << std::string(files.status().message());
    EXPECT_FALSE(files->back().description().empty()) << name;
    for (const v1::Framework& file : *files) {
      for (const v1::FrameworkEntry& entry : file.entries()) {
        EXPECT_FALSE(entry.source().empty()) << name;
      }
    }
    for (v1::Scenario scenario : {Dense(), Routed()}) {
      scenario.mutable_plan()->set_framework(name);
      EXPECT_EQ(ErrorOf(scenario), "") << name;
      const v1::Scenario once = ExpandScenario(scenario, catalog);
      const v1::Scenario twice = ExpandScenario(once, catalog);
      EXPECT_EQ(once.plan().SerializeAsString(), twice.plan().SerializeAsString()) << name;
      for (const v1::Workload::Mode mode : {v1::Workload::PREFILL, v1::Workload::DECODE}) {
        scenario.mutable_workload()->set_mode(mode);
        EXPECT_EQ(ErrorOf(scenario), "") << name;
      }
    }
  }
}

TEST(LoadFramework, AListOfTheFrameworkCanBeEmptied) {
  const Plan whole = PlanOf(Dense(), "megatron-core");
  EXPECT_TRUE(whole.kernels.zeroes_gradients);
  EXPECT_FALSE(PlanOf(Dense(), "megatron-core", {"plan.kernels.gradient_passes=none"})
                   .kernels.zeroes_gradients);
}

}  // namespace
}  // namespace meshstep
