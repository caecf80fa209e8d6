// The matmul model against closed forms, its own invariants and measured tables.

#include "sim/cost/matmul.h"

#include <gtest/gtest.h>

#include <cmath>
#include <iterator>
#include <random>
#include <string>

#include "meshstep/v1/chip.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/data_path.h"
#include "sim/base/diagnostics.h"
#include "sim/base/proto_file.h"
#include "sim/cost/compute.h"
#include "topologies/load_chip.h"

namespace meshstep {
namespace {

StatusOr<Chip> ShippedChip(const std::string& name) {
  v1::Chip proto;
  RETURN_IF_ERROR(Catalog().Read("topologies/chips", name, &proto));
  Diagnostics diagnostics;
  Chip chip = LoadChip(proto, "chip", &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  return chip;
}

// 100 units of 1 TFLOP/s, 1 TB/s.
constexpr MatmulDevice kDevice{.units = 100,
                               .peak = FlopsPerSecond(100e12),
                               .hbm = BytesPerSecond(1e12),
                               .operand = Bytes(2),
                               .result = Bytes(2)};

MatmulCalibration OneTile(int tile) {
  MatmulCalibration c;
  c.tile_m = c.tile_n = tile;
  return c;
}

TEST(Matmul, FullWavesRunAtThePeak) {
  // 10 x 10 tiles of 128 on 100 units: one full wave.
  const MatmulShape shape{.m = 1280, .n = 1280, .k = 65536};
  const Seconds t = CalibratedMatmul(shape, kDevice, OneTile(128));
  EXPECT_DOUBLE_EQ(t.value(), 2.0 * 1280 * 1280 * 65536 / 100e12);
}

TEST(Matmul, OneTileMoreCostsAWholeWave) {
  const MatmulShape full{.m = 1280, .n = 1280, .k = 65536};
  const MatmulShape more{.m = 1281, .n = 1280, .k = 65536};
  EXPECT_DOUBLE_EQ(CalibratedMatmul(more, kDevice, OneTile(128)).value(),
                   2 * CalibratedMatmul(full, kDevice, OneTile(128)).value());
}

TEST(Matmul, ThinMatmulsAreBoundByHbm) {
  // One row against a 8192 x 8192 weight: 128 MiB and three vectors at 0.8 TB/s.
  MatmulCalibration c = OneTile(16);
  c.hbm_fraction = 0.8;
  const MatmulShape shape{.m = 1, .n = 8192, .k = 8192};
  EXPECT_DOUBLE_EQ(CalibratedMatmul(shape, kDevice, c).value(),
                   (8192.0 * 8192 + 2 * 8192) * 2 / 0.8e12);
  c.cache = Bytes(1 << 20);
  EXPECT_DOUBLE_EQ(CalibratedMatmul(shape, kDevice, c).value(),
                   ((8192.0 * 8192 + 2 * 8192) * 2 - (1 << 20)) / 0.8e12);
}

TEST(Matmul, LaunchStartStoreAndLoadAdd) {
  MatmulCalibration c = OneTile(128);
  c.launch = Seconds(5e-6);
  c.tile_start = Seconds(1e-6);
  c.load = BytesPerSecond(10e9);
  c.store = BytesPerSecond(4e9);
  const MatmulShape shape{.m = 128, .n = 128, .k = 1024};
  // Loading 256 · 1024 elements of 2 bytes at 10 GB/s outlasts 2 · 128² · 1024 FLOPs at 1 TFLOP/s.
  EXPECT_NEAR(CalibratedMatmul(shape, kDevice, c).value(),
              5e-6 + 1e-6 + 256 * 1024 * 2 / 10e9 + 128 * 128 * 2 / 4e9, 1e-15);
}

TEST(Matmul, SplittingTheContractionUsesIdleUnits) {
  MatmulCalibration c;
  c.choose_tile = true;
  const MatmulShape shape{.m = 64, .n = 64, .k = 4096};
  const double whole = CalibratedMatmul(shape, kDevice, c).value();
  c.split = Seconds(1e-6);
  // 16 parts of 256 on 16 units.
  EXPECT_DOUBLE_EQ(whole, 2.0 * 64 * 64 * 4096 / 1e12);
  EXPECT_NEAR(CalibratedMatmul(shape, kDevice, c).value(), whole / 16 + 1e-6, 1e-15);
}

TEST(Matmul, RelayoutReadsAndWritesTheRightOperandBesideTheProducts) {
  MatmulCalibration c = OneTile(128);
  const MatmulShape shape{.m = 128, .n = 512, .k = 1024};
  const double plain = CalibratedMatmul(shape, kDevice, c).value();
  c.launch = Seconds(5e-6);
  c.relayout = BytesPerSecond(1e9);
  EXPECT_DOUBLE_EQ(CalibratedMatmul(shape, kDevice, c).value(), 5e-6 + 2.0 * 512 * 1024 * 2 / 1e9);
  EXPECT_DOUBLE_EQ(CalibratedMatmulInPlace(shape, kDevice, c).value(), 5e-6 + plain);
  c.relayout = BytesPerSecond(1e18);
  EXPECT_DOUBLE_EQ(CalibratedMatmul(shape, kDevice, c).value(), 5e-6 + plain);
}

// No shape is faster than its FLOPs at the peak, and none gets slower by a faster device.
TEST(Matmul, NeverBeatsThePeakAndGrowsWithTheShape) {
  std::mt19937 random(7);
  std::uniform_real_distribution<double> exponent(0, 13);
  for (const char* name : {"h100-sxm", "b200", "a100-80gb", "mi355x", "tpu-v5p", "tpu-v7x"}) {
    const StatusOr<Chip> chip = ShippedChip(name);
    ASSERT_TRUE(chip.ok()) << chip.status();
    const ComputeModel model(*chip, RateSet::kDatasheet, Fidelity::kCalibrated);
    const double peak = chip->datasheet.peak(Dtype::kBf16).value() / chip->devices_per_chip;
    for (int i = 0; i < 500; ++i) {
      MatmulShape shape{.m = std::floor(std::exp2(exponent(random))) + 1,
                        .n = std::floor(std::exp2(exponent(random))) + 1,
                        .k = std::floor(std::exp2(exponent(random))) + 1};
      const Time t = model.Matmul(shape, Dtype::kBf16);
      EXPECT_GE(t.seconds(), shape.flops().value() / peak) << name;
      EXPECT_GE(t, model.MatmulAlone(shape, Dtype::kBf16, Bytes(2))) << name;
      shape.batch = 2;
      EXPECT_GE(model.Matmul(shape, Dtype::kBf16), t) << name;
    }
  }
}

struct Measured {
  const char* chip;
  double batch, m, n, k, microseconds;
};

// Rows of openxla/xla default_matmul_perf_table.txtpb (2026-08), bf16: none may be off by more than
// 12 %, twice the 90th percentile of the fit.
TEST(Matmul, AgreesWithMeasuredTables) {
  for (const Measured& row :
       {Measured{"h100-sxm", 1, 1024, 1024, 1024, 8.496},
        Measured{"h100-sxm", 1, 2048, 2048, 2048, 26.8},
        Measured{"h100-sxm", 1, 4096, 4096, 1024, 50.144},
        Measured{"h100-sxm", 4, 4096, 2048, 4096, 341.584},
        Measured{"h100-sxm", 2, 4096, 4096, 2048, 181.04},
        Measured{"b200", 1, 1024, 1024, 2048, 9.168}, Measured{"b200", 1, 2048, 2048, 2048, 17.428},
        Measured{"b200", 1, 2048, 4096, 2048, 29.296},
        Measured{"b200", 1, 4096, 4096, 4096, 97.002}}) {
    const StatusOr<Chip> chip = ShippedChip(row.chip);
    ASSERT_TRUE(chip.ok()) << chip.status();
    const ComputeModel model(*chip, RateSet::kDatasheet, Fidelity::kCalibrated);
    const MatmulShape shape{.batch = row.batch, .m = row.m, .n = row.n, .k = row.k};
    const Time t = model.MatmulAlone(shape, Dtype::kBf16, Bytes(2));
    EXPECT_NEAR(t.seconds() * 1e6 / row.microseconds, 1, 0.12)
        << row.chip << " " << row.m << "x" << row.n << "x" << row.k;
  }
}

struct GroupedMatmul {
  int experts;
  double m, n, k, result, milliseconds;
};

// Transformer Engine's grouped matmul over cuBLAS, bf16, by MooreThreads/SimuMax (4dcaae5,
// configs/system/b200_bf16_ceperm.json: efficiency of 2250 TFLOP/s; its rows of 154, 308, 512, 1024
// and 1232 tokens an expert with fp32 gradients that are added): forward, gradient of the input,
// gradient of the weight, of DeepSeek-V2's and V3's experts.
constexpr GroupedMatmul kGrouped[] = {
    {160, 154, 5120, 1536, 2, 1.4873}, {160, 154, 1536, 5120, 2, 1.4031},
    {160, 1536, 5120, 154, 8, 2.0797}, {80, 308, 3072, 5120, 2, 0.8907},
    {80, 308, 5120, 3072, 2, 1.1316},  {80, 5120, 3072, 308, 8, 2.1320},
    {64, 512, 4096, 7168, 2, 2.3301},  {64, 512, 7168, 4096, 2, 2.1134},
    {64, 7168, 4096, 512, 8, 3.9019},  {32, 1024, 7168, 2048, 2, 1.1128},
    {32, 1024, 2048, 7168, 2, 0.9941}, {32, 2048, 7168, 1024, 8, 1.5585},
    {20, 1232, 3072, 5120, 2, 0.6710}, {20, 1232, 5120, 3072, 2, 0.8172},
    {20, 5120, 3072, 1232, 8, 1.0516}};

TEST(MatmulEach, IsNearTransformerEnginesGroupedMatmuls) {
  const StatusOr<Chip> chip = ShippedChip("b200-simumax");
  ASSERT_TRUE(chip.ok()) << chip.status();
  const ComputeModel compute(*chip, RateSet::kDatasheet, Fidelity::kCalibrated);
  double each = 0, together = 0;
  for (const GroupedMatmul& g : kGrouped) {
    const MatmulShape shape{.batch = static_cast<double>(g.experts), .m = g.m, .n = g.n, .k = g.k};
    const auto error = [&](Time time) {
      return std::abs(time.seconds() * 1e3 / g.milliseconds - 1);
    };
    each += error(compute.MatmulEach(shape, Dtype::kBf16, Bytes(g.result)));
    together += error(compute.Matmul(shape, Dtype::kBf16, Bytes(g.result)));
  }
  EXPECT_LT(each / std::size(kGrouped), 0.15);
  EXPECT_GT(together, 1.5 * each);  // as one batch it would be far too fast
}

}  // namespace
}  // namespace meshstep
