#include "sim/simulate/simulate.h"

#include <atomic>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/proto_file.h"
#include "sim/engine/engine.h"
#include "sim/simulate/report.h"
#include "strategies/plan/load_scenario.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kModelsAndClusters[] = {
    "model { preset: 'llama-3-8b' layers: 4 } cluster { preset: 'dgx-h100' chips: 16 }",
    "model { preset: 'llama-2-13b' layers: 4 } cluster { preset: 'dgx-a100' chips: 16 }",
    "model { preset: 'mixtral-8x7b' layers: 4 } cluster { preset: 'dgx-h200' chips: 16 }",
    "model { preset: 'gpt3-175b' layers: 4 } cluster { preset: 'gb200-nvl72' chips: 16 }",
    "model { preset: 'qwen-3-30b-a3b' layers: 4 } cluster { preset: 'hgx-h800-deepseek' chips: 16 "
    "}",
    "model { preset: 'llama-3-8b' layers: 4 } cluster { preset: 'tpu-v5p' slice: '2x2x4' }",
    "model { preset: 'gemma-7b' layers: 4 } cluster { preset: 'tpu-v5e' slice: '4x4' }",
    // Errors are results as well.
    "model { preset: 'llama-9-8b' } cluster { preset: 'dgx-h100' chips: 16 }"};
constexpr const char* kPlans[] = {
    "data: 16",
    "fsdp: 16 recompute: 'full'",
    "fsdp: 4 tensor: 4 sequence_parallel: true",
    "data: 4 pipeline: 4 micro_batch_sequences: 1",
    "fsdp: 8 context: 2",
    "data: 2 tensor: 2 pipeline: 4 schedule: 'zb-h1' micro_batch_sequences: 1",
    "data: 16 zero_stage: 1 kernels { preset: 'megatron-core' }",
    "fsdp: 16 kernels { preset: 'torchtitan' }"};

std::vector<v1::Scenario> SixtyFour() {
  std::vector<v1::Scenario> scenarios;
  for (const char* on : kModelsAndClusters) {
    for (const char* plan : kPlans) {
      scenarios.push_back(ParseScenario(
          absl::StrCat(on, " workload { global_batch_sequences: 32 sequence_length: 1024 } plan { ",
                       plan, " }")));
    }
  }
  return scenarios;
}

// The report's bytes, or the error.
std::string Result(const v1::Scenario& scenario, const Catalog& catalog) {
  const StatusOr<v1::SimulateReport> report = Simulate(scenario, {.catalog = &catalog});
  return report.ok() ? report->SerializeAsString() : std::string(report.status().message());
}

TEST(Simulate, EightThreadsGiveTheBytesOfOne) {
  const std::vector<v1::Scenario> scenarios = SixtyFour();
  ASSERT_EQ(scenarios.size(), 64u);
  const Catalog shared;  // what threads read first, they read at once
  std::vector<std::string> together(scenarios.size());
  std::atomic<std::size_t> next = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&] {
        for (std::size_t i = next++; i < scenarios.size(); i = next++) {
          together[i] = Result(scenarios[i], shared);
        }
      });
    }
  }
  const Catalog own;
  int reports = 0;
  for (std::size_t i = 0; i < scenarios.size(); ++i) {
    EXPECT_EQ(together[i], Result(scenarios[i], own)) << scenarios[i].ShortDebugString();
    if (Simulate(scenarios[i], {.catalog = &own}).ok()) ++reports;
  }
  EXPECT_EQ(reports, 56) << "the last eight have no model";
}

TEST(Simulate, AllFormsAgree) {
  const v1::Scenario proto = SixtyFour()[2];
  const SimulateOptions ideal{.fidelity = Fidelity::kIdeal};
  const StatusOr<v1::SimulateReport> report = Simulate(proto, ideal);
  ASSERT_TRUE(report.ok()) << report.status();
  const StatusOr<SimulatedStep> step = SimulateStep(proto, ideal);
  ASSERT_TRUE(step.ok()) << step.status();
  const StatusOr<SimulatedStep> loaded = SimulateStep(Load(proto), ideal);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(report->SerializeAsString(), step->report.SerializeAsString());
  EXPECT_EQ(report->SerializeAsString(), loaded->report.SerializeAsString());
  EXPECT_EQ(RunGraph(step->step.graph)->makespan, step->run.makespan);
  EXPECT_EQ(report->step_time_s(), step->run.makespan.seconds());
  EXPECT_EQ(step->scenario.plan.axes.size(), Load(proto).plan.axes.size());
}

// A locator tells where the field of an error stands, whether the plan fails when it is loaded or
// when it is lowered; without one the error names the field.
TEST(Simulate, ErrorsSayWhere) {
  const auto error = [](const std::string& plan, bool locate) {
    const std::string text = absl::StrCat(
        "model { preset: 'llama-3-8b' }\ncluster { preset: 'tpu-v5p' slice: '4x4x4' }\n"
        "workload { global_batch_sequences: 64 sequence_length: 1024 }\nplan { ",
        plan, " }\n");
    v1::Scenario proto;
    SimulateOptions options;
    EXPECT_TRUE(ParseMessage("my.textproto", text, InputFormat::kTextproto, &proto,
                             locate ? &options.locator : nullptr)
                    .ok());
    const StatusOr<v1::SimulateReport> report = Simulate(proto, options);
    EXPECT_EQ(report.status().code(), absl::StatusCode::kInvalidArgument) << plan;
    return std::string(report.status().message());
  };
  const std::string loading = "data: 4 tensor: 16 order: 'x'";
  EXPECT_THAT(error(loading, true), StartsWith("my.textproto:4:27: plan.order: is \"x\""));
  EXPECT_THAT(error(loading, false), StartsWith("plan.order: is \"x\""));
  const std::string lowering =
      "mesh { axes { name: 'data' size: 8 physical: 'x' } axes { name: 'rest' size: 8 } }";
  EXPECT_THAT(error(lowering, true), StartsWith("my.textproto:4:8: plan.mesh: axis \"data\" has"));
  EXPECT_THAT(error(lowering, false), StartsWith("plan.mesh: axis \"data\" has size 8"));
}

TEST(Simulate, WhatIsTooLargeIsRefused) {
  const v1::Scenario proto = ParseScenario(
      "model { preset: 'llama-3-8b' } cluster { preset: 'dgx-h100' chips: 16 } workload { "
      "global_batch_sequences: 1048576 sequence_length: 1024 } plan { data: 16 "
      "micro_batch_sequences: 1 }");
  const StatusOr<v1::SimulateReport> report = Simulate(proto, {});
  EXPECT_EQ(report.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(report.status().message()),
              HasSubstr("65536 micro-batches of 32 layers are about"));
}

}  // namespace
}  // namespace meshstep
