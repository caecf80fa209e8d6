// Hybrid models: their configurations' dimensions give the elements of their weights on
// huggingface.co (multi-token prediction left out), and those that one token uses.

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/strategies/model/hugging_face/published.h"

namespace meshstep {
namespace {

using ::testing::HasSubstr;

const Published kHybrids[] = {
    {"nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16", 31577940288, 3580076352, R"({
      "model_type":"nemotron_h","hidden_size":2688,"num_hidden_layers":52,
      "num_attention_heads":32,"num_key_value_heads":2,"head_dim":128,"vocab_size":131072,
      "intermediate_size":1856,"mlp_hidden_act":"relu2","tie_word_embeddings":false,
      "hybrid_override_pattern":"MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
      "mamba_num_heads":64,"mamba_head_dim":64,"n_groups":8,"ssm_state_size":128,"conv_kernel":4,
      "chunk_size":128,"use_conv_bias":true,"expand":2,"mamba_hidden_act":"silu",
      "n_routed_experts":128,"num_experts_per_tok":6,"moe_intermediate_size":1856,
      "n_shared_experts":1,"moe_shared_expert_intermediate_size":3712,"n_group":1,"topk_group":1,
      "attention_bias":false,"mlp_bias":false,"use_bias":false,"rescale_prenorm_residual":true,
      "time_step_limit":[0.0,Infinity]})"},
    {"nvidia/NVIDIA-Nemotron-Nano-9B-v2", 8888227328, 0, R"({
      "model_type":"nemotron_h","hidden_size":4480,"num_hidden_layers":56,
      "num_attention_heads":40,"num_key_value_heads":8,"head_dim":128,"vocab_size":131072,
      "intermediate_size":15680,"mlp_hidden_act":"relu2","tie_word_embeddings":false,
      "hybrid_override_pattern":"M-M-M-MM-M-M-M*-M-M-M*-M-M-M-M*-M-M-M-M*-M-MM-M-M-M-M-M-",
      "mamba_num_heads":128,"mamba_head_dim":80,"n_groups":8,"ssm_state_size":128})"},
    {"Qwen/Qwen3-Next-80B-A3B-Instruct", 79674391296, 3874929408, R"({
      "model_type":"qwen3_next","hidden_size":2048,"num_hidden_layers":48,
      "num_attention_heads":16,"num_key_value_heads":2,"head_dim":256,"vocab_size":151936,
      "intermediate_size":5120,"full_attention_interval":4,"linear_num_key_heads":16,
      "linear_num_value_heads":32,"linear_key_head_dim":128,"linear_value_head_dim":128,
      "linear_conv_kernel_dim":4,"num_experts":512,"num_experts_per_tok":10,
      "moe_intermediate_size":512,"shared_expert_intermediate_size":512,"decoder_sparse_step":1,
      "mlp_only_layers":[],"tie_word_embeddings":false,"partial_rotary_factor":0.25})"},
    {"moonshotai/Kimi-Linear-48B-A3B-Base", 49122681728, 3484459904, R"({
      "model_type":"kimi_linear","hidden_size":2304,"num_hidden_layers":27,
      "num_attention_heads":32,"num_key_value_heads":32,"head_dim":72,"vocab_size":163840,
      "intermediate_size":9216,"q_lora_rank":null,"kv_lora_rank":512,"qk_nope_head_dim":128,
      "qk_rope_head_dim":64,"v_head_dim":128,"mla_use_nope":true,
      "linear_attn_config":{"kda_layers":[1,2,3,5,6,7,9,10,11,13,14,15,17,18,19,21,22,23,25,26],
        "full_attn_layers":[4,8,12,16,20,24,27],"num_heads":32,"head_dim":128,
        "short_conv_kernel_size":4},
      "num_experts":256,"num_experts_per_token":8,"moe_intermediate_size":1024,
      "num_shared_experts":1,"first_k_dense_replace":1,"moe_layer_freq":1,"num_expert_group":1,
      "topk_group":1,"moe_router_activation_func":"sigmoid","tie_word_embeddings":false})"},
    {"MiniMaxAI/MiniMax-Text-01", 456089655296, 48403306496, R"({
      "model_type":"minimax_text_01","hidden_size":6144,"num_hidden_layers":80,
      "num_attention_heads":64,"num_key_value_heads":8,"head_dim":128,"vocab_size":200064,
      "intermediate_size":9216,"num_local_experts":32,"num_experts_per_tok":2,"postnorm":true,
      "attn_type_list":[0,0,0,0,0,0,0,1,0,0,0,0,0,0,0,1,0,0,0,0,0,0,0,1,0,0,0,0,0,0,0,1,
        0,0,0,0,0,0,0,1,0,0,0,0,0,0,0,1,0,0,0,0,0,0,0,1,0,0,0,0,0,0,0,1,
        0,0,0,0,0,0,0,1,0,0,0,0,0,0,0,1],"tie_word_embeddings":false})"},
    {"ai21labs/AI21-Jamba-Mini-1.5", 51570323328, 12110311296, R"({
      "model_type":"jamba","hidden_size":4096,"num_hidden_layers":32,"num_attention_heads":32,
      "num_key_value_heads":8,"vocab_size":65536,"intermediate_size":14336,"num_experts":16,
      "num_experts_per_tok":2,"attn_layer_period":8,"attn_layer_offset":4,"expert_layer_period":2,
      "expert_layer_offset":1,"mamba_d_state":16,"mamba_d_conv":4,"mamba_expand":2,
      "mamba_dt_rank":256,"mamba_conv_bias":true,"mamba_proj_bias":false,
      "tie_word_embeddings":false})"},
    {"ibm-ai-platform/Bamba-9B-v2", 9780235392, 0, R"({
      "model_type":"bamba","hidden_size":4096,"num_hidden_layers":32,"num_attention_heads":32,
      "num_key_value_heads":8,"vocab_size":128256,"intermediate_size":14336,
      "attn_layer_indices":[9,18,27],"mamba_n_heads":128,"mamba_d_head":64,"mamba_n_groups":1,
      "mamba_d_state":128,"mamba_d_conv":4,"mamba_expand":2,"mamba_chunk_size":256,
      "tie_word_embeddings":false})"},
    {"ibm-granite/granite-4.0-h-small", 32207337984, 8803121664, R"({
      "model_type":"granitemoehybrid","hidden_size":4096,"num_hidden_layers":40,
      "num_attention_heads":32,"num_key_value_heads":8,"vocab_size":100352,
      "intermediate_size":768,"shared_intermediate_size":1536,"num_local_experts":72,
      "num_experts_per_tok":10,"mamba_n_heads":128,"mamba_d_head":64,"mamba_n_groups":1,
      "mamba_d_state":128,"mamba_d_conv":4,"mamba_expand":2,"mamba_chunk_size":256,
      "position_embedding_type":"nope","tie_word_embeddings":true,"layer_types":[
        "mamba","mamba","mamba","mamba","mamba","attention","mamba","mamba","mamba","mamba",
        "mamba","mamba","mamba","mamba","mamba","attention","mamba","mamba","mamba","mamba",
        "mamba","mamba","mamba","mamba","mamba","attention","mamba","mamba","mamba","mamba",
        "mamba","mamba","mamba","mamba","mamba","attention","mamba","mamba","mamba","mamba"]})"},
    {"tiiuae/Falcon-H1-7B-Base", 7585654784, 0, R"({
      "model_type":"falcon_h1","hidden_size":3072,"num_hidden_layers":44,
      "num_attention_heads":12,"num_key_value_heads":2,"head_dim":128,"vocab_size":130048,
      "intermediate_size":12288,"mamba_d_ssm":3072,"mamba_n_heads":24,"mamba_d_head":128,
      "mamba_n_groups":1,"mamba_d_state":256,"mamba_d_conv":4,"mamba_chunk_size":256,
      "mamba_rms_norm":false,"attn_layer_indices":null,"tie_word_embeddings":false,
      "mlp_multipliers":[0.9,0.4],"ssm_multipliers":[0.3,0.2]})"},
    // State spaces alone; 64 layers of 5120 and of 8192 channels, 128 heads of 64.
    {"state-spaces/mamba-2.8b-hf", 2768345600, 0, R"({
      "model_type":"mamba","hidden_size":2560,"d_model":2560,"d_inner":5120,"n_layer":64,
      "num_hidden_layers":64,"intermediate_size":5120,"vocab_size":50280,"state_size":16,
      "conv_kernel":4,"expand":2,"time_step_rank":160,"use_bias":false,"use_conv_bias":true,
      "hidden_act":"silu","rms_norm":true,"residual_in_fp32":true,"ssm_cfg":{}})"},
    {"tiiuae/falcon-mamba-7b", 7272665088, 0, R"({
      "model_type":"falcon_mamba","hidden_size":4096,"num_hidden_layers":64,
      "intermediate_size":8192,"vocab_size":65024,"state_size":16,"conv_kernel":4,"expand":16,
      "time_step_rank":256,"use_bias":false,"use_conv_bias":true,"mixer_rms_eps":1e-6,
      "residual_in_fp32":true,"tie_word_embeddings":false})"},
    {"mistralai/Mamba-Codestral-7B-v0.1", 7285403648, 0, R"({
      "model_type":"mamba2","hidden_size":4096,"num_hidden_layers":64,"intermediate_size":8192,
      "vocab_size":32768,"state_size":128,"num_heads":128,"head_dim":64,"n_groups":8,
      "conv_kernel":4,"expand":2,"chunk_size":256,"use_bias":false,"use_conv_bias":true,
      "time_step_rank":256,"rms_norm":true,"norm_before_gate":true,"residual_in_fp32":false,
      "tie_word_embeddings":false})"},
    {"zai-org/GLM-5", 743911218432, 41784728832, R"({
      "model_type":"glm_moe_dsa","hidden_size":6144,"num_hidden_layers":78,
      "num_attention_heads":64,"num_key_value_heads":64,"vocab_size":154880,
      "intermediate_size":12288,"q_lora_rank":2048,"kv_lora_rank":512,"qk_nope_head_dim":192,
      "qk_rope_head_dim":64,"v_head_dim":256,"index_n_heads":32,"index_head_dim":128,
      "index_topk":2048,"n_routed_experts":256,"num_experts_per_tok":8,
      "moe_intermediate_size":2048,"n_shared_experts":1,"first_k_dense_replace":3,
      "tie_word_embeddings":false})"},
};

class Hybrid : public testing::TestWithParam<Published> {};

TEST_P(Hybrid, HasThePublishedParameters) { ExpectAsPublished(GetParam()); }

INSTANTIATE_TEST_SUITE_P(Models, Hybrid, testing::ValuesIn(kHybrids));

// facts: six layers, of which the third and the sixth are softmax; 8 experts of 256, 2 of a token.
TEST(HfMixers, LinearAttentionByAList) {
  v1::Model model;
  std::vector<std::string> assumptions;
  ASSERT_TRUE(ParseHfConfig("c", R"({"model_type":"minimax_text_01","hidden_size":64,
      "num_hidden_layers":6,"num_attention_heads":4,"num_key_value_heads":2,"head_dim":16,
      "vocab_size":1000,"intermediate_size":256,"attn_type_list":[0,0,1,0,0,1],
      "num_local_experts":8,"num_experts_per_tok":2,"tie_word_embeddings":false})",
                            &model, &assumptions)
                  .ok());
  const double linear = 5 * 64 * 64 + 64, softmax = 2 * 64 * 64 + 2 * 64 * 32;
  const double moe = 64 * 8 + 8 * 3 * 64 * 256 + 2 * 64;
  EXPECT_EQ(CountsOf(model).total, 2 * 1000 * 64 + 64 + 4 * linear + 2 * softmax + 6 * moe);
  EXPECT_EQ(model.layer_pattern(), "AABAAB");
}

TEST(HfMixers, RefusesListsOfAnotherLengthOrName) {
  const auto problem = [](const std::string& keys) {
    v1::Model model;
    std::vector<std::string> assumptions;
    return std::string(ParseHfConfig("c",
                                     R"({"model_type":"qwen3_next","hidden_size":64,
      "num_hidden_layers":4,"num_attention_heads":4,"vocab_size":1000,"intermediate_size":256,
      "linear_num_key_heads":2,"linear_num_value_heads":4,"num_experts":8,
      "num_experts_per_tok":2,"moe_intermediate_size":32,)" +
                                         keys + "}",
                                     &model, &assumptions)
                           .message());
  };
  EXPECT_EQ(problem(R"("full_attention_interval":2)"), "");
  EXPECT_THAT(problem(R"("layer_types":["linear_attention","full_attention"])"),
              HasSubstr("num_hidden_layers: is 4, but the list of layers has 2"));
  EXPECT_THAT(problem(R"("layer_types":["rwkv","a","b","c"])"),
              HasSubstr("layer_types: has \"rwkv\", expected attention"));
}

}  // namespace
}  // namespace meshstep
