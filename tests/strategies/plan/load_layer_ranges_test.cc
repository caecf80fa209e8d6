// Ranges of layers with settings of their own: what they name, what they change and what is refused.

#include "strategies/plan/load_layer_ranges.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/catalog.h"
#include "strategies/plan/load_scenario.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

v1::Scenario Proto(const std::string& plan, const char* cluster = "dgx-b200") {
  return ParseScenario(absl::StrCat(
      "model { name: 'toy' layers: 40 hidden: 1024 heads: 16 ffn: 4096 vocab: 8192 } cluster { "
      "preset: '",
      cluster,
      "' chips: 8 } workload { global_batch_sequences: 8 sequence_length: 512 } plan { "
      "fsdp: 8 ",
      plan, " }"));
}

std::vector<std::pair<int, int>> Layers(const std::string& layers) {
  const Scenario scenario =
      Load(Proto(absl::StrCat("layer_ranges { layers: '", layers, "' recompute: 'full' }")));
  std::vector<std::pair<int, int>> found;
  for (const LayerRange& range : scenario.plan.layer_ranges) {
    found.emplace_back(range.begin, range.end);
  }
  return found;
}

std::string Error(const std::string& plan, const char* cluster = "dgx-b200") {
  Diagnostics diagnostics;
  LoadScenario(Proto(plan, cluster), Catalog(), &diagnostics);
  return std::string(diagnostics.status().message());
}

TEST(LayerRanges, Layers) {
  EXPECT_THAT(Layers("3"), ElementsAre(Pair(3, 4)));
  EXPECT_THAT(Layers("-1"), ElementsAre(Pair(39, 40)));
  EXPECT_THAT(Layers("0..1,-2..-1"), ElementsAre(Pair(0, 2), Pair(38, 40)));
  EXPECT_THAT(Layers(".."), ElementsAre(Pair(0, 40)));
  EXPECT_THAT(Layers("..10%"), ElementsAre(Pair(0, 4)));
  // The last 15 %: 6 of 40.
  EXPECT_THAT(Layers("85%.."), ElementsAre(Pair(34, 40)));
  // 0.86 of 40 is inside layer 34.
  EXPECT_THAT(Layers("86%.."), ElementsAre(Pair(34, 40)));
}

TEST(LayerRanges, WhatIsNotALayerIsRefused) {
  for (const char* layers :
       {"", "40", "-41", "3..1", "x", "50%", "1.5", "0..40", "120%..", "1,,2"}) {
    EXPECT_THAT(Error(absl::StrCat("layer_ranges { layers: '", layers, "' recompute: 'full' }")),
                HasSubstr(absl::StrCat("plan.layer_ranges[0].layers: is \"", layers,
                                       "\", expected layers of 40")))
        << layers;
  }
}

// NVFP4 with the last 15 % in bf16 (torchtitan nvfp4_bf16_tail_fqns), and fp8 with the first and the
// last two layers in bf16 (Megatron-LM first_last_layers_bf16).
TEST(LayerRanges, Precision) {
  const Plan tail = Load(Proto("precision { compute: 'fp4' } layer_ranges { layers: '85%..' "
                               "compute: 'bf16' }"))
                        .plan;
  ASSERT_EQ(RangeOf(tail, 33), -1);
  ASSERT_EQ(RangeOf(tail, 34), 0);
  const Precision& bf16 = tail.layer_ranges[0].precision;
  EXPECT_EQ(bf16.compute, Dtype::kBf16);
  EXPECT_EQ(bf16.gather, Dtype::kBf16);
  EXPECT_FALSE(bf16.quantised());
  EXPECT_EQ(WithRange(tail, tail.layer_ranges[0]).precision.compute, Dtype::kBf16);
  const Plan ends = Load(Proto("precision { compute: 'fp8' scaling: 'block' } "
                               "layer_ranges { layers: '0,-1' compute: 'bf16' } "
                               "layer_ranges { layers: '-1' scaling: 'mx' }"))
                        .plan;
  EXPECT_EQ(RangeOf(ends, 0), 0);
  EXPECT_EQ(RangeOf(ends, 1), -1);
  // The last range that holds a layer counts.
  EXPECT_EQ(RangeOf(ends, 39), 2);
  EXPECT_EQ(ends.layer_ranges[2].precision.scaling, Scaling::kMx);
}

TEST(LayerRanges, WhatIsNotGivenIsThePlans) {
  const Plan plan =
      Load(Proto("recompute: 'full' recompute_keep: 'qkv' offload { activations: 0.5 } "
                 "layer_ranges { layers: '0' compute: 'fp8' } "
                 "layer_ranges { layers: '1' recompute: 'none' } "
                 "layer_ranges { layers: '2' offload { activations: 1 } }"))
          .plan;
  EXPECT_EQ(plan.layer_ranges[0].recompute, Recompute::kFull);
  EXPECT_THAT(plan.layer_ranges[0].recompute_keep, ElementsAre("qkv"));
  EXPECT_EQ(plan.layer_ranges[1].recompute, Recompute::kNone);
  EXPECT_THAT(plan.layer_ranges[1].recompute_keep, IsEmpty());
  EXPECT_EQ(plan.layer_ranges[1].offload.activations, 0.5);
  EXPECT_EQ(plan.layer_ranges[2].offload.activations, 1);
}

TEST(LayerRanges, SettingsAreChecked) {
  EXPECT_THAT(Error("layer_ranges { layers: '0' compute: 'fp4' }", "dgx-h100"),
              HasSubstr("plan.layer_ranges[0].compute: is \"fp4\", which h100-sxm has no matrix "
                        "rate for"));
  EXPECT_THAT(Error("layer_ranges { layers: '0' compute: 'fp32' }"),
              HasSubstr("plan.layer_ranges[0].compute: makes activations fp32"));
  EXPECT_THAT(Error("layer_ranges { layers: '0' recompute: 'some' }"),
              HasSubstr("plan.layer_ranges[0].recompute: is \"some\""));
  EXPECT_THAT(Error("layer_ranges { layers: '0' recompute_keep: 'qkv' }"),
              HasSubstr("plan.layer_ranges[0].recompute: is missing"));
}

}  // namespace
}  // namespace meshstep
