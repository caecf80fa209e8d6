#include "strategies/model/load_model.h"

#include <string>

#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "meshstep/v1/model.pb.h"
#include "strategies/model/model_arithmetic.h"

namespace meshstep {
namespace {

using ::testing::HasSubstr;

v1::Model Small(const std::string& fields) {
  v1::Model message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      "layers: 6 hidden: 64 heads: 4 kv_heads: 2 ffn: 256 vocab: 1000 " + fields, &message));
  return message;
}

Model Loaded(const std::string& fields) {
  Diagnostics diagnostics;
  Model model = LoadModel(Small(fields), "model", &diagnostics);
  EXPECT_TRUE(diagnostics.ok()) << diagnostics.status();
  return model;
}

std::string Problem(const std::string& fields) {
  Diagnostics diagnostics;
  LoadModel(Small(fields), "model", &diagnostics);
  return std::string(diagnostics.status().message());
}

double Parameters(const std::string& fields) {
  return ModelArithmetic(Loaded(fields), TokenShape()).Parameters().total;
}

int CountOps(const Transformer& transformer, const std::string& name) {
  int count = 0;
  for (const Block& block : transformer.kinds) {
    for (const Op& op : block.ops) count += op.name == name ? 1 : 0;
  }
  return count;
}

// A table of 32 columns instead of 64, and a projection of 32 · 64 after it and before the head.
TEST(LoadModel, EmbeddingNarrowerThanTheStream) {
  for (const std::string tied : {"true", "false"}) {
    const double tables = tied == "true" ? 1 : 2;
    EXPECT_EQ(Parameters("embedding_dim: 32 tied_embeddings: " + tied),
              Parameters("tied_embeddings: " + tied) - tables * 1000 * 32 + 2 * 32 * 64);
  }
  EXPECT_EQ(Parameters("embedding_dim: 64"), Parameters(""));
  // Of one token: the two projections more, half the products of the head.
  const auto head = [](const std::string& fields) {
    return ModelArithmetic(Loaded(fields), TokenShape()).Forward(Square::kFull).head;
  };
  EXPECT_EQ(head("embedding_dim: 32"), 2.0 * (32 * 1000 + 2 * 32 * 64));
  EXPECT_EQ(head(""), 2.0 * 64 * 1000);
  EXPECT_EQ(Parameters("embedding_dim: 32 position_embeddings: 128"),
            Parameters("embedding_dim: 32") + 128 * 64);
  EXPECT_THAT(Problem("embedding_dim: 0"), HasSubstr("model.embedding_dim: is 0, expected 1"));
  EXPECT_THAT(Problem("embedding_dim: 32 mtp_layers: 1"),
              HasSubstr("model.embedding_dim: is 32, but mtp_layers needs"));
}

TEST(LoadModel, RotaryPositionsAreTheDefaultWithoutLearnedOnes) {
  const auto rotary = [](const std::string& fields) {
    return CountOps(BuildTransformer(Loaded(fields), {}), "rotary");
  };
  EXPECT_EQ(rotary(""), 1);
  EXPECT_EQ(rotary("rotary: false"), 0);
  EXPECT_EQ(rotary("position_embeddings: 128"), 0);
  EXPECT_EQ(rotary("position_embeddings: 128 rotary: true"), 1);
  EXPECT_EQ(Parameters("rotary: false"), Parameters(""));
}

// Six layers; heads of 16: one scale for all heads of a kind, or one for each of 4 + 2.
TEST(LoadModel, ScalesOfAllHeads) {
  EXPECT_EQ(Parameters("qk_norm: true"), Parameters("") + 6 * 2 * 16);
  EXPECT_EQ(Parameters("qk_norm: true qk_norm_all_heads: true"), Parameters("") + 6 * (4 + 2) * 16);
  EXPECT_THAT(Problem("qk_norm_all_heads: true"),
              HasSubstr("model.qk_norm_all_heads: is true, which needs qk_norm to be true"));
}

}  // namespace
}  // namespace meshstep
