// What a scenario says beside its plan: which library runs the collectives, how axes lie.

#include "strategies/plan/load_scenario.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/catalog.h"

namespace meshstep {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

v1::Scenario Parse(const std::string& cluster, const std::string& plan) {
  v1::Scenario proto;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      absl::StrCat("model { preset: 'llama-3-8b' } workload { global_batch_sequences: 1024 "
                   "sequence_length: 8192 } cluster { ",
                   cluster, " } plan { ", plan, " }"),
      &proto));
  return proto;
}

Scenario Load(const v1::Scenario& proto) {
  Diagnostics diagnostics;
  Scenario scenario = LoadScenario(proto, Catalog(), &diagnostics);
  EXPECT_TRUE(diagnostics.ok()) << diagnostics.status();
  return scenario;
}

bool Has(const Cluster& cluster, const std::string& algorithm) {
  const std::vector<LibraryAlgorithm>& all = cluster.library->algorithms;
  return std::any_of(all.begin(), all.end(),
                     [&](const LibraryAlgorithm& one) { return one.name == algorithm; });
}

constexpr char kNodes[] = "preset: 'dgx-h100' chips: 16";

// NCCL has PAT from 2.23 on, trees over NVLink SHARP from 2.18 on.
TEST(CollectiveLibrary, ThePlanSaysWhichAndWhichRelease) {
  const Cluster usual = Load(Parse(kNodes, "fsdp: 16")).cluster;
  EXPECT_EQ(usual.library->name, "nccl");
  EXPECT_TRUE(Has(usual, "PAT") && Has(usual, "NVLSTree"));
  const Cluster older = Load(Parse(kNodes, "fsdp: 16 collective_library: 'nccl@2.19'")).cluster;
  EXPECT_EQ(older.library->release, "2.19");
  EXPECT_FALSE(Has(older, "PAT"));
  EXPECT_TRUE(Has(older, "NVLSTree"));
  const Cluster other = Load(Parse(kNodes, "fsdp: 16 collective_library: 'rccl'")).cluster;
  EXPECT_EQ(other.library->name, "rccl");
}

TEST(CollectiveLibrary, ThePlanStandsOverTheCluster) {
  const std::string rccl = absl::StrCat(kNodes, " library { preset: 'rccl' }");
  EXPECT_EQ(Load(Parse(rccl, "fsdp: 16")).cluster.library->name, "rccl");
  EXPECT_EQ(Load(Parse(rccl, "fsdp: 16 collective_library: 'nccl'")).cluster.library->name, "nccl");
}

TEST(CollectiveLibrary, IsKeptByTheExpansion) {
  const v1::Scenario given = Parse(kNodes, "fsdp: 16 collective_library: 'nccl@2.17'");
  const v1::Scenario expanded = ExpandScenario(given, Catalog());
  EXPECT_EQ(expanded.plan().collective_library(), "nccl@2.17");
  EXPECT_FALSE(Has(Load(expanded).cluster, "NVLSTree"));
}

TEST(CollectiveLibrary, OneThatIsNoFileIsRefused) {
  Diagnostics diagnostics;
  LoadScenario(Parse(kNodes, "fsdp: 16 collective_library: 'mpi'"), Catalog(), &diagnostics);
  EXPECT_THAT(std::string(diagnostics.status().message()),
              testing::AllOf(HasSubstr("plan.collective_library"), HasSubstr("mpi")));
}

// 16x16 of v5e closes both ways. Tensor 8 has 4 chips of one dimension and 2 of the other: two links
// of the three that a ring of 4 and a line of 2 would have.
TEST(Lines, SayWhatTheyCost) {
  const Scenario line = Load(Parse("preset: 'tpu-v5e' slice: '16x16'", "fsdp: 32 tensor: 8"));
  EXPECT_THAT(line.notes,
              Contains(testing::AllOf(HasSubstr("axis \"tensor\" of 8 lies in 4 of the 16"),
                                      HasSubstr("1.5 times as long"))));
  const Scenario ring = Load(Parse("preset: 'tpu-v5e' slice: '16x16'", "fsdp: 16 tensor: 16"));
  EXPECT_THAT(ring.notes, Not(Contains(HasSubstr("lies in"))));
  // No dimension of 4x4 of v5e closes: it is not the place that costs.
  const Scenario open = Load(Parse("preset: 'tpu-v5e' slice: '4x4'", "fsdp: 4 tensor: 4"));
  EXPECT_THAT(open.notes, Not(Contains(HasSubstr("lies in"))));
}

// What a kind of layers lacks is said once, not of the model's own layer too.
TEST(LayerKinds, TheirProblemIsAllThatIsSaid) {
  v1::Scenario proto = Parse(kNodes, "fsdp: 16");
  v1::LayerKind* kind = proto.mutable_model()->add_layer_kinds();
  kind->set_mixer(v1::LayerKind::MAMBA);
  Diagnostics diagnostics;
  LoadScenario(proto, Catalog(), &diagnostics);
  EXPECT_EQ(std::string(diagnostics.status().message()),
            "model.layer_kinds[0].mamba: is not set, expected what state-space layers hold");
}

}  // namespace
}  // namespace meshstep
