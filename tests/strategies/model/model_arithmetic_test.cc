// Model arithmetic against published parameter counts and the formulas of the papers.

#include "strategies/model/model_arithmetic.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "meshstep/v1/model.pb.h"
#include "sim/base/data_path.h"
#include "sim/base/proto_file.h"
#include "strategies/model/load_model.h"

namespace meshstep {
namespace {

constexpr const char* kModels = "strategies/models";

Model Preset(const std::string& name) {
  v1::Model message;
  const StatusOr<std::string> path = PresetPath(kModels, name);
  EXPECT_TRUE(path.ok()) << name;
  EXPECT_TRUE(ReadDataFile(*path, &message).ok()) << name;
  Diagnostics diagnostics;
  Model model = LoadModel(message, "model", &diagnostics);
  EXPECT_TRUE(diagnostics.ok()) << name << " " << diagnostics.status();
  return model;
}

// The model of Korthikanti et al. and Narayanan et al.: MHA, F = 4 h, learned positions.
Model Megatron(int layers, int hidden, int heads, int vocab) {
  Model m;
  m.layers = layers;
  m.hidden = hidden;
  m.heads = m.kv_heads = heads;
  m.head_dim = hidden / heads;
  m.ffn = 4 * hidden;
  m.vocab = vocab;
  m.position_embeddings = 2048;
  m.rotary = false;
  return m;
}

TEST(ParametersTest, AreThoseOfThePublishedWeights) {
  const struct {
    const char* name;
    double total;
  } published[] = {
      {"gpt2-xl", 1557611200},             // huggingface.co/openai-community/gpt2-xl
      {"gpt3-175b", 174604e6},             // arXiv 2005.14165, Table D.1: 174,600M
      {"palm-540b", 540.35e9},             // arXiv 2204.02311, Table 1
      {"llama-1-65b", 65285660672},        // huggingface.co/huggyllama/llama-65b
      {"llama-2-7b", 6738415616},          // huggingface.co/meta-llama/Llama-2-7b-hf
      {"llama-2-13b", 13015864320},        // huggingface.co/meta-llama/Llama-2-13b-hf
      {"llama-2-70b", 68976648192},        // huggingface.co/meta-llama/Llama-2-70b-hf
      {"llama-3-8b", 8030261248},          // huggingface.co/meta-llama/Meta-Llama-3-8B
      {"llama-3-70b", 70553706496},        // huggingface.co/meta-llama/Meta-Llama-3-70B
      {"llama-3-405b", 405853388800},      // huggingface.co/meta-llama/Llama-3.1-405B
      {"mistral-7b", 7241732096},          // huggingface.co/mistralai/Mistral-7B-v0.1
      {"gemma-7b", 8537680896},            // huggingface.co/google/gemma-7b
      {"gemma-2-27b", 27227128320},        // huggingface.co/google/gemma-2-27b
      {"qwen-2-72b", 72706203648},         // huggingface.co/Qwen/Qwen2-72B
      {"mixtral-8x7b", 46702792704},       // huggingface.co/mistralai/Mixtral-8x7B-v0.1
      {"mixtral-8x22b", 140620634112},     // huggingface.co/mistralai/Mixtral-8x22B-v0.1
      {"qwen-3-30b-a3b", 30532122624},     // huggingface.co/Qwen/Qwen3-30B-A3B
      {"qwen-3-235b-a22b", 235093634560},  // huggingface.co/Qwen/Qwen3-235B-A22B
      {"deepseek-v2", 235741434880},       // huggingface.co/deepseek-ai/DeepSeek-V2
      {"deepseek-v3", 671026419200},       // huggingface.co/deepseek-ai/DeepSeek-V3
      {"gpt-oss-20b", 20914757184},        // huggingface.co/openai/gpt-oss-20b
      {"gpt-oss-120b", 116829156672},      // huggingface.co/openai/gpt-oss-120b
  };
  for (const auto& row : published) {
    const double total = ModelArithmetic(Preset(row.name), {}).Parameters().total;
    // Whole counts must match to the last one; rounded ones to their last digit.
    const bool exact = row.total != 174604e6 && row.total != 540.35e9;
    EXPECT_NEAR(total, row.total, exact ? 0 : 0.01e9) << row.name;
  }
}

TEST(ParametersTest, PartsAddUpToTheTotal) {
  for (const std::string& name : ListPresets(kModels)) {
    const ParameterCounts c = ModelArithmetic(Preset(name), {}).Parameters();
    EXPECT_EQ(c.total, c.embedding + c.position + c.head + c.attention + c.mlp + c.router + c.norm +
                           c.prediction)
        << name;
    EXPECT_LE(c.active, c.total) << name;
  }
}

// arXiv 2412.19437 §4.2: 37B of 671B active; arXiv 2401.04088: Mixtral 8x7B 12.9B of 46.7B.
TEST(ParametersTest, ActiveOnesOfRoutedModels) {
  EXPECT_NEAR(ModelArithmetic(Preset("deepseek-v3"), {}).Parameters().active, 37e9, 0.6e9);
  EXPECT_NEAR(ModelArithmetic(Preset("mixtral-8x7b"), {}).Parameters().active, 12.9e9, 0.05e9);
}

// arXiv 2412.19437 §2.2: a prediction module is one more layer, two norms and a projection from the
// two streams side by side (2 D) to D; embedding and head are shared.
TEST(ParametersTest, MultiTokenPredictionModule) {
  Model m = Preset("deepseek-v3");
  const double without = ModelArithmetic(m, {}).Parameters().total;
  m.layers += 1;
  const double layer = ModelArithmetic(m, {}).Parameters().total - without;
  m.layers -= 1;
  m.mtp_layers = 1;
  const double d = m.hidden;
  EXPECT_EQ(ModelArithmetic(m, {}).Parameters().prediction, layer + 2 * d * d + 2 * d);
}

// Narayanan et al. arXiv 2104.04473 eq. 3, with full recomputation as printed there and without it.
double MegatronFlops(double b, double s, double l, double h, double v, bool full_recompute) {
  const double matmuls = full_recompute ? 96 : 72;
  const double head = full_recompute ? 16 : 12;
  return matmuls * b * s * l * h * h * (1 + s / (6 * h) + v / (head * l * h));
}

TEST(FlopsTest, AreMegatronsFormula) {
  for (const double s : {128.0, 2048.0}) {
    const double b = 3, l = 24, h = 2304, v = 51200;
    const ModelArithmetic a(Megatron(24, 2304, 24, 51200), {b, s, s});
    EXPECT_DOUBLE_EQ(3 * a.Forward(Square::kFull).total(), MegatronFlops(b, s, l, h, v, false));
    EXPECT_DOUBLE_EQ(
        3 * a.Forward(Square::kFull).total() + a.RecomputedFlops(Keep::kInput, Square::kFull),
        MegatronFlops(b, s, l, h, v, true));
  }
}

// PaLM appendix B (arXiv 2204.02311): 6 N + 12 L H Q T per token, N without the embedding table.
TEST(FlopsTest, ArePalmsFormula) {
  const Model m = Preset("palm-540b");
  const double t = 2048;
  const ModelArithmetic a(m, {1, t, t});
  const double attention = 12.0 * m.layers * m.heads * m.head_dim * t;
  const ParameterCounts c = a.Parameters();
  const double matmul_parameters = c.total - c.norm;  // tied: the table is the head
  const double per_token = 3 * a.Forward(Square::kFull).total() / t;
  EXPECT_DOUBLE_EQ(per_token, 6 * matmul_parameters + attention);
}

TEST(FlopsTest, CausalIsHalfTheSquareAndAWindowLess) {
  Model m = Megatron(2, 512, 8, 1000);
  const TokenShape shape{1, 4096, 4096};
  const double full = ModelArithmetic(m, shape).Forward(Square::kFull).scores;
  EXPECT_EQ(ModelArithmetic(m, shape).Forward(Square::kMasked).scores, full / 2);
  // Brute force: query i of a causal window of w sees min(i + 1, w) keys.
  m.sliding_window = 1024;
  double pairs = 0;
  for (int i = 0; i < 4096; ++i) pairs += std::min(i + 1, 1024);
  const double windowed = ModelArithmetic(m, shape).Forward(Square::kMasked).scores;
  EXPECT_NEAR(windowed / full, pairs / (4096.0 * 4096.0), 1.0 / 4096);
}

// Every token meets k of E experts: FLOPs do not depend on E, and equal those of a dense MLP k
// times as wide.
TEST(FlopsTest, RoutedExpertsCountThoseThatATokenUses) {
  Model routed = Megatron(4, 512, 8, 1000);
  routed.moe = Moe();
  routed.moe->experts = 32;
  routed.moe->experts_per_token = 4;
  routed.moe->expert_ffn = 256;
  Model dense = routed;
  dense.moe.reset();
  dense.ffn = 4 * 256;
  const TokenShape shape{2, 64, 64};
  const ModelArithmetic r(routed, shape), d(dense, shape);
  EXPECT_EQ(r.Forward(Square::kFull).mlp, d.Forward(Square::kFull).mlp);
  EXPECT_EQ(r.Parameters().mlp, 32.0 / 4 * d.Parameters().mlp);
  EXPECT_EQ(r.Parameters().router, 4.0 * 512 * 32);
}

// Korthikanti et al. eq. 1-4 and Table 2: 34 sbh + 5 as²b, by tensor and sequence parallelism and
// with selective recomputation.
TEST(ActivationsTest, AreMegatronsFormulas) {
  const double s = 2048, b = 4, h = 6144, a = 64;
  const ModelArithmetic arithmetic(Megatron(48, 6144, 64, 51200), {b, s, s},
                                   {.unfused_attention = true, .dropout = true});
  const Block& layer = arithmetic.transformer().kinds[0];
  for (const double t : {1.0, 2.0, 8.0}) {
    for (const bool sequence : {false, true}) {
      const ActivationSharding sharding{t, sequence};
      EXPECT_DOUBLE_EQ(arithmetic.KeptBytes(layer, Keep::kAll, sharding),
                       MegatronActivationBytes(s, b, h, a, t, sequence, false));
      EXPECT_DOUBLE_EQ(arithmetic.KeptBytes(layer, Keep::kSelective, sharding),
                       MegatronActivationBytes(s, b, h, a, t, sequence, true));
    }
  }
  EXPECT_DOUBLE_EQ(arithmetic.KeptBytes(layer, Keep::kAll), 34 * s * b * h + 5 * a * s * s * b);
  EXPECT_DOUBLE_EQ(arithmetic.KeptBytes(layer, Keep::kInput), 2 * s * b * h);
}

// A fused kernel keeps nothing quadratic: q, k, v, output and 4 bytes per row and head.
TEST(ActivationsTest, FlashAttentionKeepsNothingQuadratic) {
  const Model m = Megatron(2, 512, 8, 1000);
  const auto kept = [&](double s) {
    const ModelArithmetic a(m, {1, s, s});
    return a.KeptBytes(a.transformer().kinds[0], Keep::kAll);
  };
  EXPECT_DOUBLE_EQ(kept(8192), 2 * kept(4096));
  EXPECT_DOUBLE_EQ(kept(4096), 4096 * (32.0 * 512 + 4 * 8));
}

// "How To Scale Your Model" ch. 5: with the results of the seven matmuls kept, the dot products are
// done again: 4 B T² N H per layer.
TEST(ActivationsTest, KeepingTheMatmulsDoesTheDotProductsAgain) {
  const Model m = Preset("llama-3-8b");
  const ModelArithmetic a(m, {2, 4096, 4096});
  EXPECT_DOUBLE_EQ(a.RecomputedFlops(Keep::kMatmuls, Square::kFull),
                   m.layers * 4.0 * 2 * 4096 * 4096 * m.heads * m.head_dim);
  const double d = m.hidden, f = m.ffn, kh = m.kv_heads * m.head_dim;
  EXPECT_DOUBLE_EQ(a.KeptBytes(a.transformer().kinds[0], Keep::kMatmuls),
                   2.0 * 2 * 4096 * (d + d + 2 * kh + d + 2 * f + d));
}

// 2 · bytes · L · K · H per position; arXiv 2405.04434 Table 1: latent attention caches R_kv + H_r.
TEST(KvCacheTest, BytesPerToken) {
  EXPECT_EQ(ModelArithmetic(Preset("llama-3-70b"), {}).KvBytesPerToken(2), 2.0 * 2 * 80 * 8 * 128);
  EXPECT_EQ(ModelArithmetic(Preset("deepseek-v3"), {}).KvBytesPerToken(2), 2.0 * 61 * (512 + 64));
  const Model gemma = Preset("gemma-2-27b");  // every second layer sees 4096 positions
  const double per_layer = 2.0 * 2 * gemma.kv_heads * gemma.head_dim;
  EXPECT_EQ(ModelArithmetic(gemma, {}).KvBytesPerSequence(8192, 2),
            per_layer * gemma.layers / 2 * (4096 + 8192));
}

TEST(LoadModelTest, NamesEveryProblem) {
  v1::Model message;
  message.set_layers(0);
  message.set_hidden(4096);
  message.set_heads(32);
  message.set_kv_heads(5);
  message.set_norms_per_layer(3);
  message.mutable_moe()->set_experts(8);
  message.mutable_moe()->set_experts_per_token(9);
  message.mutable_moe()->set_expert_ffn(1024);
  Diagnostics diagnostics;
  LoadModel(message, "model", &diagnostics);
  const std::string problems(diagnostics.status().message());
  for (const char* problem : {"model.layers: is 0, expected 1 to 10000", "model.vocab: is not set",
                              "model.norms_per_layer: is 3, expected 0, 2 or 4",
                              "model.moe.experts_per_token: is 9, expected 1 to 8"}) {
    EXPECT_NE(problems.find(problem), std::string::npos) << problems;
  }
}

TEST(LoadModelTest, FillsInDefaults) {
  v1::Model message;
  message.set_layers(2);
  message.set_hidden(4096);
  message.set_heads(32);
  message.set_ffn(11008);
  message.set_vocab(32000);
  Diagnostics diagnostics;
  const Model m = LoadModel(message, "model", &diagnostics);
  EXPECT_TRUE(diagnostics.ok());
  EXPECT_EQ(m.kv_heads, 32);
  EXPECT_EQ(m.head_dim, 128);
  EXPECT_EQ(m.norms_per_layer, 2);
  EXPECT_TRUE(m.final_norm);
}

}  // namespace
}  // namespace meshstep
