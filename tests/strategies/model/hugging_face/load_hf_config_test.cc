#include "strategies/model/hugging_face/load_hf_config.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "meshstep/v1/model.pb.h"
#include "sim/base/check.h"
#include "sim/base/data_path.h"
#include "sim/base/proto_file.h"
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
  EXPECT_EQ(a.order.first, b.order.first);
  EXPECT_EQ(a.order.period, b.order.period);
  ASSERT_EQ(a.moe.has_value(), b.moe.has_value());
  if (a.moe) {
    EXPECT_EQ(a.moe->experts, b.moe->experts);
    EXPECT_EQ(a.moe->experts_per_token, b.moe->experts_per_token);
    EXPECT_EQ(a.moe->expert_ffn, b.moe->expert_ffn);
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
  // modeling_llama4.py: three layers in four attend within chunks, the others have no positions.
  EXPECT_EQ(model.layer_pattern().substr(0, 8), "AAABAAAB");
  EXPECT_EQ(model.layer_kinds(0).attention_chunk(), 8192);
  EXPECT_FALSE(model.layer_kinds(1).has_attention_chunk());
  EXPECT_FALSE(model.layer_kinds(1).rotary());
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

}  // namespace
}  // namespace meshstep
