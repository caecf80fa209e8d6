#include "sim/base/catalog.h"

#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "meshstep/v1/chip.pb.h"
#include "meshstep/v1/cluster.pb.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/data_path.h"
#include "sim/base/diagnostics.h"

namespace meshstep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::Cluster Resolved(v1::Cluster cluster) {
  Diagnostics diagnostics;
  Catalog().Resolve("topologies/clusters", "cluster", &cluster, &diagnostics);
  EXPECT_THAT(diagnostics.errors(), ElementsAre());
  return cluster;
}

TEST(Catalog, WithoutPresetNothingHappens) {
  v1::Cluster cluster;
  cluster.set_slice("4x4x4");
  EXPECT_EQ(Resolved(cluster).SerializeAsString(), cluster.SerializeAsString());
}

TEST(Catalog, InlineFieldsGoOverThePreset) {
  v1::Cluster cluster;
  cluster.set_preset("tpu-v5p");
  const v1::Cluster preset = Resolved(cluster);
  EXPECT_NE(preset.description(), "");

  cluster.set_slice("4x4x8");
  cluster.mutable_chip()->set_vendor("someone");
  const v1::Cluster merged = Resolved(cluster);
  EXPECT_EQ(merged.slice(), "4x4x8");
  EXPECT_EQ(merged.description(), preset.description());
  // A sub-message merges: the chip's other fields stay.
  EXPECT_EQ(merged.chip().vendor(), "someone");
  EXPECT_EQ(merged.chip().preset(), preset.chip().preset());
}

v1::Chip ResolvedChip(v1::Chip chip) {
  Diagnostics diagnostics;
  Catalog().Resolve("topologies/chips", "chip", &chip, &diagnostics);
  EXPECT_THAT(diagnostics.errors(), ElementsAre());
  return chip;
}

TEST(Catalog, ExplicitZeroOverrides) {
  v1::Chip chip;
  chip.set_preset("h100-sxm");
  const v1::Chip preset = ResolvedChip(chip);
  ASSERT_GT(preset.datasheet().link_gbytes_per_s(), 0);
  ASSERT_TRUE(preset.interconnect().in_network_reduction());

  chip.mutable_datasheet()->set_link_gbytes_per_s(0);
  chip.mutable_interconnect()->set_in_network_reduction(false);
  const v1::Chip merged = ResolvedChip(chip);
  EXPECT_TRUE(merged.datasheet().has_link_gbytes_per_s());
  EXPECT_EQ(merged.datasheet().link_gbytes_per_s(), 0);
  EXPECT_TRUE(merged.interconnect().has_in_network_reduction());
  EXPECT_FALSE(merged.interconnect().in_network_reduction());
  EXPECT_EQ(merged.datasheet().hbm_bytes(), preset.datasheet().hbm_bytes());
}

TEST(Catalog, RepeatedFieldsReplace) {
  v1::Chip chip;
  chip.set_preset("h100-sxm");
  const v1::Chip preset = ResolvedChip(chip);
  ASSERT_GT(preset.datasheet().matmul_size(), 1);

  chip.mutable_datasheet()->add_matmul()->set_dtype("bf16");
  const v1::Chip merged = ResolvedChip(chip);
  ASSERT_EQ(merged.datasheet().matmul_size(), 1);
  EXPECT_EQ(merged.datasheet().matmul(0).dtype(), "bf16");
  EXPECT_EQ(merged.datasheet().matmul(0).flops_per_s(), 0) << "elements do not merge";
  EXPECT_EQ(merged.sources_size(), preset.sources_size());
}

TEST(Catalog, AFileBuildsOnThePresetThatItNames) {
  v1::Chip small, large;
  ASSERT_TRUE(Catalog().Read("topologies/chips", "a100-40gb", &small).ok());
  ASSERT_TRUE(Catalog().Read("topologies/chips", "a100-80gb", &large).ok());
  EXPECT_LT(small.datasheet().hbm_bytes(), large.datasheet().hbm_bytes());
  EXPECT_GT(small.calibration().attention_size(), 0);
  EXPECT_EQ(small.preset(), "");
  for (v1::Rates* rates : {small.mutable_datasheet(), small.mutable_book()}) {
    const v1::Rates& other = rates == &small.datasheet() ? large.datasheet() : large.book();
    rates->set_hbm_bytes(other.hbm_bytes());
    rates->set_hbm_bytes_per_s(other.hbm_bytes_per_s());
  }
  small.set_name(large.name());
  EXPECT_EQ(small.SerializeAsString(), large.SerializeAsString());
}

TEST(Catalog, AFileThatBuildsOnItselfIsRefused) {
  const std::string one = testing::TempDir() + "/one.textproto";
  const std::string two = testing::TempDir() + "/two.textproto";
  const auto write = [](const std::string& path, const std::string& base) {
    std::ofstream(path) << "preset: '" << base << "' name: 'mine'";
  };
  v1::Chip chip;
  write(one, two);
  write(two, "h100-sxm");
  ASSERT_TRUE(Catalog().Read("topologies/chips", one, &chip).ok());
  EXPECT_EQ(chip.name(), "mine");
  EXPECT_GT(chip.datasheet().hbm_bytes(), 0);
  write(two, one);
  const Status loop = Catalog().Read("topologies/chips", one, &chip);
  EXPECT_THAT(std::string(loop.message()),
              HasSubstr(two + ": preset: is \"" + one + "\", which builds on itself"));
  write(two, "h100-smx");
  EXPECT_THAT(std::string(Catalog().Read("topologies/chips", one, &chip).message()),
              HasSubstr(two + ": preset: is \"h100-smx\""));
}

TEST(Catalog, UnknownPresetNamesTheNearest) {
  for (const std::string name : {"tpu-v5q", "../chips/h100-sxm", "/etc/passwd", "a/b", "."}) {
    v1::Cluster cluster;
    cluster.set_preset(name);
    Diagnostics diagnostics(
        [](const std::string& field) { return "f:3:" + std::to_string(field.size()); });
    Catalog().Resolve("topologies/clusters", "cluster", &cluster, &diagnostics);
    ASSERT_EQ(diagnostics.errors().size(), 1u) << name;
    EXPECT_THAT(diagnostics.errors()[0], HasSubstr("f:3:14: cluster.preset: is \"" + name + "\""));
    EXPECT_THAT(diagnostics.errors()[0], HasSubstr("nearest: "));
  }
  EXPECT_THAT(std::string(PresetPath("topologies/clusters", "a\n\xff").status().message()),
              HasSubstr("is \"a\\n\\xff\""));
  const StatusOr<std::string> path = PresetPath("topologies/clusters", "tpu-v5q");
  EXPECT_THAT(std::string(path.status().message()), HasSubstr("nearest: tpu-v5e, tpu-v5p, "));
}

TEST(Catalog, ReadsAFileOnce) {
  const std::string path = testing::TempDir() + "/once.textproto";
  std::ofstream(path) << "name: 'before'";
  const Catalog catalog;
  v1::Chip chip;
  ASSERT_TRUE(catalog.Read("topologies/chips", path, &chip).ok());
  std::ofstream(path) << "name: 'after'";
  ASSERT_TRUE(catalog.Read("topologies/chips", path, &chip).ok());
  EXPECT_EQ(chip.name(), "before");
  ASSERT_TRUE(Catalog().Read("topologies/chips", path, &chip).ok());
  EXPECT_EQ(chip.name(), "after");
}

TEST(Catalog, AFailureIsNotKept) {
  const std::string path = testing::TempDir() + "/later.textproto";
  std::ofstream(path) << "name: ";
  const Catalog catalog;
  v1::Chip chip;
  EXPECT_THAT(std::string(catalog.Read("topologies/chips", path, &chip).message()),
              HasSubstr(path + ":1:"));
  std::ofstream(path) << "name: 'mended'";
  EXPECT_TRUE(catalog.Read("topologies/chips", path, &chip).ok());
  EXPECT_EQ(chip.name(), "mended");
}

// Scenarios name no preset of their own.
TEST(Catalog, ReadsExamples) {
  v1::Scenario scenario;
  ASSERT_TRUE(Catalog().Read("examples", "llama3-70b-v5p-1024", &scenario).ok());
  EXPECT_EQ(scenario.model().preset(), "llama-3-70b");
}

}  // namespace
}  // namespace meshstep
