// DeepSeek-V4: what its configurations' dimensions give is the published count, by hand.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/strategies/model/hugging_face/published.h"

namespace meshstep {
namespace {

using ::testing::HasSubstr;

// Dimensions of config.json of huggingface.co/deepseek-ai/DeepSeek-V4-*.
std::string Config(int hidden, int layers, int heads, int rank, int groups, int experts, int width,
                   int top, const std::string& order) {
  return absl::StrCat(
      R"({"model_type":"deepseek_v4","attention_bias":false,"expert_dtype":"fp4","hc_eps":1e-6,)",
      R"("hc_mult":4,"hc_sinkhorn_iters":20,"head_dim":512,"hidden_act":"silu","hidden_size":)",
      hidden, R"(,"index_head_dim":128,"index_n_heads":64,"index_topk":)", top,
      R"(,"max_position_embeddings":1048576,"moe_intermediate_size":)", width,
      R"(,"n_routed_experts":)", experts,
      R"(,"n_shared_experts":1,"norm_topk_prob":true,"num_attention_heads":)", heads,
      R"(,"num_experts_per_tok":6,"num_hidden_layers":)", layers,
      R"(,"num_hash_layers":3,"num_key_value_heads":1,"num_nextn_predict_layers":0,"o_groups":)",
      groups, R"(,"o_lora_rank":1024,"q_lora_rank":)", rank,
      R"(,"qk_rope_head_dim":64,"scoring_func":"sqrtsoftplus","sliding_window":128,)",
      R"("swiglu_limit":10.0,"tie_word_embeddings":false,"topk_method":"noaux_tc",)",
      R"("vocab_size":129280,"compress_rope_theta":160000,)", order, "}");
}

// Of a stream of d: attention alone, what compresses by 4 with its indexer, by 128, experts.
double Attention(double d, double heads, double rank, double groups) {
  return d * (rank + 512) + rank * heads * 512 + rank + 512 + heads + heads * 512 * 1024 +
         groups * 1024 * d;
}
double Sparse(double d, double rank) {
  return 2 * d * 1024 + 4 * 1024 + 512 + rank * 64 * 128 + d * 64 + 2 * d * 256 + 4 * 256 + 128;
}
double Heavy(double d) { return 2 * d * 512 + 128 * 512 + 512; }
// Before each half 4 streams are read, written and mixed by 4 + 4 + 16 weights.
double Streams(double d) { return 2 * (24 * 4 * d + 24); }

std::string Ratios(int layers, const std::string& first) {
  std::string list = "\"compress_ratios\":[" + first;
  for (int i = 2; i < layers; ++i) list += i % 2 == 0 ? ",4" : ",128";
  return list + ",0]";
}

TEST(HfCompressed, Flash) {
  const double d = 4096, expert = 3 * d * 2048;
  const double layer =
      Attention(d, 64, 1024, 8) + Streams(d) + 2 * d + 257 * expert + 256 * d + 256;
  const double total = 43 * layer + 21 * Sparse(d, 1024) + 20 * Heavy(d) + 2 * 129280 * d + d;
  EXPECT_NEAR(total, 284e9, 0.5e9);
  const std::string config = Config(4096, 43, 64, 1024, 8, 256, 2048, 512, Ratios(43, "0,0"));
  ExpectAsPublished({"DeepSeek-V4-Flash", total, total - 43 * 250 * expert, config.c_str()});
  // As transformers writes it.
  std::string types = R"("sliding_attention","sliding_attention")";
  for (int i = 2; i < 43; ++i) {
    types +=
        i % 2 == 0 ? R"(,"compressed_sparse_attention")" : R"(,"heavily_compressed_attention")";
  }
  const std::string by_type =
      Config(4096, 43, 64, 1024, 8, 256, 2048, 512,
             absl::StrCat(R"("layer_types":[)", types,
                          R"(],"compress_rates":{"compressed_sparse_attention":4,)",
                          R"("heavily_compressed_attention":128})"));
  ExpectAsPublished({"DeepSeek-V4-Flash", total, total - 43 * 250 * expert, by_type.c_str()});
}

TEST(HfCompressed, Pro) {
  const double d = 7168, expert = 3 * d * 3072;
  const double layer =
      Attention(d, 128, 1536, 16) + Streams(d) + 2 * d + 385 * expert + 384 * d + 384;
  const double total = 61 * layer + 30 * Sparse(d, 1536) + 31 * Heavy(d) + 2 * 129280 * d + d;
  EXPECT_NEAR(total, 1.6e12, 0.05e12);
  const std::string config =
      Config(7168, 61, 128, 1536, 16, 384, 3072, 1024, Ratios(61, "128,128"));
  ExpectAsPublished({"DeepSeek-V4-Pro", total, total - 61 * 378 * expert, config.c_str()});
}

std::string Problem(const std::string& order) {
  v1::Model model;
  std::vector<std::string> assumptions;
  return ParseHfConfig("c", Config(64, 4, 4, 16, 2, 8, 32, 8, order), &model, &assumptions)
      .ToString();
}

TEST(HfCompressed, OrdersThatCannotBeAreRefused) {
  EXPECT_THAT(Problem(R"("compress_ratios":[0,4])"), HasSubstr("has 2 entries, expected one for"));
  EXPECT_THAT(Problem(R"("compress_ratios":[0,4,8,128])"),
              HasSubstr("has 8, expected 0, 4 or 128"));
  EXPECT_THAT(Problem(R"("layer_types":["full_attention"])"),
              HasSubstr("expected sliding_attention, compressed_sparse_attention or"));
  // Newer ones share entries between layers.
  EXPECT_THAT(Problem(R"("compress_ratios":[0,4,4,128],"kv_source_layers":[1,2])"),
              HasSubstr("kv_source_layers: is [1,2]"));
}

}  // namespace
}  // namespace meshstep
