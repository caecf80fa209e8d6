#include "strategies/model/load_layer_kinds.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "meshstep/v1/model.pb.h"
#include "strategies/model/load_model.h"
#include "strategies/model/model_arithmetic.h"

namespace meshstep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Model Load(const std::string& fields, Diagnostics* diagnostics) {
  v1::Model message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      "hidden: 64 heads: 4 kv_heads: 2 vocab: 1000 " + fields, &message))
      << fields;
  return LoadModel(message, "model", diagnostics);
}

std::vector<int> Order(const std::string& fields) {
  Diagnostics diagnostics;
  const Model model = Load(fields, &diagnostics);
  EXPECT_TRUE(diagnostics.ok()) << diagnostics.status();
  return BuildTransformer(model, {}).layer_kind;
}

std::string Problem(const std::string& fields) {
  Diagnostics diagnostics;
  Load(fields, &diagnostics);
  return std::string(diagnostics.status().message());
}

const std::string kKinds =
    "ffn: 256 mamba { heads: 16 head_dim: 8 state: 16 } "
    "layer_kinds { symbol: 'M' mixer: MAMBA mlp: NO_MLP } "
    "layer_kinds { symbol: '*' mlp: NO_MLP } layer_kinds { symbol: '-' mixer: NO_MIXER } ";

TEST(LayerKinds, FollowAPattern) {
  EXPECT_THAT(Order("layers: 6 layer_pattern: 'M-|M *-M' " + kKinds),
              ElementsAre(0, 2, 0, 1, 2, 0));
  // A period, the last time in part.
  EXPECT_THAT(Order("layers: 7 layer_pattern: 'M*-' " + kKinds), ElementsAre(0, 1, 2, 0, 1, 2, 0));
  // Without one: the kinds in their order.
  EXPECT_THAT(Order("layers: 4 " + kKinds), ElementsAre(0, 1, 2, 0));
  // Layers that a kind names are not of the pattern.
  EXPECT_THAT(
      Order("layers: 6 layer_pattern: 'M-' layer_kinds { name: 'ends' layers: '0, 5' } " +
            kKinds.substr(0, kKinds.size())
                .replace(kKinds.find("layer_kinds { symbol: '*' mlp: NO_MLP } "),
                         std::string("layer_kinds { symbol: '*' mlp: NO_MLP } ").size(), "")),
      ElementsAre(0, 1, 2, 1, 2, 0));
}

// The first dense layers, routed ones by a period and global ones by another are kinds as well.
TEST(LayerKinds, OfTheUsualFields) {
  const std::string moe =
      "moe { experts: 4 experts_per_token: 2 expert_ffn: 32 dense_layers: 2 layer_period: 2 } ";
  EXPECT_THAT(Order("layers: 8 ffn: 256 " + moe), ElementsAre(0, 0, 0, 1, 0, 1, 0, 1));
  EXPECT_THAT(Order("layers: 6 ffn: 256 sliding_window: 16 global_layer_period: 3"),
              ElementsAre(0, 0, 1, 0, 0, 1));
  EXPECT_THAT(Order("layers: 3 ffn: 256 sliding_window: 16"), ElementsAre(0, 0, 0));
}

// What is said twice, once as fields and once as kinds, is the same model.
TEST(LayerKinds, SayWhatTheUsualFieldsSay) {
  const std::string moe = "moe { experts: 4 experts_per_token: 2 expert_ffn: 32 ";
  const auto count = [](const std::string& fields) {
    Diagnostics diagnostics;
    const ModelArithmetic a(Load(fields, &diagnostics), {1, 128, 128});
    EXPECT_TRUE(diagnostics.ok()) << diagnostics.status();
    return std::pair(a.Parameters().total, a.Forward(Square::kMasked).total());
  };
  EXPECT_EQ(count("layers: 6 ffn: 256 sliding_window: 16 global_layer_period: 3 " + moe +
                  "dense_layers: 1 }"),
            count("layers: 6 ffn: 256 sliding_window: 16 " + moe +
                  "} layer_kinds { mlp: DENSE layers: '0' } layer_kinds { symbol: 'w' } "
                  "layer_kinds { symbol: 'g' sliding_window: 0 } layer_pattern: 'wgwwg'"));
}

TEST(LayerKinds, EachHasItsOwnHeads) {
  Diagnostics diagnostics;
  const Model model = Load(
      "layers: 2 ffn: 256 head_dim: 16 layer_kinds { } "
      "layer_kinds { heads: 8 kv_heads: 1 head_dim: 32 }",
      &diagnostics);
  const ModelArithmetic a(model, {1, 128, 128});
  const double small = 64. * 16 * (2 * 4 + 2 * 2), large = 64. * 32 * (2 * 8 + 2 * 1);
  EXPECT_EQ(a.Parameters().attention, small + large);
  EXPECT_EQ(a.KvBytesPerToken(2), 2 * (2 * 2 * 16 + 2 * 1 * 32));
}

TEST(LayerKinds, RefuseWhatTheyCannotBe) {
  EXPECT_THAT(Problem("layers: 6 layer_pattern: 'MX' " + kKinds),
              HasSubstr("model.layer_pattern: has 'X', which is the symbol of no kind"));
  EXPECT_THAT(Problem("layers: 6 layer_pattern: 'MMMMMMM' " + kKinds),
              HasSubstr("model.layer_pattern: has 7 layers, but 6 of 6 are left to it"));
  EXPECT_THAT(Problem("layers: 6 layer_pattern: 'M*' " + kKinds),
              HasSubstr("model.layer_kinds[2]: is the kind of no layer"));
  EXPECT_THAT(Problem("layers: 6 ffn: 8 layer_kinds { layers: '0-7' }"),
              HasSubstr("model.layer_kinds[0].layers: has \"0-7\", expected layers from 0 to 5"));
  EXPECT_THAT(Problem("layers: 2 ffn: 8 layer_kinds { layers: '0' } layer_kinds { layers: '0-1' }"),
              HasSubstr("has layer 0, which another kind or entry has"));
  EXPECT_THAT(Problem("layers: 2 layer_kinds { mixer: NO_MIXER mlp: NO_MLP }"),
              HasSubstr("model.layer_kinds[0]: has neither a mixer nor an MLP"));
  EXPECT_THAT(Problem("layers: 2 layer_kinds { mixer: MAMBA mlp: NO_MLP }"),
              HasSubstr("model.layer_kinds[0].mamba: is not set"));
  EXPECT_THAT(Problem("layers: 2 layer_kinds { mlp: ROUTED }"),
              HasSubstr("model.layer_kinds[0].mlp: is ROUTED, which needs moe to be set"));
  EXPECT_THAT(Problem("layers: 2 ffn: 8 global_layer_period: 2 layer_kinds { }"),
              HasSubstr("model.global_layer_period: is 2 beside layer_kinds"));
  EXPECT_THAT(Problem("layers: 2 ffn: 8 layer_pattern: 'M'"),
              HasSubstr("model.layer_pattern: is set, which needs layer_kinds"));
  EXPECT_THAT(Problem("layers: 2 ffn: 8 layer_kinds { symbol: 'ab' }"),
              HasSubstr("model.layer_kinds[0].symbol: is \"ab\", expected one letter or sign"));
}

}  // namespace
}  // namespace meshstep
