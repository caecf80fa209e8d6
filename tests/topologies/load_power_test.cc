// Limits of power: rates between measured points, what they slow, and every refusal; hosts.

#include "topologies/load_power.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "google/protobuf/text_format.h"
#include "meshstep/v1/cluster.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/diagnostics.h"
#include "topologies/load_cluster.h"

namespace meshstep {
namespace {

using testing::HasSubstr;

Cluster Load(const std::string& text, Diagnostics* diagnostics) {
  v1::Cluster proto;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &proto)) << text;
  ResolveClusterPresets(&proto, "cluster", Catalog(), diagnostics);
  return LoadCluster(proto, "cluster", diagnostics);
}

Cluster LoadOk(const std::string& text) {
  Diagnostics diagnostics;
  const Cluster cluster = Load(text, &diagnostics);
  EXPECT_TRUE(diagnostics.ok()) << diagnostics.status();
  return cluster;
}

std::string ErrorOf(const std::string& text) {
  Diagnostics diagnostics;
  Load(text, &diagnostics);
  return std::string(diagnostics.status().message());
}

// topologies/chips/gb200.textproto: 0.41 at 500 W, 0.71 at 750 W, 1 at 1,200 W.
TEST(Power, RatesLieBetweenThePoints) {
  const Chip chip = LoadOk("preset: 'gb200-nvl72' chips: 8").chip;
  EXPECT_EQ(chip.power_watts, 1200);
  EXPECT_DOUBLE_EQ(PowerRate(chip, 100), 0.41);
  EXPECT_DOUBLE_EQ(PowerRate(chip, 625), (0.41 + 0.71) / 2);
  EXPECT_DOUBLE_EQ(PowerRate(chip, 1200), 1);
  EXPECT_DOUBLE_EQ(PowerRate(chip, 2000), 1);
}

TEST(Power, ALimitSlowsMatmulsAndAttentionAndNoStreams) {
  const ComputeCalibration whole = LoadOk("preset: 'gb200-nvl72' chips: 8").chip.calibration;
  const ComputeCalibration held =
      LoadOk("preset: 'gb200-nvl72' chips: 8 power_limit_watts: 750").chip.calibration;
  const auto bf16 = static_cast<std::size_t>(Dtype::kBf16);
  EXPECT_DOUBLE_EQ(held.matmul[bf16].sustained_fraction,
                   0.71 * whole.matmul[bf16].sustained_fraction);
  EXPECT_DOUBLE_EQ(held.attention[0].peak_fraction, 0.71 * whole.attention[0].peak_fraction);
  EXPECT_EQ(held.hbm_fraction, whole.hbm_fraction);
}

TEST(Power, RefusesWhatIsNotKnown) {
  EXPECT_THAT(
      ErrorOf("preset: 'dgx-h100' chips: 8 power_limit_watts: 500"),
      HasSubstr("cluster.power_limit_watts: is 500, but how fast h100-sxm is under a limit is "
                "not known"));
  EXPECT_EQ(ErrorOf("preset: 'dgx-h100' chips: 8 power_limit_watts: 700"), "");
  EXPECT_THAT(ErrorOf("preset: 'dgx-b200' chips: 8 power_limit_watts: 0"),
              HasSubstr("cluster.power_limit_watts: is 0, expected 1 to 1e5"));
  EXPECT_THAT(ErrorOf("preset: 'dgx-h100' chips: 8 chip { power_curve { watts: 500 rate: 0.8 } "
                      "power_curve { watts: 400 rate: 0.7 } }"),
              HasSubstr("power_curve[1].watts: is 400, expected above 500"));
  EXPECT_THAT(ErrorOf("preset: 'dgx-h100' chips: 8 chip { power_curve { watts: 500 } }"),
              HasSubstr("power_curve[0].rate: is 0, expected 1e-6 to 2"));
}

// NVIDIA/TransformerEngine issue 2053: 37.08 us on GB200, 13.48 us on DGX H100.
TEST(Host, TakesThePlaceOfTheChipsOwn) {
  EXPECT_DOUBLE_EQ(LoadOk("preset: 'gb200-nvl72' chips: 8").chip.calibration.host_dispatch.value(),
                   37.08e-6);
  EXPECT_DOUBLE_EQ(LoadOk("preset: 'gb200-nvl72' chips: 8 host { preset: 'xeon-8480c' }")
                       .chip.calibration.host_dispatch.value(),
                   13.48e-6);
  EXPECT_THAT(ErrorOf("preset: 'dgx-h100' chips: 8 host { dispatch_ns: -1 }"),
              HasSubstr("cluster.host.dispatch_ns"));
  EXPECT_THAT(ErrorOf("preset: 'dgx-h100' chips: 8 host { preset: 'abacus' }"),
              HasSubstr("cluster.host.preset"));
}

}  // namespace
}  // namespace meshstep
