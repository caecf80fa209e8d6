// Attention over compressed keys: parameters, FLOPs and states by hand, whole models against what is
// published of them.

#include <cmath>
#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "meshstep/v1/model.pb.h"
#include "strategies/model/load_model.h"
#include "strategies/model/model_arithmetic.h"
#include "tests/strategies/scenario_fixtures.h"

namespace meshstep {
namespace {

using ::testing::HasSubstr;

constexpr double kD = 64, kV = 1000, kT = 4096;
constexpr double kN = 8, kH = 32, kRq = 16, kO = 4, kRo = 24, kI = 4, kHi = 16, kW = 128,
                 kTop = 256;

// What `compressed` and `more` say again holds.
v1::Model Proto(const std::string& compressed, const std::string& more = "") {
  v1::Model message, again;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      "layers: 1 hidden: 64 vocab: 1000 heads: 8 kv_heads: 1 head_dim: 32 sliding_window: 128 "
      "attention_sinks: true compressed { q_lora_rank: 16 output_groups: 4 output_rank: 24 } "
      "layer_kinds { mlp: NO_MLP }",
      &message));
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      "compressed { " + compressed + " } " + more, &again));
  message.MergeFrom(again);
  return message;
}

const std::string kChoice = "indexer { heads: 4 head_dim: 16 top_k: 256 } ";

Model Loaded(const v1::Model& proto) {
  Diagnostics diagnostics;
  Model model = LoadModel(proto, "model", &diagnostics);
  EXPECT_TRUE(diagnostics.ok()) << diagnostics.status();
  return model;
}

std::string Problem(const v1::Model& proto) {
  Diagnostics diagnostics;
  LoadModel(proto, "model", &diagnostics);
  return std::string(diagnostics.status().message());
}

double Parameters(const v1::Model& proto) {
  return ModelArithmetic(Loaded(proto), TokenShape()).Parameters().total - 2 * kV * kD - kD;
}

double Flops(const v1::Model& proto, Square square = Square::kMasked) {
  const FlopCounts counts = ModelArithmetic(Loaded(proto), {1, kT, kT}).Forward(square);
  return (counts.total() - counts.head) / kT;
}

// Down to queries and the key, up to queries, out by groups and from them.
constexpr double kProjections = kD * (kRq + kH) + kRq * kN * kH + kN * kH * kRo + kO * kRo * kD;
// modular_deepseek_v4.py: norms of the queries' rank and of the key, a sink of each head, one norm
// before.
constexpr double kOther = kRq + kH + kN + kD;
// Values and gates of every position, biases of an entry's positions, the scale of its norm.
double Compressor(double width, double size, double rate) {
  return 2 * kD * width + rate * width + size;
}

TEST(CompressedAttention, HasTheParametersOfItsDefinition) {
  EXPECT_EQ(Parameters(Proto("")), kProjections + kOther);
  EXPECT_EQ(Parameters(Proto("rate: 32")), kProjections + kOther + Compressor(kH, kH, 32));
  EXPECT_EQ(Parameters(Proto("rate: 4 overlap: true", kChoice)),
            kProjections + kOther + Compressor(2 * kH, kH, 4) + kRq * kI * kHi + kD * kI +
                Compressor(2 * kHi, kHi, 4));
}

TEST(CompressedAttention, CountsWhatAQuerySees) {
  const double window = kW * (1 - kW / (2 * kT)), pair = 2 * kN * 2 * kH;
  EXPECT_EQ(Flops(Proto("")), 2 * kProjections + pair * window);
  // All entries before it: half of T / 32 on average.
  EXPECT_EQ(Flops(Proto("rate: 32")),
            2 * kProjections + 4 * kD * kH + pair * (window + kT / 32 / 2));
  // 256 of at most T / 4, chosen by the scores of all of them.
  const double chosen = kTop * (1 - kTop * 4 / (2 * kT)), scores = 2 * kI * (kHi + 1) * kT / 4;
  const double indexer = 2 * (kRq * kI * kHi + kD * kI + 4 * kD * kHi);
  const v1::Model sparse = Proto("rate: 4 overlap: true", kChoice);
  EXPECT_EQ(Flops(sparse),
            2 * kProjections + 8 * kD * kH + indexer + pair * (window + chosen) + scores / 2);
  // Counters take the square of scores whole, and of the rest what is seen.
  EXPECT_EQ(Flops(sparse, Square::kFull), Flops(sparse) + scores / 2);
}

TEST(CompressedAttention, KeepsAWindowAndEntries) {
  const auto state = [](const v1::Model& proto, double positions) {
    return ModelArithmetic(Loaded(proto), TokenShape()).KvBytesPerSequence(positions, 2);
  };
  EXPECT_EQ(state(Proto(""), kT), 2 * kW * kH);
  EXPECT_EQ(state(Proto("rate: 32"), kT), 2 * (kW * kH + kT / 32 * kH + 2 * 32 * kH));
  EXPECT_EQ(state(Proto("rate: 4 overlap: true", kChoice), kT),
            2 * (kW * kH + kT / 4 * (kH + kHi) + 2 * 4 * 2 * (kH + kHi)));
}

TEST(CompressedAttention, IsRefusedWhereItCannotBe) {
  EXPECT_THAT(Problem(Proto("rate: 5")), HasSubstr("compressed.rate: is 5, expected a divisor"));
  EXPECT_THAT(Problem(Proto("rate: -1")), HasSubstr("compressed.rate: is -1, expected 0 to"));
  EXPECT_THAT(Problem(Proto("rate: 32", kChoice)),
              HasSubstr("compressed.rate: is 32, expected a divisor of indexer.head_dim, 16"));
  EXPECT_THAT(Problem(Proto("", kChoice)), HasSubstr("needs mla or compressed.rate to be set"));
  EXPECT_THAT(Problem(Proto("", "kv_heads: 8")), HasSubstr("kv_heads: is 8 beside compressed"));
  EXPECT_THAT(Problem(Proto("", "sliding_window: 0")), HasSubstr("sliding_window: is not set"));
  EXPECT_THAT(Problem(Proto("", "qk_norm: true")), HasSubstr("qk_norm: is set beside compressed"));
  EXPECT_THAT(Problem(Proto("output_groups: 3")), HasSubstr("compressed.output_groups: is 3"));
}

Model Preset(const std::string& name, int prediction) {
  v1::Scenario proto = OnDgx("preset: '" + name + "'", 8, "fsdp: 8");
  proto.mutable_model()->set_mtp_layers(prediction);
  return Load(proto).model;
}

// huggingface.co/deepseek-ai: Flash 284B, of which 13B are active; Pro 1.6T and 49B: without the table
// that is looked up.
TEST(DeepSeekV4, IsAsPublished) {
  const ParameterCounts flash = ModelArithmetic(Preset("deepseek-v4-flash", 0), {}).Parameters();
  EXPECT_EQ(std::round(flash.total / 1e9), 284);
  EXPECT_EQ(std::round((flash.active - flash.embedding) / 1e9), 13);
  const ParameterCounts pro = ModelArithmetic(Preset("deepseek-v4-pro", 0), {}).Parameters();
  EXPECT_EQ(std::round(pro.total / 1e11), 16);
  EXPECT_EQ(std::round((pro.active - pro.embedding) / 1e9), 49);
}

// Published of a sequence of 2^20 positions of Pro in bf16: 9.62 GiB (vLLM's notes on the model), which
// are its entries and those of its indexers; windows and open entries are a thousandth.
TEST(DeepSeekV4, KeepsAMillionPositions) {
  const ModelArithmetic pro(Preset("deepseek-v4-pro", 0), TokenShape());
  EXPECT_NEAR(pro.KvBytesPerSequence(1 << 20, 2) / (1 << 30), 9.62, 0.02);
}

// NVIDIA-NeMo/Megatron-Bridge flop_utils.py at 067f987, dsv4_hybrid: forward, of one token, with norms
// as products, windows without their start, all pairs of the indexer; without routers, hyper-
// connections and the weights of the indexer's heads.
double Counter(double prediction) {
  const double d = 4096, heads = 64, h = 512, rank = 1024, t = 4096, window = 128, top = 512;
  const double layers = 43 + prediction, sparse = 21, heavy = 20, plain = 2 + prediction;
  const double projections =
      rank * (d + heads * h + 1) + d * h + h + heads * h * 1024 + 8 * 1024 * d;
  const double chosen = top * (1 - top * 4 / (2 * t));
  const double attention =
      heads * h * 2 * (layers * window + sparse * chosen) + heavy * heads * h / 128 * t;
  const double compressors = 2 * d * h * (2 * sparse + heavy);
  const double indexer = sparse * (4 * d * 128 + rank * 64 * 128 + d * 64 + 64 * 128 / 4 * t);
  const double experts = 3 * d * 2048 * 7;
  EXPECT_EQ(plain + sparse + heavy, layers);
  return 2 * (layers * (projections + experts) + attention + compressors + indexer +
              prediction * (3 * d + 2 * d * d) + d * 129280 * (1 + prediction));
}

TEST(DeepSeekV4, FlopsAreItsCounterAndWhatThatLeavesOut) {
  const Model model = Preset("deepseek-v4-flash", 1);
  const double ours = ModelArithmetic(model, {1, 4096, 4096}).Forward(Square::kFull).total() / 4096;
  const double routers = 44 * 2 * 4096.0 * 256, streams = 44 * 2 * 2 * (4 * 4096.0) * 24;
  const double weights = 21 * 2 * 64 * 4096.0 / 4;
  EXPECT_NEAR(ours / (Counter(1) + routers + streams + weights), 1, 5e-4);
}

// docs/performance-summary.md: tokens are of whole sequences a second.
TEST(DeepSeekV4, TheCounterIsThatOfThePublishedTable) {
  const double sequence = 3 * Counter(1) * 4096;
  EXPECT_EQ(std::floor(128 * 748e12 / sequence), 128 * 8224 / 4096);
  EXPECT_EQ(std::floor(128 * 706e12 / sequence), 128 * 7776 / 4096);
}

}  // namespace
}  // namespace meshstep
