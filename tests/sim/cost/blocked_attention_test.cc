// Attention in blocks: what is computed against a count of blocks, the time against the kernels
// that the constants come from, and what each part of the formula does.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "meshstep/v1/chip.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/data_path.h"
#include "sim/base/diagnostics.h"
#include "sim/base/proto_file.h"
#include "sim/cost/attention.h"
#include "sim/cost/compute.h"
#include "topologies/load_chip.h"

namespace meshstep {
namespace {

Chip ShippedChip(const std::string& name) {
  v1::Chip proto;
  EXPECT_TRUE(Catalog().Read("topologies/chips", name, &proto).ok()) << name;
  Diagnostics diagnostics;
  Chip chip = LoadChip(proto, "chip", &diagnostics);
  EXPECT_TRUE(diagnostics.ok()) << diagnostics.status();
  return chip;
}

// Scores in blocks of which some query sees some key: query q sees (q - window, q].
double CountedScores(int length, int block, int window) {
  double scores = 0;
  for (int q = 0; q < length; q += block) {
    for (int k = 0; k < length; k += block) {
      const bool visible = k <= q + block - 1 && k + block - 1 > q - window;
      if (visible) scores += static_cast<double>(block) * block;
    }
  }
  return scores;
}

AttentionShape Causal(double length, double window) {
  const double w = window / length;
  return {.queries = length, .keys = length, .visible = w * (1 - w / 2), .edges = 2 - w};
}

TEST(AttentionBlocks, WholeBlocksAreComputed) {
  for (const int block : {128, 256, 512, 2048}) {
    EXPECT_EQ(ExecutedScores(Causal(2048, 2048), block), CountedScores(2048, block, 2048)) << block;
  }
  // With a window of w blocks a row of blocks has w whole ones and one that either side cuts.
  for (const int window : {256, 512, 1024}) {
    EXPECT_EQ(ExecutedScores(Causal(4096, window), 256), CountedScores(4096, 256, window))
        << window;
  }
  AttentionShape full = {.queries = 300, .keys = 700, .visible = 1, .edges = 0};
  EXPECT_EQ(ExecutedScores(full, 512), 300 * 700);
  // Blocks of one score compute what is visible and half a score per query on the diagonal.
  EXPECT_EQ(ExecutedScores(Causal(1024, 1024), 1), 1024 * 1025 / 2);
}

constexpr AttentionDevice kDevice{.peak = FlopsPerSecond(1e12)};

TEST(AttentionBlocks, TheSlowerUnitSetsThePace) {
  const AttentionShape shape = {.heads = 4,
                                .queries = 512,
                                .keys = 512,
                                .head_dim = 128,
                                .value_dim = 128,
                                .visible = 1,
                                .edges = 0};
  const double scores = 4.0 * 512 * 512;
  AttentionBlocks kernel;
  kernel.block = kernel.backward_block = 512;
  kernel.array = 128;
  kernel.matmul_fraction = 0.5;
  kernel.scores_per_s = 1e15;
  // 2 (128 + 128) FLOPs of a score at half the peak.
  EXPECT_DOUBLE_EQ(BlockedAttention(shape, kDevice, kernel).value(), scores * 512 / 0.5e12);
  kernel.scores_per_s = 1e6;
  EXPECT_DOUBLE_EQ(BlockedAttention(shape, kDevice, kernel).value(), scores / 1e6);
  kernel.block_start = Seconds(1);
  EXPECT_DOUBLE_EQ(BlockedAttention(shape, kDevice, kernel).value(), 4 + scores / 1e6);
  // Two units share the blocks.
  const AttentionDevice two{.peak = kDevice.peak, .units = 2};
  EXPECT_DOUBLE_EQ(BlockedAttention(shape, two, kernel).value(), 2 + scores / 1e6);
}

TEST(AttentionBlocks, HeadsFillTheArray) {
  const auto time = [](double head, double value, int array, bool fused) {
    const AttentionShape shape = {.queries = 256,
                                  .keys = 256,
                                  .head_dim = head,
                                  .value_dim = value,
                                  .visible = 1,
                                  .edges = 0,
                                  .backward = true};
    AttentionBlocks kernel;
    kernel.array = array;
    kernel.scores_per_s = 1;
    kernel.fused_backward = fused;
    return BlockedAttention(shape, kDevice, kernel).value() * 1e12 / (256 * 256);
  };
  EXPECT_DOUBLE_EQ(time(128, 128, 128, true), 5 * 2 * 128);
  EXPECT_DOUBLE_EQ(time(128, 128, 256, true), 5 * 2 * 256);
  EXPECT_DOUBLE_EQ(time(64, 64, 256, true), time(256, 256, 256, true));
  EXPECT_DOUBLE_EQ(time(128, 128, 128, false), 7 * 2 * 128);
  // Latent attention: 192 for scores, dQ and dK, 128 for dP and dV.
  EXPECT_DOUBLE_EQ(time(192, 128, 64, true), 3 * 2 * 192 + 2 * 2 * 128);
}

// Milliseconds of 32 heads of 128 in `batch` sequences, causal.
double Milliseconds(const Chip& chip, const AttentionBlocks& kernel, double batch, double length,
                    bool backward) {
  AttentionShape shape = Causal(length, length);
  shape.batch = batch;
  shape.heads = 32;
  shape.head_dim = shape.value_dim = 128;
  shape.backward = backward;
  return 1e3 * BlockedAttention(shape, {.peak = chip.datasheet.peak(Dtype::kBf16)}, kernel).value();
}

// One v6e chip, blocks of 512, 1024 and 2048 of queries and keys; forward alone and with backward:
// autoresearch wiki 67a2465, raw/profiles/2026-04-25-exp8-splash-kernel-autotune/results.csv.
TEST(AttentionBlocks, AgreesWithKernelsMeasuredOnTrillium) {
  const Chip chip = ShippedChip("tpu-v6e");
  struct Row {
    double batch, length;
    int block;
    double forward, fused, split;  // fused and split: with a forward in blocks of 1024
  };
  constexpr Row kRows[] = {{4, 1024, 512, 0.4540, 1.1777, 1.6436},
                           {4, 1024, 1024, 0.3199, 0.9598, 1.2457},
                           {2, 2048, 512, 0.7608, 1.8889, 2.5787},
                           {2, 2048, 1024, 0.5163, 1.5451, 1.9907},
                           {2, 2048, 2048, 0.5723, 1.5357, 1.9475}};
  for (const Row& row : kRows) {
    AttentionBlocks one = chip.calibration.blocks_by_kernel.at("splash-2");
    AttentionBlocks two = chip.calibration.blocks_by_kernel.at("splash-1");
    one.block = one.backward_block = two.backward_block = row.block;
    const auto near = [&](double predicted, double measured) {
      EXPECT_NEAR(predicted / measured, 1, 0.08) << row.length << " in " << row.block;
    };
    const double before = row.length == 1024 ? 0.3199 : 0.5163;
    near(Milliseconds(chip, one, row.batch, row.length, false), row.forward);
    near(Milliseconds(chip, one, row.batch, row.length, true), row.fused - before);
    near(Milliseconds(chip, two, row.batch, row.length, true), row.split - before);
  }
  // tokamax at 8192 tokens, inside a step: 8.04 and 17.96 ms (same wiki, JAX experiment 28b).
  const AttentionBlocks& tokamax = chip.calibration.blocks_by_kernel.at("splash-3");
  EXPECT_NEAR(Milliseconds(chip, tokamax, 4, 8192, false), 8.04, 0.02);
  EXPECT_NEAR(Milliseconds(chip, tokamax, 4, 8192, true), 17.96, 0.02);
}

// One v5p chip, 8192 tokens, window 4096, per head of two sequences: apple/axlearn 66cc7ee,
// common/flash_attention/tpu_attention_benchmark.py, (6.7 - 1.4) / (88 - 16) ms forward and
// (31.3 - 5.8) / (88 - 16) ms with backward.
TEST(AttentionBlocks, AgreesWithKernelsMeasuredOnV5p) {
  const Chip chip = ShippedChip("tpu-v5p");
  const AttentionDevice device{.peak = chip.datasheet.peak(Dtype::kBf16), .units = 2};
  AttentionShape shape = Causal(8192, 4096);
  shape.batch = 2;
  shape.head_dim = shape.value_dim = 128;
  const AttentionBlocks& kernel = *chip.calibration.attention_blocks;
  const double forward = BlockedAttention(shape, device, kernel).value();
  shape.backward = true;
  const double backward = BlockedAttention(shape, device, kernel).value();
  EXPECT_NEAR(forward * 1e6, 5300.0 / 72, 0.09 * 5300 / 72);
  EXPECT_NEAR((forward + backward) * 1e6, 25500.0 / 72, 0.02 * 25500 / 72);
}

TEST(AttentionBlocks, AKernelIsNeverFasterThanThePeak) {
  for (const char* name : {"tpu-v3", "tpu-v4", "tpu-v5e", "tpu-v5p", "tpu-v6e", "tpu-v7x"}) {
    const Chip chip = ShippedChip(name);
    const ComputeModel compute(chip, RateSet::kDatasheet, Fidelity::kCalibrated);
    for (const double length : {1024.0, 8192.0}) {
      for (const bool backward : {false, true}) {
        AttentionShape shape = Causal(length, length);
        shape.heads = 16;
        shape.head_dim = shape.value_dim = 256;
        shape.backward = backward;
        const double peak = chip.datasheet.peak(Dtype::kBf16).value() / chip.devices_per_chip;
        const double seconds = compute.Attention(shape, Dtype::kBf16).seconds();
        EXPECT_GT(seconds, ComputeModel::AttentionFlops(shape).value() / peak) << name;
      }
    }
  }
}

}  // namespace
}  // namespace meshstep
