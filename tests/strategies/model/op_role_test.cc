#include "strategies/model/op_role.h"

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "strategies/model/model.h"

namespace meshstep {
namespace {

Model Small() {
  Model model;
  model.layers = 2;
  model.hidden = 64;
  model.heads = model.kv_heads = 4;
  model.head_dim = 16;
  model.ffn = 256;
  model.vocab = 1024;
  return model;
}

std::set<OpRole> RolesOf(const Model& model, const TransformerOptions& options = {}) {
  std::set<OpRole> roles;
  const Transformer all = BuildTransformer(model, options);
  for (const Op& op : all.embedding.ops) roles.insert(op.role);
  for (const Block& block : all.kinds) {
    for (const Op& op : block.ops) roles.insert(op.role);
  }
  for (const Op& op : all.head.ops) roles.insert(op.role);
  return roles;
}

TEST(OpRole, EveryNameIsOfOneRole) {
  const std::vector<std::string> names = OpRoleNames();
  EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size());
  for (std::size_t i = 1; i < names.size(); ++i) {
    EXPECT_EQ(OpRolesNamed(names[i]), std::vector{static_cast<OpRole>(i - 1)}) << names[i];
  }
  EXPECT_TRUE(OpRolesNamed("attention_norm").empty());
}

// Those that run in the type of the plan's matmuls.
TEST(OpRole, ProductsAreTheLinearLayersOfTheStream) {
  const std::vector<OpRole> products = OpRolesNamed("products");
  Model model = Small();
  model.moe = Moe{.experts = 8,
                  .experts_per_token = 2,
                  .expert_ffn = 32,
                  .shared_experts = 1,
                  .shared_expert_ffn = 32,
                  .shared_expert_gate = true};
  for (const Block& block : BuildTransformer(model, {}).kinds) {
    for (const Op& op : block.ops) {
      const bool product = std::find(products.begin(), products.end(), op.role) != products.end();
      EXPECT_EQ(product, op.kind == Op::Kind::kMatmul && op.big_matmul) << op.name;
    }
  }
}

TEST(OpRole, FollowsWhatTheModelIs) {
  Model model = Small();
  using R = OpRole;
  EXPECT_EQ(RolesOf(model), (std::set{R::kEmbedding, R::kRmsNorm, R::kQkv, R::kRotary,
                                      R::kAttention, R::kAttentionOutput, R::kMlpIn, R::kActivation,
                                      R::kMlpOut, R::kResidualAdd, R::kLogits, R::kLoss}));
  model.norm_bias = model.gated_mlp = model.qk_norm = true;
  EXPECT_EQ(RolesOf(model, {.dropout = true}),
            (std::set{R::kEmbedding, R::kDropout, R::kLayerNorm, R::kQkv, R::kHeadNormRotary,
                      R::kAttention, R::kAttentionOutput, R::kMlpIn, R::kGatedActivation,
                      R::kMlpOut, R::kDropoutAdd, R::kLogits, R::kLoss}));
  model.rotary = false;
  EXPECT_TRUE(RolesOf(model).contains(R::kHeadNorm));
  model.moe = Moe{.experts = 8,
                  .experts_per_token = 2,
                  .expert_ffn = 32,
                  .shared_experts = 1,
                  .shared_expert_ffn = 32,
                  .shared_expert_gate = true};
  for (const R role : {R::kRouter, R::kRouting, R::kDispatch, R::kExpertsIn,
                       R::kExpertGatedActivation, R::kExpertsOut, R::kCombine, R::kMlpIn,
                       R::kGatedActivation, R::kSharedGate, R::kSharedGating, R::kSharedAdd}) {
    EXPECT_TRUE(RolesOf(model).contains(role)) << NameOf(role);
  }
  EXPECT_FALSE(RolesOf(model).contains(R::kActivation));
}

// Only what has one gradient for all its inputs: norms, products and activations have their own.
TEST(OpRole, SumsHandTheirGradientOn) {
  const std::vector<std::string> names = OpRoleNames();
  for (std::size_t i = 1; i < names.size(); ++i) {
    const std::string& name = names[i];
    const OpRole role = OpRolesNamed(name).front();
    const bool sum = name.ends_with("-add") && role != OpRole::kDropoutAdd;
    EXPECT_EQ(HandsGradientOn(role), sum || role == OpRole::kConcatenate) << name;
  }
}

// Dense layers of a model with experts have no router before which a norm could stand.
TEST(OpRole, TheNormBeforeExpertsIsTheRouters) {
  Model model = Small();
  Layer dense = model, routed = model;
  dense.kind = "dense";
  routed.kind = "experts";
  routed.moe = Moe{.experts = 8, .experts_per_token = 2, .expert_ffn = 32};
  model.kinds = {dense, routed};
  model.order = {{0}, {1}};
  const Transformer all = BuildTransformer(model, {});
  ASSERT_EQ(all.kinds.size(), 2U);
  for (const Block& block : all.kinds) {
    for (const Op& op : block.ops) {
      if (op.name != "mlp_norm") continue;
      EXPECT_EQ(op.sublayer, block.name == "experts" ? Op::Sublayer::kRouter : Op::Sublayer::kFeed);
    }
  }
}

}  // namespace
}  // namespace meshstep
