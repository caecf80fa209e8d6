// Plan.kernels.copied_heads, bias_gradients, gradient_passes and dense_embedding_gradient: what
// each kernel moves, by the code of the frameworks that run it
// (strategies/frameworks/ideal.textproto).

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/catalog.h"
#include "sim/cost/compute.h"
#include "sim/simulate/simulate.h"
#include "strategies/plan/load_scenario.h"
#include "strategies/step/step_graph.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {
namespace {

constexpr double kHidden = 1024, kHeads = 16, kKvHeads = 4, kFfn = 4096, kLayers = 2;
constexpr double kSequence = 512, kVocab = 4096, kMicroBatches = 8, kReplicas = 4;
// Bytes of an activation as wide as the stream, of one sequence on the 2 ranks of tensor; they
// split heads and widths, and the stream only under sequence parallelism.
constexpr double kStream = 2 * kSequence * kHidden, kQueries = kStream / 2;

v1::Scenario Proto(const std::string& model, const std::string& kernels,
                   const std::string& plan = "") {
  return ParseScenario(absl::StrCat(
      "model { name: 'gpt' layers: 2 hidden: 1024 heads: 16 ffn: 4096 vocab: 4096 ", model,
      " } cluster { preset: 'dgx-h100' chips: 8 } workload { global_batch_sequences: 32 "
      "sequence_length: 512 } plan { data: 4 tensor: 2 micro_batch_sequences: 1 ",
      plan, " kernels { ", kernels, " } }"));
}

const std::string kRotary = absl::StrCat("kv_heads: ", kKvHeads);
constexpr char kBiases[] =
    "position_embeddings: 512 qkv_bias: true attention_output_bias: true mlp_bias: true";

struct Step {
  StepGraph graph;
  double seconds = 0;
};

Step Simulated(const v1::Scenario& proto) {
  SimulatedStep simulated = StepOf(Load(proto));
  return {std::move(simulated.step), simulated.run.makespan.seconds()};
}

// HBM bytes of the tasks of this name, on one device in one step.
double BytesOf(const v1::Scenario& proto, const std::string& name) {
  const Step step = Simulated(proto);
  double bytes = 0;
  for (const TaskInfo& task : step.graph.tasks) {
    if (*task.name == name) bytes += task.hbm_bytes.value();
  }
  return bytes;
}

TEST(GradientKernels, HeadsAreCopiedAndTheirGradientsJoined) {
  const double times = kLayers * kMicroBatches, keys = kQueries * kKvHeads / kHeads;
  const v1::Scenario shared = Proto(kRotary, "copied_heads: true");
  EXPECT_DOUBLE_EQ(BytesOf(shared, "rotary v copy"), times * 2 * keys);
  EXPECT_DOUBLE_EQ(BytesOf(shared, "rotary q copy"), times * 2 * kQueries);
  EXPECT_DOUBLE_EQ(BytesOf(shared, "rotary qkv gradient copy"), times * 2 * (kQueries + 2 * keys));
  // Queries of heads with keys of their own are evenly spaced.
  const v1::Scenario own = Proto("", "copied_heads: true");
  EXPECT_EQ(BytesOf(own, "rotary q copy"), 0);
  EXPECT_DOUBLE_EQ(BytesOf(own, "rotary qkv gradient copy"), times * 2 * 3 * kQueries);
  // Attention reads the product itself, unless it is unfused.
  EXPECT_EQ(BytesOf(Proto(kBiases, "copied_heads: true"), "attention qkv gradient copy"), 0);
  const v1::Scenario unfused = Proto(kBiases, "copied_heads: true", "attention_kernel: 'unfused'");
  EXPECT_DOUBLE_EQ(BytesOf(unfused, "attention output copy"), times * 2 * kQueries);
  EXPECT_DOUBLE_EQ(BytesOf(unfused, "attention qkv gradient copy"), times * 2 * 3 * kQueries);
  EXPECT_EQ(BytesOf(Proto(kRotary, ""), "rotary v copy"), 0);
}

TEST(GradientKernels, GradientsOfBiasesAreSums) {
  const double times = kLayers * kMicroBatches;
  const auto bytes = [&](const std::string& how, const std::string& op) {
    return BytesOf(Proto(kBiases, absl::StrCat("bias_gradients: '", how, "'")),
                   op + " bias gradient") /
           times;
  };
  EXPECT_DOUBLE_EQ(bytes("separate", "qkv"), 3 * kQueries);
  EXPECT_DOUBLE_EQ(bytes("separate", "mlp_in"), kStream / 2 * kFfn / kHidden);
  EXPECT_DOUBLE_EQ(bytes("separate", "attention_out"), kStream);
  EXPECT_DOUBLE_EQ(bytes("separate", "mlp_out"), kStream);
  EXPECT_EQ(bytes("but-qkv", "qkv"), 0);
  EXPECT_DOUBLE_EQ(bytes("but-qkv", "mlp_out"), kStream);
  EXPECT_EQ(bytes("fused", "mlp_out"), 0);
}

TEST(GradientKernels, PassesOverAllGradients) {
  const auto layers = [](const std::string& passes, const std::string& reduce) {
    const std::string precision = absl::StrCat("precision { reduce: '", reduce, "' }");
    return BytesOf(Proto("", absl::StrCat("gradient_passes: [", passes, "]"), precision),
                   "gradient buffer");
  };
  // Of embedding and head, of attention and a gated MLP or a plain one, of norms.
  const Step step = Simulated(Proto("", ""));
  const double elements =
      step.graph.resident[0][static_cast<std::size_t>(MemoryBucket::kGradients)] / 4;
  EXPECT_GT(elements, kVocab * kHidden);
  EXPECT_DOUBLE_EQ(layers("'check'", "fp32"), 4 * elements);
  EXPECT_DOUBLE_EQ(layers("'scale'", "fp32"), 8 * elements);
  EXPECT_DOUBLE_EQ(layers("'check', 'scale'", "fp32"), 12 * elements);
  EXPECT_EQ(layers("'cast'", "fp32"), 0);
  EXPECT_DOUBLE_EQ(layers("'cast'", "bf16"), (4 + 2) * elements);
  const double zeroed = BytesOf(Proto("", "gradient_passes: 'zero'"), "optimizer") -
                        BytesOf(Proto("", ""), "optimizer");
  EXPECT_DOUBLE_EQ(zeroed, 4 * elements);
}

// One replica has nothing to scale or send, but may check.
TEST(GradientKernels, OneReplicaScalesNothing) {
  const auto buffer = [](const std::string& pass) {
    v1::Scenario proto = Proto("", absl::StrCat("gradient_passes: '", pass, "'"));
    proto.mutable_plan()->set_data(1);
    proto.mutable_plan()->set_tensor(8);
    return BytesOf(proto, "gradient buffer");
  };
  EXPECT_EQ(buffer("scale"), 0);
  EXPECT_EQ(buffer("cast"), 0);
  EXPECT_GT(buffer("check"), 0);
}

TEST(GradientKernels, GradientOfAnEmbeddingIsAsLargeAsItsTable) {
  const auto extra = [](const std::string& accumulation) {
    const std::string kernels =
        absl::StrCat("gradient_accumulation: '", accumulation, "' dense_embedding_gradient: ");
    const v1::Scenario dense = Proto("", kernels + "true");
    EXPECT_EQ(BytesOf(Proto("", kernels + "false"), "embedding table gradient"), 0);
    return BytesOf(dense, "embedding table gradient") +
           BytesOf(dense, "embedding table gradient sum");
  };
  const double rows = kMicroBatches * kVocab / 2 * kHidden;
  EXPECT_DOUBLE_EQ(extra("none"), 2 * rows);                 // zeros in bf16
  EXPECT_DOUBLE_EQ(extra("fused"), (2 + 2 + 4 + 4) * rows);  // and its sum with the fp32 buffer
}

// chip file exposed_results: a sum in fp32 is read and written (8 bytes, 2 in the measured
// products), and this part of the time of the bytes beyond two adds to a matmul of the sustained
// rate.
TEST(GradientKernels, SumsInFp32AddTheirBytesToSustainedMatmuls) {
  Scenario scenario = Load(Proto("", ""));
  const Chip& chip = scenario.cluster.chip;
  const MatmulCalibration& c = chip.calibration.matmul[static_cast<std::size_t>(Dtype::kBf16)];
  ASSERT_GT(c.exposed_results, 0);
  const ComputeModel compute(chip, RateSet::kDatasheet, Fidelity::kCalibrated);
  const MatmulShape shape{.m = 16384, .n = 16384, .k = 8192};
  const double written = compute.Matmul(shape, Dtype::kBf16, Bytes(2)).seconds();
  const double added = compute.Matmul(shape, Dtype::kBf16, Bytes(8)).seconds();
  const double hbm = chip.rates(RateSet::kDatasheet).hbm_rate.value() * c.hbm_fraction;
  EXPECT_NEAR(added - written, c.exposed_results * 6 * shape.m * shape.n / hbm, 1e-9);
}

// cuDNN of 2024 is slower than that of 2026 and faster than FlashAttention-2 (arXiv 2407.08608).
TEST(GradientKernels, AttentionOfCudnn2024) {
  const auto seconds = [](const std::string& kernel) {
    v1::Scenario proto = Proto("", "", absl::StrCat("attention_kernel: '", kernel, "'"));
    proto.mutable_model()->set_heads(8);  // of 128
    proto.mutable_workload()->set_sequence_length(8192);
    return StepOf(Load(proto), Fidelity::kCalibrated).run.makespan.seconds();
  };
  EXPECT_LT(seconds("flash"), seconds("cudnn-2024"));
  EXPECT_LT(seconds("cudnn-2024"), seconds("flash-2"));
}

TEST(GradientKernels, ExpandedPlansAreTheSameStep) {
  const v1::Scenario proto =
      Proto(kBiases,
            "copied_heads: true bias_gradients: 'but-qkv' dense_embedding_gradient: true "
            "gradient_passes: ['zero', 'check', 'scale']",
            "attention_kernel: 'cudnn-2024'");
  EXPECT_EQ(Simulated(proto).seconds, Simulated(ExpandScenario(proto, Catalog())).seconds);
  EXPECT_GT(Simulated(proto).seconds, Simulated(Proto(kBiases, "")).seconds);
}

TEST(GradientKernels, WrongNamesAreReported) {
  Diagnostics diagnostics;
  LoadScenario(Proto("", "gradient_passes: ['zero', 'twice'] bias_gradients: 'none'"), Catalog(),
               &diagnostics);
  const std::string message(diagnostics.status().message());
  for (const char* part :
       {"plan.kernels.gradient_passes: is \"twice\", expected zero, check, scale, cast",
        "plan.kernels.bias_gradients: is \"none\", expected fused, separate, but-qkv"}) {
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace meshstep
