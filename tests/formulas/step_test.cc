// Whole steps in ideal mode against arithmetic by hand: data-sheet rates, one roofline per kernel,
// no launch cost, link latency kept.

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/simulate/simulate.h"
#include "strategies/step/step_graph.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {
namespace {

// Rates of RoundCluster.
constexpr double kPeak = 1e14, kHbm = 1e12, kLink = 1e11, kAlpha = 1e-6;
constexpr double kLayers = 3, kD = 2048, kN = 16, kK = 8, kH = 128, kF = 8192, kV = 8192, kT = 1024;

double StepSeconds(int chips, int batch, const std::string& plan) {
  const std::string text = absl::StrCat(
      "model { name: 'toy' layers: 3 hidden: 2048 heads: 16 kv_heads: 8 ffn: 8192 vocab: 8192 "
      "gated_mlp: true } ",
      RoundCluster(chips), " workload { global_batch_sequences: ", batch,
      " sequence_length: 1024 } plan { ", plan, " }");
  const Scenario scenario = Load(ParseScenario(text));
  return StepOf(scenario).run.makespan.seconds();
}

// Roofline of C[m, n] = A[m, k] · B[k, n] in bf16, and of `bytes` through HBM.
double Matmul(double m, double k, double n) {
  return std::max(2 * m * k * n / kPeak, 2 * (m * k + k * n + m * n) / kHbm);
}
double Stream(double bytes) { return bytes / kHbm; }

// Kernels of a device that has b sequences and 1/t of the heads, the MLP width and the vocabulary,
// with the residual stream whole.
class Device {
 public:
  Device(double b, double t) : b_(b), t_(t), m_(b * kT) {}

  double Forward() const {
    return kLayers * LayerForward() + Stream(2 * d())  // lookup: read a row, write it
           + HeadForward();
  }
  double LayerForward() const {
    return 2 * Stream(2 * d()) + 2 * Stream(3 * d())  // norms; residual sums: read 2, write 1
           + Matmul(m_, kD, qkv()) + Stream(2 * rotated()) + Attention(4) +
           Matmul(m_, kN * kH / t_, kD) + Matmul(m_, kD, 2 * kF / t_) + Stream(3 * f()) +
           Matmul(m_, kF / t_, kD);
  }
  // dx and dW of each matmul; norms read x and dy and write dx; the activation reads both its
  // inputs and dy and writes two gradients.
  double LayerBackward() const {
    return 2 * Stream(3 * d()) + 2 * Matmul(m_, kD, qkv()) + Stream(2 * rotated()) + Attention(8) +
           2 * Matmul(m_, kN * kH / t_, kD) + 2 * Matmul(m_, kD, 2 * kF / t_) + Stream(5 * f()) +
           2 * Matmul(m_, kF / t_, kD);
  }
  // Logits in bf16, probabilities in fp32.
  double HeadForward() const {
    return Stream(2 * d()) + Matmul(m_, kD, kV / t_) + Stream(6 * m_ * kV / t_);
  }
  double HeadBackward() const {
    return Stream(3 * d()) + 2 * Matmul(m_, kD, kV / t_) + Stream(6 * m_ * kV / t_);
  }
  double Backward() const { return HeadBackward() + kLayers * LayerBackward() + Stream(2 * d()); }

 private:
  double d() const { return 2 * m_ * kD; }  // bytes of the residual stream
  double f() const { return 2 * m_ * kF / t_; }
  double qkv() const { return (kN + 2 * kK) * kH / t_; }
  double rotated() const { return 2 * m_ * (kN + kK) * kH / t_; }  // q and k
  // flops: 4 forward, 8 backward, times half the square; q, o and k, v (and gradients) streamed.
  double Attention(double flops) const {
    const double bytes = flops / 4 * 2 * 2 * m_ * (kN + kK) * kH / t_;
    return std::max(flops * b_ * kN / t_ * kT * kT * kH / 2 / kPeak, bytes / kHbm);
  }
  double b_, t_, m_;
};

constexpr double kLayerParameters = kD * (kN + 2 * kK) * kH + kN * kH * kD + 3 * kD * kF + 2 * kD;
constexpr double kParameters = kLayers * kLayerParameters + 2 * kV * kD + kD;
// Gradient 4; m, v and master read and written, 24; parameter 2.
constexpr double kOptimizerBytes = 30;

TEST(IdealStep, OneDeviceIsTheSumOfItsRooflines) {
  const Device device(4, 1);
  const double expected =
      device.Forward() + device.Backward() + Stream(kOptimizerBytes * kParameters);
  EXPECT_NEAR(StepSeconds(1, 4, ""), expected, 1e-9 * expected);
}

TEST(IdealStep, FullRecomputeAddsTheForwardOfTheLayers) {
  const Device device(4, 1);
  const double expected = device.Forward() + kLayers * device.LayerForward() + device.Backward() +
                          Stream(kOptimizerBytes * kParameters);
  EXPECT_NEAR(StepSeconds(1, 4, "recompute: 'full'"), expected, 1e-9 * expected);
}

TEST(IdealStep, MicroBatchesAddUp) {
  const Device device(1, 1);
  const double expected =
      4 * (device.Forward() + device.Backward()) + Stream(kOptimizerBytes * kParameters);
  EXPECT_NEAR(StepSeconds(1, 4, "micro_batch_sequences: 1"), expected, 1e-9 * expected);
}

// All-reduce of fp32 gradients on a switch: 2 V (p - 1)/p / W and 2 alpha at least, 2 (p - 1) alpha
// at most, by the algorithm.
double AllReduce(double parameters, double p, double alphas) {
  return 2 * 4 * parameters * (p - 1) / p / kLink + alphas * kAlpha;
}

// The head's gradients leave while the last layer goes backward. A layer's all-reduce takes longer
// than the backward of a layer, so those of the layers and of the embedding follow each other.
TEST(IdealStep, DataParallelGradientsOverlapBackward) {
  const double p = 8;
  const Device device(1, 1);
  ASSERT_LT(AllReduce(kV * kD + kD, p, 2 * (p - 1)), device.LayerBackward());
  ASSERT_GT(AllReduce(kLayerParameters, p, 0), device.LayerBackward());
  const double least = device.Forward() + device.HeadBackward() + device.LayerBackward() +
                       AllReduce(kLayers * kLayerParameters + kV * kD, p, 0) +
                       Stream(kOptimizerBytes * kParameters);
  const double transfers = kLayers + 1;
  const double step = StepSeconds(8, 8, "data: 8");
  EXPECT_GE(step, least + transfers * 2 * kAlpha);
  EXPECT_LE(step, least + transfers * 2 * (p - 1) * kAlpha);
}

}  // namespace
}  // namespace meshstep
