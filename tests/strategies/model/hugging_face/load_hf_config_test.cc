#include "strategies/model/hugging_face/load_hf_config.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "meshstep/v1/model.pb.h"
#include "sim/base/check.h"
#include "sim/base/data_path.h"
#include "sim/base/proto_file.h"
#include "strategies/model/hugging_face/hf_family.h"
#include "strategies/model/load_model.h"
#include "strategies/model/model_arithmetic.h"

namespace meshstep {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

const std::string kFolder = std::string(MESHSTEP_SOURCE_DIR) + "/tests/data/hf/";

struct Imported {
  v1::Model model;
  std::vector<std::string> assumptions;
};

Imported ImportFile(const std::string& name) {
  Imported imported;
  const StatusOr<std::string> content = ReadFile(kFolder + name + ".json");
  CHECK(content.ok()) << name;
  const Status status = ParseHfConfig(name, *content, &imported.model, &imported.assumptions);
  CHECK(status.ok()) << std::string(status.message());
  return imported;
}

std::string Problems(const std::string& json) {
  v1::Model model;
  std::vector<std::string> assumptions;
  const Status status = ParseHfConfig("c.json", json, &model, &assumptions);
  return std::string(status.message());
}

Model Loaded(const v1::Model& proto) {
  Diagnostics diagnostics;
  Model model = LoadModel(proto, "model", &diagnostics);
  CHECK(diagnostics.ok()) << std::string(diagnostics.status().message());
  return model;
}

double Parameters(const v1::Model& proto) {
  return ModelArithmetic(Loaded(proto), TokenShape()).Parameters().total;
}

class Preset : public testing::TestWithParam<const char*> {};

// A configuration and our own file of the same model say the same.
TEST_P(Preset, IsImportedFromItsConfig) {
  v1::Model ours;
  const StatusOr<std::string> path = PresetPath("strategies/models", GetParam());
  ASSERT_TRUE(path.ok());
  ASSERT_TRUE(ReadDataFile(*path, &ours).ok());
  v1::Model theirs = ImportFile(GetParam()).model;
  theirs.set_mtp_layers(ours.mtp_layers());  // presets leave the module out
  EXPECT_EQ(Parameters(theirs), Parameters(ours));
  const Model a = Loaded(theirs), b = Loaded(ours);
  EXPECT_EQ(a.layers, b.layers);
  EXPECT_EQ(a.hidden, b.hidden);
  EXPECT_EQ(a.heads, b.heads);
  EXPECT_EQ(a.kv_heads, b.kv_heads);
  EXPECT_EQ(a.head_dim, b.head_dim);
  EXPECT_EQ(a.ffn, b.ffn);
  EXPECT_EQ(a.tied_embeddings, b.tied_embeddings);
  EXPECT_EQ(a.gated_mlp, b.gated_mlp);
  EXPECT_EQ(a.sliding_window, b.sliding_window);
  EXPECT_EQ(a.global_layer_period, b.global_layer_period);
  ASSERT_EQ(a.moe.has_value(), b.moe.has_value());
  if (a.moe) {
    EXPECT_EQ(a.moe->experts, b.moe->experts);
    EXPECT_EQ(a.moe->experts_per_token, b.moe->experts_per_token);
    EXPECT_EQ(a.moe->expert_ffn, b.moe->expert_ffn);
    EXPECT_EQ(a.moe->dense_layers, b.moe->dense_layers);
    EXPECT_EQ(a.moe->groups, b.moe->groups);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, Preset,
                         testing::Values("llama-3-8b", "mistral-7b", "mixtral-8x7b", "qwen-2-72b",
                                         "qwen-3-30b-a3b", "deepseek-v2", "deepseek-v3", "gemma-7b",
                                         "gemma-2-27b", "gpt-oss-20b", "gpt2-xl"));

// huggingface.co/Qwen/Qwen1.5-MoE-A2.7B: 14,315,784,192 parameters in its weights.
TEST(HfConfig, SharedExpertWithAGate) {
  EXPECT_EQ(Parameters(ImportFile("qwen-1.5-moe-a2.7b").model), 14315784192.0);
}

// arXiv 2503.19786, Table 1: 675M embedding and 3,209M other parameters of the 4B language model;
// its text_config leaves out what equals the class's default.
TEST(HfConfig, DefaultsOfANestedTextConfig) {
  const Imported imported = ImportFile("gemma-3-4b");
  const double v = 262208, d = 2560, f = 10240, n = 8, k = 4, h = 256;
  const double layer = 2 * d * n * h + 2 * d * k * h + 3 * d * f + 4 * d + 2 * h;
  EXPECT_EQ(Parameters(imported.model), v * d + 34 * layer + d);
  EXPECT_THAT(imported.assumptions, Contains(HasSubstr("num_attention_heads is absent: 8")));
  EXPECT_EQ(imported.model.global_layer_period(), 6);
}

// What huggingface.co shows as the size of the weights of each model (the elements of its
// safetensors files), with the keys of its config.json that say what the model is.
struct Published {
  const char* name;
  double parameters;
  const char* config;
};

class OfWeights : public testing::TestWithParam<Published> {};

TEST_P(OfWeights, ParametersAreAsPublished) {
  v1::Model model;
  std::vector<std::string> assumptions;
  const Status status = ParseHfConfig("c", GetParam().config, &model, &assumptions);
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_NEAR(Parameters(model) / GetParam().parameters, 1, 1e-3) << GetParam().name;
  EXPECT_TRUE(assumptions.empty() || assumptions.front().find("is unknown") == std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(
    Models, OfWeights,
    testing::Values(
        Published{"microsoft/Phi-3-mini-4k-instruct", 3821079552,
                  R"({"model_type":"phi3","hidden_size":3072,"intermediate_size":8192,
        "num_attention_heads":32,"num_hidden_layers":32,"num_key_value_heads":32,
        "sliding_window":2047,"tie_word_embeddings":false,"attention_bias":false,
        "vocab_size":32064})"},
        Published{"microsoft/phi-4", 14659507200,
                  R"({"model_type":"phi3","hidden_size":5120,"intermediate_size":17920,
        "num_attention_heads":40,"num_hidden_layers":40,"num_key_value_heads":10,
        "sliding_window":null,"tie_word_embeddings":false,"vocab_size":100352})"},
        Published{"microsoft/phi-2", 2779683840,
                  R"({"model_type":"phi","hidden_size":2560,"intermediate_size":10240,
        "num_attention_heads":32,"num_hidden_layers":32,"num_key_value_heads":32,
        "qk_layernorm":false,"tie_word_embeddings":false,"vocab_size":51200})"},
        Published{"allenai/OLMo-2-1124-7B", 7298617344,
                  R"({"model_type":"olmo2","hidden_size":4096,"intermediate_size":11008,
        "num_attention_heads":32,"num_hidden_layers":32,"num_key_value_heads":32,
        "tie_word_embeddings":false,"vocab_size":100352})"},
        Published{"01-ai/Yi-34B", 34388917248,
                  R"({"model_type":"llama","hidden_size":7168,"intermediate_size":20480,
        "num_attention_heads":56,"num_hidden_layers":60,"num_key_value_heads":8,
        "tie_word_embeddings":false,"vocab_size":64000})"},
        Published{"CohereForAI/c4ai-command-r-v01", 34980831232,
                  R"({"model_type":"cohere","hidden_size":8192,"intermediate_size":22528,
        "num_attention_heads":64,"num_hidden_layers":40,"num_key_value_heads":64,
        "use_qk_norm":false,"vocab_size":256000})"},
        Published{"CohereForAI/c4ai-command-r7b-12-2024", 8028033024,
                  R"({"model_type":"cohere2","hidden_size":4096,"intermediate_size":14336,
        "num_attention_heads":32,"num_hidden_layers":32,"num_key_value_heads":8,
        "sliding_window":4096,"sliding_window_pattern":4,"vocab_size":256000})"},
        // Its file holds the tied table twice: 7,217,189,760 elements.
        Published{"tiiuae/falcon-7b", 7217189760.0 - 65024 * 4544,
                  R"({"model_type":"falcon","hidden_size":4544,"num_attention_heads":71,
        "num_hidden_layers":32,"num_kv_heads":71,"multi_query":true,"parallel_attn":true,
        "new_decoder_architecture":false,"bias":false,"vocab_size":65024})"},
        // Falcon-40B: 41.3B, table 2 of arXiv 2311.16867 says 40B without embeddings.
        Published{"tiiuae/falcon-40b", 41303293952,
                  R"({"model_type":"falcon","hidden_size":8192,"num_attention_heads":128,
        "num_hidden_layers":60,"num_kv_heads":8,"multi_query":true,"parallel_attn":true,
        "new_decoder_architecture":true,"bias":false,"vocab_size":65024})"},
        Published{"bigcode/starcoder2-3b", 3030371328,
                  R"({"model_type":"starcoder2","hidden_size":3072,"intermediate_size":12288,
        "num_attention_heads":24,"num_hidden_layers":30,"num_key_value_heads":2,
        "sliding_window":4096,"use_bias":true,"vocab_size":49152})"},
        Published{"bigcode/starcoder", 15517456384,
                  R"({"model_type":"gpt_bigcode","n_embd":6144,"n_inner":24576,"n_head":48,
        "n_layer":40,"n_positions":8192,"multi_query":true,"vocab_size":49152})"},
        Published{"bigscience/bloom-7b1", 7069016064,
                  R"({"model_type":"bloom","n_embed":4096,"n_layer":30,"num_attention_heads":32,
        "vocab_size":250880})"},
        Published{"THUDM/GLM-4-9B-0414", 9400279040,
                  R"({"model_type":"glm4","hidden_size":4096,"intermediate_size":13696,
        "num_attention_heads":32,"num_hidden_layers":40,"num_key_value_heads":2,"head_dim":128,
        "attention_bias":true,"tie_word_embeddings":false,"vocab_size":151552})"},
        Published{"HuggingFaceTB/SmolLM3-3B", 3075098624,
                  R"({"model_type":"smollm3","hidden_size":2048,"intermediate_size":11008,
        "num_attention_heads":16,"num_hidden_layers":36,"num_key_value_heads":4,
        "vocab_size":128256})"},
        Published{"Qwen/Qwen2.5-7B", 7615616512,
                  R"({"model_type":"qwen2","hidden_size":3584,"intermediate_size":18944,
        "num_attention_heads":28,"num_hidden_layers":28,"num_key_value_heads":4,
        "tie_word_embeddings":false,"use_sliding_window":false,"vocab_size":152064})"},
        Published{"Qwen/Qwen3-235B-A22B", 235093634560,
                  R"({"model_type":"qwen3_moe","hidden_size":4096,"intermediate_size":12288,
        "num_attention_heads":64,"num_hidden_layers":94,"num_key_value_heads":4,"head_dim":128,
        "decoder_sparse_step":1,"mlp_only_layers":[],"moe_intermediate_size":1536,
        "num_experts":128,"num_experts_per_tok":8,"tie_word_embeddings":false,
        "vocab_size":151936})"},
        Published{"google/gemma-2-9b", 9241705984,
                  R"({"model_type":"gemma2","hidden_size":3584,"intermediate_size":14336,
        "num_attention_heads":16,"num_hidden_layers":42,"num_key_value_heads":8,"head_dim":256,
        "sliding_window":4096,"vocab_size":256000})"},
        Published{"moonshotai/Kimi-K2", 1026408232448,
                  R"({"model_type":"kimi_k25","text_config":{"model_type":"kimi_k2",
        "num_hidden_layers":61,"hidden_size":7168,"intermediate_size":18432,
        "num_attention_heads":64,"num_key_value_heads":64,"q_lora_rank":1536,
        "kv_lora_rank":512,"qk_nope_head_dim":128,"qk_rope_head_dim":64,"v_head_dim":128,
        "n_routed_experts":384,"num_experts_per_tok":8,"n_shared_experts":1,
        "moe_intermediate_size":2048,"first_k_dense_replace":1,"moe_layer_freq":1,
        "n_group":1,"topk_group":1,"topk_method":"noaux_tc","tie_word_embeddings":false,
        "vocab_size":163840,"num_nextn_predict_layers":0}})"},
        // 110,468,824,832 with the layer of multi-token prediction, whose file holds the embedding
        // and the head once more.
        Published{"zai-org/GLM-4.5-Air", 110468824832.0 - 2.0 * 151552 * 4096,
                  R"({"model_type":"glm4_moe","hidden_size":4096,"intermediate_size":10944,
        "num_hidden_layers":46,"num_attention_heads":96,"num_key_value_heads":8,
        "head_dim":128,"attention_bias":true,"use_qk_norm":false,"n_routed_experts":128,
        "n_shared_experts":1,"num_experts_per_tok":8,"moe_intermediate_size":1408,
        "first_k_dense_replace":1,"n_group":1,"topk_group":1,"tie_word_embeddings":false,
        "vocab_size":151552,"num_nextn_predict_layers":1})"},
        // 401,583,781,376 with the image encoder of Llama 4, 871,932,416.
        Published{"meta-llama/Llama-4-Maverick-17B-128E", 400711848960,
                  R"({"model_type":"llama4","text_config":{"model_type":"llama4_text",
        "hidden_size":5120,"head_dim":128,"intermediate_size":8192,
        "intermediate_size_mlp":16384,"interleave_moe_layer_step":2,
        "num_attention_heads":40,"num_experts_per_tok":1,"num_hidden_layers":48,
        "num_key_value_heads":8,"num_local_experts":128,"use_qk_norm":false,
        "attention_chunk_size":8192,"tie_word_embeddings":false,"vocab_size":202048}})"},
        Published{"allenai/OLMoE-1B-7B-0924", 6919161856,
                  R"({"model_type":"olmoe","hidden_size":2048,"intermediate_size":1024,
        "num_attention_heads":16,"num_hidden_layers":16,"num_key_value_heads":16,
        "num_experts":64,"num_experts_per_tok":8,"tie_word_embeddings":false,
        "vocab_size":50304})"},
        Published{"microsoft/Phi-3.5-MoE-instruct", 41873153344,
                  R"({"model_type":"phimoe","hidden_size":4096,"intermediate_size":6400,
        "num_attention_heads":32,"num_hidden_layers":32,"num_key_value_heads":8,
        "num_local_experts":16,"num_experts_per_tok":2,"attention_bias":true,
        "sliding_window":null,"tie_word_embeddings":false,"vocab_size":32064})"}));

// Llama 4 Scout: 109B with its image encoder (108,641,793,536 elements on huggingface.co, of which
// the language model has 107,769,861,120): 16 routed experts and a shared one in every layer.
TEST(HfConfig, Llama4HasASharedExpertWithoutAKey) {
  v1::Model model;
  std::vector<std::string> assumptions;
  ASSERT_TRUE(ParseHfConfig("c", R"({"model_type":"llama4","text_config":{
      "model_type":"llama4_text","hidden_size":5120,"head_dim":128,"intermediate_size":8192,
      "intermediate_size_mlp":16384,"interleave_moe_layer_step":1,"num_attention_heads":40,
      "num_experts_per_tok":1,"num_hidden_layers":48,"num_key_value_heads":8,
      "num_local_experts":16,"use_qk_norm":true,"attention_chunk_size":8192,
      "tie_word_embeddings":false,"vocab_size":202048}})",
                            &model, &assumptions)
                  .ok());
  EXPECT_NEAR(Parameters(model) / 107769861120.0, 1, 1e-3);
  EXPECT_THAT(assumptions, Contains(HasSubstr("attention_chunk_size is left out")));
}

TEST(HfConfig, LayersThatAreNotAttentionAreRefused) {
  EXPECT_THAT(Problems(R"({"model_type":"qwen3_next"})"), HasSubstr("partly linear attention"));
  EXPECT_THAT(Problems(R"({"model_type":"brandnew","mamba_d_state":16})"),
              HasSubstr("mamba_d_state: is there, expected a transformer"));
  EXPECT_THAT(Problems(R"({"model_type":"llama","layer_types":["linear_attention"]})"),
              HasSubstr("layer_types: has \"linear_attention\""));
}

TEST(HfConfig, WindowThatIsNotUsedIsNotTaken) {
  EXPECT_EQ(ImportFile("qwen-2-72b").model.sliding_window(), 0);
  EXPECT_EQ(ImportFile("mixtral-8x7b").model.sliding_window(), 0);
}

TEST(HfConfig, SharedNamesOfExperts) {
  const std::string rest =
      R"(, "model_type":"qwen3_moe","hidden_size":64,"num_hidden_layers":2,"head_dim":8,
      "num_attention_heads":8,"num_key_value_heads":4,"vocab_size":100,"intermediate_size":32,
      "moe_intermediate_size":16,"num_experts_per_tok":2})";
  for (const std::string key : {"num_experts", "num_local_experts", "n_routed_experts"}) {
    v1::Model model;
    std::vector<std::string> assumptions;
    ASSERT_TRUE(ParseHfConfig("c", "{\"" + key + "\":4" + rest, &model, &assumptions).ok());
    EXPECT_EQ(model.moe().experts(), 4) << key;
  }
}

TEST(HfConfig, UnknownTypeIsReadAsLlamaAndSaysSo) {
  v1::Model model;
  std::vector<std::string> assumptions;
  ASSERT_TRUE(ParseHfConfig("c", R"({"model_type":"brandnew","hidden_size":64,
      "num_hidden_layers":2,"num_attention_heads":8,"vocab_size":100,"intermediate_size":32})",
                            &model, &assumptions)
                  .ok());
  EXPECT_THAT(assumptions, Contains(AllOf(HasSubstr("\"brandnew\" is unknown"),
                                          HasSubstr("deepseek_v3, falcon, gemma"))));
}

TEST(HfConfig, EveryProblemIsToldWithItsValue) {
  const std::string problems = Problems(R"({"model_type":"llama","hidden_size":-64,
      "num_hidden_layers":"many","num_attention_heads":0,"vocab_size":1e9,
      "intermediate_size":99999999999999999999})");
  EXPECT_THAT(problems, AllOf(HasSubstr("hidden_size: is -64"), HasSubstr("layers: is \"many\""),
                              HasSubstr("heads: is 0"), HasSubstr("vocab_size: is 1000000000.0"),
                              HasSubstr("intermediate_size: is 1e+20")));
  EXPECT_THAT(Problems(R"({"model_type":"llama"})"),
              AllOf(HasSubstr("hidden_size: is absent"), HasSubstr("vocab_size: is absent")));
}

TEST(HfConfig, WhatIsNoConfiguration) {
  EXPECT_THAT(Problems(""), HasSubstr("is not JSON"));
  EXPECT_THAT(Problems("{\"a\":"), HasSubstr("is not JSON"));
  EXPECT_THAT(Problems("[1]"), HasSubstr("expected an object"));
  EXPECT_THAT(Problems("{}"), HasSubstr("model_type: is absent"));
  EXPECT_THAT(Problems(R"({"model_type":7})"), HasSubstr("model_type: is 7"));
  EXPECT_THAT(Problems(R"({"model_type":"bert"})"), HasSubstr("an encoder"));
  EXPECT_THAT(Problems(std::string(1000000, '[')), HasSubstr("c.json: is n"));
  EXPECT_THAT(Problems(std::string(100000, '[') + std::string(100000, ']')),
              HasSubstr("nested deeper"));
}

// Changing any one value to something else never crashes and, if it fails, says the file's name.
TEST(HfConfig, HostileValues) {
  const char* values[] = {"null", "-1", "0", "1e308", "\"x\"", "[]", "{}", "true", "[{\"a\":[1]}]"};
  for (const char* name : {"deepseek-v3", "gpt-oss-20b", "qwen-1.5-moe-a2.7b", "gemma-3-4b"}) {
    const std::string content = *ReadFile(kFolder + name + ".json");
    for (std::size_t colon = content.find(": "); colon != std::string::npos;
         colon = content.find(": ", colon + 1)) {
      const std::size_t end = content.find_first_of(",\n", colon);
      if (content[colon + 2] == '[' || content[colon + 2] == '{') continue;
      for (const char* value : values) {
        const std::string changed = content.substr(0, colon + 2) + value + content.substr(end);
        const std::string problems = Problems(changed);
        if (!problems.empty()) {
          EXPECT_EQ(problems.find("c.json: "), 0u) << problems;
        }
      }
    }
  }
}

TEST(HfFamily, AreSortedByName) {
  for (std::size_t i = 1; i < HfFamilies().size(); ++i) {
    EXPECT_LT(HfFamilies()[i - 1].type, HfFamilies()[i].type);
  }
}

}  // namespace
}  // namespace meshstep
