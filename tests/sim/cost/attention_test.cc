// Attention kernels and long runs of matmuls of shipped chips against published measurements.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "meshstep/v1/chip.pb.h"
#include "sim/base/catalog.h"
#include "sim/base/data_path.h"
#include "sim/base/diagnostics.h"
#include "sim/base/proto_file.h"
#include "sim/cost/compute.h"
#include "topologies/load_chip.h"

namespace meshstep {
namespace {

ComputeModel ShippedModel(const std::string& name) {
  v1::Chip proto;
  EXPECT_TRUE(Catalog().Read("topologies/chips", name, &proto).ok()) << name;
  Diagnostics diagnostics;
  const Chip chip = LoadChip(proto, "chip", &diagnostics);
  EXPECT_TRUE(diagnostics.ok()) << diagnostics.status();
  return ComputeModel(chip, RateSet::kDatasheet, Fidelity::kCalibrated);
}

// Scores and values forward; backward those of the queries, keys, values and probabilities, and in
// the kernel the scores again: 5 products to 2, with heads of 192 and 128 3 x 192 + 2 x 128 to
// 192 + 128 (2.6, as NVIDIA/cudnn-frontend counts: 114.4 to 43.98 TFLOP).
TEST(Attention, BackwardComputesTheScoresAgain) {
  AttentionShape s{.heads = 128, .kv_heads = 128, .queries = 32768, .keys = 32768};
  s.head_dim = s.value_dim = 128;
  s.visible = 0.5;
  const double forward = ComputeModel::AttentionKernelFlops(s).value();
  EXPECT_DOUBLE_EQ(forward, ComputeModel::AttentionFlops(s).value());
  s.backward = true;
  EXPECT_DOUBLE_EQ(ComputeModel::AttentionFlops(s).value(), 2 * forward);
  EXPECT_DOUBLE_EQ(ComputeModel::AttentionKernelFlops(s).value(), 2.5 * forward);
  s.head_dim = 192;
  EXPECT_NEAR(ComputeModel::AttentionKernelFlops(s).value(), 114.4e12, 0.1e12);
}

struct Measured {
  const char* chip;
  double heads, kv_heads, head_dim, length, forward_ms, backward_ms;
  bool causal = true;
};

// NVIDIA/cudnn-frontend df73764 (2026-02), benchmark/sdpa_benchmark_training/results: one sequence,
// bf16, cuDNN 9.19.1; B200: 87a1bcd (2025-06), sdpa_benchmark_bf16_training, cuDNN 9.10.2.
TEST(Attention, AgreesWithMeasuredKernels) {
  for (const Measured& m : {Measured{"h200", 64, 8, 128, 4096, 0.465, 1.450},
                            Measured{"h200", 64, 8, 128, 16384, 6.531, 19.002},
                            Measured{"h200", 64, 8, 128, 8192, 3.182, 9.262, false},
                            Measured{"h200", 128, 128, 192, 8192, 4.278, 16.162},
                            Measured{"gb200", 64, 8, 128, 2048, 0.066, 0.206},
                            Measured{"gb200", 64, 8, 128, 8192, 0.688, 2.097},
                            Measured{"gb200", 64, 8, 128, 32768, 19.759, 58.606, false},
                            Measured{"gb200", 128, 128, 192, 4096, 0.509, 1.613},
                            Measured{"gb300", 64, 8, 128, 8192, 0.583, 1.985},
                            Measured{"gb300", 128, 128, 192, 16384, 5.644, 20.522},
                            Measured{"b200", 128, 8, 128, 16384, 6.475, 20.466}}) {
    const ComputeModel model = ShippedModel(m.chip);
    AttentionShape s{.heads = m.heads,
                     .kv_heads = m.kv_heads,
                     .queries = m.length,
                     .keys = m.length,
                     .head_dim = m.head_dim,
                     .value_dim = 128};
    s.visible = m.causal ? 0.5 : 1;
    // A launch of 5 us is in the model and not in the kernel's own time.
    const auto near = [&](double milliseconds) {
      const double ms = model.Attention(s, Dtype::kBf16).seconds() * 1e3;
      EXPECT_NEAR(ms, milliseconds, 0.01 * milliseconds + 0.006) << m.chip << " " << m.length;
    };
    near(m.forward_ms);
    s.backward = true;
    near(m.backward_ms);
  }
}

// The same kernels inside steps, with fewer heads than blocks fill the chip: Nsight profiles of cuDNN of
// 2025-09 (BastiaanGroot/ML-Infrastructure-Engineer@eb67e10 training/profiles/dp and tp-seqpar,
// @52ad575 q8b-tp8-2nodes), where the network or the host left the chip cool; backward with the kernels
// that prepare and cast its sums. Heads count both sequences.
TEST(Attention, FewHeadsLeaveUnitsIdle) {
  for (const Measured& m :
       {Measured{"h200", 32, 16, 128, 4096, 0.2570, 0.7122 + 0.0364 + 0.0287 + 2 * 0.0142},
        Measured{"h200", 16, 8, 128, 4096, 0.1411, 0.3816 + 0.0190 + 0.0147 + 2 * 0.0084},
        Measured{"h100-sxm", 4, 1, 128, 4096, 0.0534, 0.1474 + 0.0074 + 0.0050 + 2 * 0.0027}}) {
    const ComputeModel model = ShippedModel(m.chip);
    AttentionShape s{.heads = m.heads,
                     .kv_heads = m.kv_heads,
                     .queries = m.length,
                     .keys = m.length,
                     .head_dim = m.head_dim,
                     .value_dim = 128,
                     .visible = 0.5};
    const auto near = [&](double milliseconds) {
      const double ms = model.Attention(s, Dtype::kBf16).seconds() * 1e3;
      EXPECT_NEAR(ms, milliseconds, 0.06 * milliseconds + 0.006) << m.chip << " " << m.heads;
    };
    near(m.forward_ms);
    s.backward = true;
    near(m.backward_ms);
  }
}

// Each unit takes the next block when it has done one.
double ScheduledBusy(int heads, int rows, int units) {
  std::vector<double> free(static_cast<std::size_t>(units), 0);
  double work = 0;
  for (int i = 0; i < heads * rows; ++i) {
    const double keys = i % rows + 0.5;  // of a block on the diagonal half are visible
    work += keys;
    *std::min_element(free.begin(), free.end()) += keys;
  }
  return work / units / *std::max_element(free.begin(), free.end());
}

TEST(Attention, BusyUnitsIsWhatSchedulingBlocksGives) {
  const AttentionTiles tiles{.queries = 128, .keys = 128};
  for (const int units : {108, 132, 148}) {
    for (const int rows : {8, 32, 128}) {
      for (const int heads : {1, 2, 4, 8, 16, 64}) {
        const AttentionShape s{.queries = rows * 128.0, .keys = rows * 128.0, .visible = 0.5};
        EXPECT_NEAR(BusyUnits(s, heads, tiles, units) / ScheduledBusy(heads, rows, units), 1, 0.07)
            << units << " units, " << rows << " rows, " << heads << " heads";
      }
    }
  }
  // Without a mask all blocks are alike: 2 heads of 66 fill 132 units exactly, one more takes half
  // of another round on average.
  AttentionShape full{.queries = 66 * 128.0, .keys = 66 * 128.0};
  full.edges = 0;
  EXPECT_DOUBLE_EQ(BusyUnits(full, 2, tiles, 132), 1);
  EXPECT_DOUBLE_EQ(BusyUnits(full, 4, tiles, 132), 2 / 2.5);
}

// The matmuls of a layer, hidden 4096, MLP 16384, 15872 tokens, forward and backward, one after
// another: TransformerEngine docs/features/low_precision_training/gemm_profiling (2026-03), B300,
// operands quantised before. The measurements differ by 7 % among each other.
TEST(Matmul, LongRunsAreHeldDownByPower) {
  const ComputeModel model = ShippedModel("b300");
  const std::array<std::array<double, 2>, 4> layer = {
      {{4096, 12288}, {4096, 4096}, {4096, 16384}, {16384, 4096}}};
  const auto layer_ms = [&](Dtype dtype) {
    double ms = 0;
    for (const auto& [k, n] : layer) {
      for (const MatmulShape& shape :
           {MatmulShape{.m = 15872, .n = n, .k = k}, MatmulShape{.m = 15872, .n = k, .k = n},
            MatmulShape{.m = k, .n = n, .k = 15872}}) {
        ms += model.Matmul(shape, dtype, Bytes(2)).seconds() * 1e3;
      }
    }
    return ms;
  };
  EXPECT_NEAR(layer_ms(Dtype::kBf16), (12.227 + 12.758 + 12.835 + 13.102) / 4, 0.5);
  EXPECT_NEAR(layer_ms(Dtype::kFp8), (6.812 + 6.830 + 7.161 + 7.324) / 4, 0.4);
  EXPECT_NEAR(layer_ms(Dtype::kFp4), (3.754 + 3.764) / 2, 0.3);
}

}  // namespace
}  // namespace meshstep
