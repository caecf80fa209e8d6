// Models whose attention has heads of two shapes, and mixers that are neither attention nor a state
// space: what their configurations' dimensions give is the published count, and one token uses what
// is published.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/strategies/model/hugging_face/published.h"

namespace meshstep {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

// `what` for each layer, as a list: "a" where (i + 1) % period is `of`, else "b".
std::string List(int layers, int period, int of, const std::string& a, const std::string& b) {
  std::string list;
  for (int i = 0; i < layers; ++i) list += (i > 0 ? "," : "") + ((i + 1) % period == of ? a : b);
  return "[" + list + "]";
}

const std::string kFull = "\"full_attention\"", kSliding = "\"sliding_attention\"";

void Expect(const char* name, double parameters, double active, const std::string& config) {
  ExpectAsPublished({name, parameters, active, config.c_str()});
}

// ai.google.dev/gemma/docs/core/model_card_4: 30.7B; 25.2B, of which 3.8B are active. Layers of full
// attention have heads of 512 and their keys for values (modeling_gemma4.py, Gemma4TextAttention).
TEST(HfShapes, Gemma4) {
  const double d = 5376, local = 2 * d * 32 * 256 + 2 * d * 16 * 256 + 2 * 256,
               global = 2 * d * 32 * 512 + d * 4 * 512 + 2 * 512;
  const double dense = 50 * local + 10 * global + 60 * (3 * d * 21504 + 4 * d) + 262144 * d + d;
  EXPECT_NEAR(dense, 30.7e9, 0.05e9);
  const std::string keys =
      R"("global_head_dim":512,"head_dim":256,"attention_k_eq_v":true,"sliding_window":1024,
      "hidden_size_per_layer_input":0,"num_kv_shared_layers":0,"vocab_size_per_layer_input":262144,
      "use_bidirectional_attention":"vision","use_double_wide_mlp":false,"vocab_size":262144,
      "tie_word_embeddings":true,)";
  Expect("google/gemma-4-31B", dense, 0,
         R"({"model_type":"gemma4_unified","vision_config":{"hidden_size":1152},"text_config":{
      "model_type":"gemma4_text","hidden_size":5376,"num_hidden_layers":60,"num_attention_heads":32,
      "num_key_value_heads":16,"num_global_key_value_heads":4,"intermediate_size":21504,
      "enable_moe_block":false,"num_experts":null,"top_k_experts":null,)" +
             keys + "\"layer_types\":" + List(60, 6, 0, kFull, kSliding) + "}}");
  Expect("google/gemma-4-26B-A4B", 25.233e9, 3.823e9,
         R"({"model_type":"gemma4","text_config":{
      "model_type":"gemma4_text","hidden_size":2816,"num_hidden_layers":30,"num_attention_heads":16,
      "num_key_value_heads":8,"num_global_key_value_heads":2,"intermediate_size":2112,
      "enable_moe_block":true,"num_experts":128,"top_k_experts":8,"moe_intermediate_size":704,)" +
             keys + "\"layer_types\":" + List(30, 6, 0, kFull, kSliding) + "}}");
}

// E2B and E4B have embeddings of each layer and layers that share keys and values.
TEST(HfShapes, Gemma4WithEmbeddingsOfEachLayerIsRefused) {
  v1::Model model;
  std::vector<std::string> assumptions;
  const Status status =
      ParseHfConfig("c", R"({"model_type":"gemma4_text","hidden_size":64,"num_hidden_layers":6,
      "num_attention_heads":4,"num_key_value_heads":1,"intermediate_size":256,"vocab_size":1000,
      "hidden_size_per_layer_input":256,"num_kv_shared_layers":2})",
                    &model, &assumptions);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("hidden_size_per_layer_input: is 256 (embeddings of each layer)"));
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("num_kv_shared_layers: is 2 (keys and values shared by layers)"));
}

// huggingface.co/XiaomiMiMo/MiMo-V2-Flash: 309B, 15B active.
TEST(HfShapes, MiMoV2) {
  const double d = 4096, full = d * 64 * 192 + d * 4 * (192 + 128) + 64 * 128 * d,
               windowed = d * 64 * 192 + d * 8 * (192 + 128) + 64 * 128 * d + 64;
  const double expert = 3 * d * 2048;
  const double total = 9 * full + 39 * windowed + 48 * 2 * d + 3 * d * 16384 +
                       47 * (256 * (expert + d) + 256) + 2 * 152576 * d + d;
  EXPECT_NEAR(total, 309e9, 0.5e9);
  std::string pattern = "0";
  for (int i = 1; i < 48; ++i) pattern += i % 6 == 5 ? ",0" : ",1";
  Expect("XiaomiMiMo/MiMo-V2-Flash", total, total - 47.0 * (256 - 8) * expert,
         R"({"model_type":"mimo_v2_flash","hidden_size":4096,"num_hidden_layers":48,
      "num_attention_heads":64,"num_key_value_heads":4,"head_dim":192,"v_head_dim":128,
      "swa_num_attention_heads":64,"swa_num_key_value_heads":8,"swa_head_dim":192,
      "swa_v_head_dim":128,"swa_rope_theta":10000,"partial_rotary_factor":0.334,
      "attention_value_scale":0.707,"add_swa_attention_sink_bias":true,
      "add_full_attention_sink_bias":false,"sliding_window":128,"sliding_window_size":128,
      "attention_chunk_size":128,"intermediate_size":16384,"moe_intermediate_size":2048,
      "n_routed_experts":256,"num_experts_per_tok":8,"n_shared_experts":null,"n_group":1,
      "topk_group":1,"topk_method":"noaux_tc","vocab_size":152576,"attention_bias":false,
      "layernorm_epsilon":1e-5,"tie_word_embeddings":false,"hybrid_layer_pattern":[)" +
             pattern + "],\"moe_layer_freq\":" + List(48, 100, 1, "0", "1") + "}");
}

// github.com/stepfun-ai/Step-3.5-Flash: 196.81B in the backbone, about 11B active without tables. 64
// heads, 96 in layers of a window, each with a gate (configuration_step35.py of Megatron-Bridge).
TEST(HfShapes, Step35) {
  const double d = 4096, full = 2 * d * 64 * 128 + 2 * d * 8 * 128 + d * 64 + 2 * 128,
               windowed = 2 * d * 96 * 128 + 2 * d * 8 * 128 + d * 96 + 2 * 128;
  const double expert = 3 * d * 1280;
  const double total = 12 * full + 33 * windowed + 45 * 2 * d + 3 * 3 * d * 11264 +
                       42 * (288 * (expert + d) + 288 + expert) + 2 * 128896 * d + d;
  EXPECT_NEAR(total, 196.81e9, 1e-3 * total);
  std::string routed = "3";
  for (int i = 4; i < 45; ++i) routed += "," + std::to_string(i);
  Expect("stepfun-ai/Step-3.5-Flash", total, total - 42.0 * (288 - 8) * expert,
         R"({"model_type":"step3p5","hidden_size":4096,"num_hidden_layers":45,
      "num_attention_heads":64,"num_attention_groups":8,"head_dim":128,"intermediate_size":11264,
      "moe_num_experts":288,"moe_top_k":8,"moe_intermediate_size":1280,"share_expert_dim":1280,
      "vocab_size":128896,"sliding_window":512,"use_head_wise_attn_gate":true,"use_qk_norm":true,
      "use_moe_router_bias":true,"moe_router_activation":"sigmoid","moe_router_scaling_factor":3.0,
      "need_fp32_gate":true,"swiglu_limits":[0.0],"num_nextn_predict_layers":3,
      "tie_word_embeddings":false,
      "attention_other_setting":{"attention_type":"sliding_attention","num_attention_heads":96,
        "num_attention_groups":8,"head_dim":128},"moe_layers_enum":")" +
             routed + "\",\"layer_types\":" + List(48, 4, 1, kFull, kSliding) + "}");
}

// The cards of huggingface.co/LiquidAI: 354,483,968, 1,170,340,608 and 8.3B with 1.5B active.
TEST(HfShapes, Lfm2) {
  const std::string convolutions =
      R"("conv_L_cache":3,"conv_bias":false,"num_key_value_heads":8,"vocab_size":65536,)";
  const std::string dense =
      R"({"model_type":"lfm2","num_hidden_layers":16,"block_auto_adjust_ff_dim":true,
      "block_multiple_of":256,"block_ffn_dim_multiplier":1.0,"block_use_swiglu":true,
      "tie_embedding":true,"full_attn_idxs":[2,5,8,10,12,14],)" +
      convolutions;
  Expect("LiquidAI/LFM2-350M", 354483968, 0,
         dense + R"("hidden_size":1024,"block_dim":1024,"conv_dim":1024,"num_attention_heads":16,
      "block_ff_dim":6656})");
  Expect("LiquidAI/LFM2-1.2B", 1170340608, 0,
         dense + R"("hidden_size":2048,"block_dim":2048,"conv_dim":2048,"num_attention_heads":32,
      "block_ff_dim":12288})");
  const double expert = 3 * 2048 * 1792.0;
  Expect("LiquidAI/LFM2-8B-A1B", 8339930560, 8339930560 - 22 * (32 - 4) * expert,
         R"({"model_type":"lfm2_moe","hidden_size":2048,"num_hidden_layers":24,
      "num_attention_heads":32,"intermediate_size":7168,"moe_intermediate_size":1792,
      "num_experts":32,"num_experts_per_tok":4,"num_dense_layers":2,"use_expert_bias":true,
      "norm_topk_prob":true,"routed_scaling_factor":1.0,"tie_embedding":true,)" +
             convolutions + R"("layer_types":["conv","conv","full_attention","conv","conv","conv",
      "full_attention","conv","conv","conv","full_attention","conv","conv","conv","full_attention",
      "conv","conv","conv","full_attention","conv","conv","full_attention","conv","conv"]})");
}

// arXiv 2404.07839 table 1: 2.7B (0.7B of them in the table). modeling_recurrent_gemma.py: a
// convolution of 4 with its bias, two gates of ten blocks of 256 x 256, a decay for each channel.
TEST(HfShapes, RecurrentGemma) {
  const double d = 2560;
  const double recurrent = 3 * d * d + 3 * d + 5 * d + 2 * (10 * 256 * 256 + d) + d;
  const double attention = 2 * d * d + 2 * d * 256 + d;
  const double mlp = 3 * d * 7680 + 2 * 7680 + d;
  Expect("google/recurrentgemma-2b",
         18 * recurrent + 8 * attention + 26 * (mlp + 2 * d) + 256000 * d + d, 0,
         R"({"model_type":"recurrent_gemma","hidden_size":2560,"num_hidden_layers":26,
      "num_attention_heads":10,"num_key_value_heads":1,"head_dim":256,"lru_width":2560,
      "conv1d_width":4,"intermediate_size":15360,"attention_window_size":2048,"vocab_size":256000,
      "attention_bias":false,"hidden_activation":"gelu_pytorch_tanh","partial_rotary_factor":0.5,
      "w_init_variance_scale":0.01,"final_w_init_variance_scale":0.077,"logits_soft_cap":30.0,
      "_block_types":["recurrent","recurrent","attention"]})");
}

// configuration_olmo_hybrid.py: the defaults are those of allenai/Olmo-Hybrid-7B; 30 heads of 96 keys
// and 192 values.
TEST(HfShapes, OlmoHybrid) {
  const double d = 3840, keys = 30 * 96, values = 30 * 192;
  const double linear =
      d * (2 * keys + 2 * values + 2 * 30) + 4 * (2 * keys + values) + 2 * 30 + 192 + values * d;
  const double attention = 4 * d * d + 2 * d;
  Expect("allenai/Olmo-Hybrid-7B",
         24 * linear + 8 * attention + 32 * (3 * d * 11008 + 2 * d) + 2 * 100352 * d + d, 0,
         R"({"model_type":"olmo_hybrid","hidden_size":3840,"num_hidden_layers":32,
      "num_attention_heads":30,"num_key_value_heads":30,"intermediate_size":11008,
      "vocab_size":100352,"linear_conv_kernel_dim":4,"linear_allow_neg_eigval":true,
      "attention_bias":false,"tie_word_embeddings":false,"layer_types":)" +
             List(32, 4, 0, kFull, "\"linear_attention\"") + "}");
}

// huggingface.co/moonshotai/Kimi-K3: 2.8T, 104B active (tables left out). 69 layers of Kimi delta
// attention with a whole gate, 24 of latent attention with one too, experts of 3,584.
TEST(HfShapes, KimiK3) {
  std::string kda, full;
  for (int i = 1; i <= 93; ++i) {
    std::string& list = i % 4 == 0 || i == 93 ? full : kda;
    list += (list.empty() ? "" : ",") + std::to_string(i);
  }
  const double d = 7168, p = 96 * 128;
  const double linear = d * p * 5 + d * 96 + d * 128 + 128 * p + 4 * 3 * p + 96 + p + 128;
  const double latent =
      d * 1536 + 1536 + 1536 * 96 * 192 + d * (512 + 64) + 512 + 512 * 96 * 256 + 2 * d * p;
  const double expert = 3 * 3584 * 3072.0;
  const double total = 69 * linear + 24 * latent + 93 * 2 * d + 3 * d * 33792 +
                       92 * (896 * (expert + d) + 896 + 2 * d * 3584 + 3 * d * 6144) +
                       2 * 163840 * d + d;
  EXPECT_NEAR(total, 2.8e12, 0.05e12);
  const double active = total - 92.0 * (896 - 16) * expert;
  EXPECT_NEAR(active - 163840 * d, 104e9, 0.5e9);
  Expect("moonshotai/Kimi-K3", total, active,
         R"({"model_type":"kimi_k3","vision_config":{"patch_size":14},"text_config":{
      "model_type":"kimi_linear","hidden_size":7168,"num_hidden_layers":93,
      "num_attention_heads":96,"num_key_value_heads":96,"head_dim":256,"vocab_size":163840,
      "intermediate_size":33792,"q_lora_rank":1536,"kv_lora_rank":512,"qk_nope_head_dim":128,
      "qk_rope_head_dim":64,"v_head_dim":128,"mla_use_nope":true,"mla_use_output_gate":true,
      "hidden_act":"situ","activation_situ_beta":4.0,"activation_situ_linear_beta":25.0,
      "attn_res_block_size":12,"routed_expert_hidden_size":3584,"latent_moe_use_norm":true,
      "num_experts":896,"num_experts_per_token":16,"moe_intermediate_size":3072,
      "num_shared_experts":2,"first_k_dense_replace":1,"moe_layer_freq":1,"num_expert_group":1,
      "topk_group":1,"use_grouped_topk":true,"moe_renormalize":true,
      "moe_router_activation_func":"sigmoid","topk_method":"noaux_tc","num_nextn_predict_layers":0,
      "tie_word_embeddings":false,"linear_attn_config":{"num_heads":96,"head_dim":128,
        "short_conv_kernel_size":4,"gate_lower_bound":-5.0,"use_full_rank_gate":true,
        "kda_layers":[)" +
             kda + "],\"full_attn_layers\":[" + full + "]}}}");
}

TEST(HfShapes, WhatIsLeftOutIsSaid) {
  v1::Model model;
  std::vector<std::string> assumptions;
  ASSERT_TRUE(ParseHfConfig("c", R"({"model_type":"kimi_linear","hidden_size":64,
      "num_hidden_layers":4,"num_attention_heads":4,"num_key_value_heads":4,"vocab_size":1000,
      "intermediate_size":256,"kv_lora_rank":32,"qk_nope_head_dim":16,"qk_rope_head_dim":8,
      "v_head_dim":16,"num_experts":8,"num_experts_per_token":2,"moe_intermediate_size":32,
      "attn_res_block_size":12,"tie_word_embeddings":false,"linear_attn_config":{"num_heads":4,
        "head_dim":16,"full_attn_layers":[4]}})",
                            &model, &assumptions)
                  .ok());
  EXPECT_THAT(assumptions, Contains(HasSubstr("attn_res_block_size is 12: sums over")));
}

// huggingface.co/arcee-ai/Trinity-Mini: 26B. A gate of each element
// of attention; two dense layers; norms of heads, four of a layer.
TEST(HfShapes, Trinity) {
  const double d = 2048, expert = 3 * d * 1024;
  const double attention = 3 * d * 4096 + 2 * d * 512 + 2 * 128 + 4 * d;
  const double total =
      32 * attention + 2 * 3 * d * 6144 + 30 * (129 * expert + 128 * (d + 1)) + 2 * 200192 * d + d;
  EXPECT_NEAR(total, 26e9, 0.5e9);
  Expect("arcee-ai/Trinity-Mini", total, total - 30.0 * (128 - 8) * expert,
         R"({"model_type":"afmoe","hidden_size":2048,"intermediate_size":6144,
      "moe_intermediate_size":1024,"num_hidden_layers":32,"num_dense_layers":2,
      "num_attention_heads":32,"num_key_value_heads":4,"head_dim":128,"num_experts":128,
      "num_experts_per_tok":8,"num_shared_experts":1,"n_group":1,"topk_group":1,
      "num_expert_groups":1,"num_limited_groups":1,"score_func":"sigmoid","route_norm":true,
      "route_scale":2.826,"load_balance_coeff":0.001,"mup_enabled":true,"sliding_window":2048,
      "global_attn_every_n_layers":4,"tie_word_embeddings":false,"vocab_size":200192,
      "attention_dropout":0.0,"layer_types":)" +
             List(32, 4, 0, kFull, kSliding) + "}");
}

// configuration_qwen2.py: layers from max_window_layers on have the window. Any list of layers is
// said, with the experts it crosses.
TEST(HfShapes, WindowsWhereTheFileSays) {
  const auto model = [](const std::string& type, const std::string& keys) {
    v1::Model model;
    std::vector<std::string> assumptions;
    const Status status = ParseHfConfig("c",
                                        absl::StrCat(R"({"model_type":")", type, R"(",
        "hidden_size":64,"num_hidden_layers":6,"num_attention_heads":4,"num_key_value_heads":2,
        "intermediate_size":256,"vocab_size":1000,"sliding_window":64,)",
                                                     keys, "}"),
                                        &model, &assumptions);
    EXPECT_TRUE(status.ok()) << status.message();
    return model;
  };
  const v1::Model late = model("qwen2", R"("use_sliding_window":true,"max_window_layers":2)");
  EXPECT_EQ(late.layer_pattern(), "AABBBB");
  EXPECT_EQ(late.layer_kinds(0).sliding_window(), 0);
  EXPECT_EQ(late.layer_kinds(1).sliding_window(), 64);
  EXPECT_FALSE(late.has_sliding_window());
  EXPECT_EQ(model("exaone4", R"("sliding_window_pattern":"LGLL")").layer_pattern(), "ABAAAB");
  // One in so many is said as that.
  EXPECT_EQ(model("exaone4", R"("sliding_window_pattern":"LLG")").global_layer_period(), 3);
  // configuration_gemma4.py: the last layer is full whatever the period.
  EXPECT_EQ(model("gemma4_text", R"("sliding_window_pattern":4)").layer_pattern(), "AAABAB");
  const v1::Model experts = model("qwen3_moe", R"("use_sliding_window":true,"max_window_layers":2,
      "num_experts":8,"num_experts_per_tok":2,"moe_intermediate_size":32,"mlp_only_layers":[0,3])");
  EXPECT_EQ(experts.layer_pattern(), "ABCDCC");
  EXPECT_EQ(experts.layer_kinds(3).mlp(), v1::LayerKind::DENSE);
  EXPECT_EQ(experts.layer_kinds(3).sliding_window(), 64);
}

// Qwen3.5-397B-A17B writes no width of a dense MLP, as no layer has one (configuration_qwen3_5_moe.py).
TEST(HfShapes, TheWidthOfAnMlpThatNoLayerHasMayBeAbsent) {
  const auto problem = [](const std::string& type, const std::string& keys) {
    v1::Model model;
    std::vector<std::string> assumptions;
    return std::string(ParseHfConfig("c",
                                     absl::StrCat(R"({"model_type":")", type, R"(",
        "hidden_size":64,"num_hidden_layers":8,"num_attention_heads":4,"num_key_value_heads":2,
        "vocab_size":1000,"num_experts":8,"num_experts_per_tok":2,"moe_intermediate_size":32,)",
                                                  keys, "}"),
                                     &model, &assumptions)
                           .message());
  };
  const std::string linear = R"("linear_num_key_heads":2,"linear_num_value_heads":4)";
  EXPECT_EQ(problem("qwen3_5_moe_text", linear), "");
  EXPECT_EQ(problem("qwen3_moe", R"("mlp_only_layers":[])"), "");
  const std::string absent = "intermediate_size: is absent, expected the inner width of the MLP";
  EXPECT_THAT(problem("qwen3_moe", R"("mlp_only_layers":[0])"), HasSubstr(absent));
  EXPECT_THAT(problem("qwen3_5_moe_text", linear + R"(,"mlp_only_layers":[0])"), HasSubstr(absent));
  EXPECT_THAT(problem("gemma4_text", R"("top_k_experts":2)"), HasSubstr(absent));
}

TEST(HfShapes, ListsOfAnotherLengthAreRefused) {
  v1::Model model;
  std::vector<std::string> assumptions;
  const Status status =
      ParseHfConfig("c", R"({"model_type":"mimo_v2_flash","hidden_size":64,"num_hidden_layers":6,
      "num_attention_heads":4,"num_key_value_heads":1,"intermediate_size":256,"vocab_size":1000,
      "n_routed_experts":8,"num_experts_per_tok":2,"moe_intermediate_size":32,
      "hybrid_layer_pattern":[0,1]})",
                    &model, &assumptions);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("hybrid_layer_pattern: has 2 entries, expected one for each of 6 layers"));
}

}  // namespace
}  // namespace meshstep
