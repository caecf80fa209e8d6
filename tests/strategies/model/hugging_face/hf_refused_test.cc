// What the importer refuses, each with one sentence that names the key and why; and small
// configurations that once came out wrong without a word.

#include "strategies/model/hugging_face/hf_refused.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "strategies/model/hugging_face/hf_family.h"
#include "tests/strategies/model/hugging_face/published.h"

namespace meshstep {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

// Six layers of width 64 with four heads, two of keys and values, unless `keys` says otherwise.
std::string Config(const std::string& type, const std::string& keys,
                   const std::string& kv_heads = "2") {
  return R"({"hidden_size":64,"num_hidden_layers":6,"num_attention_heads":4,"vocab_size":1000,
      "intermediate_size":256,"num_key_value_heads":)" +
         kv_heads + ",\"model_type\":\"" + type + "\"" + (keys.empty() ? "" : ",") + keys + "}";
}

struct Imported {
  Status status;
  v1::Model model;
  std::vector<std::string> assumptions;
  std::string problem() const { return std::string(status.message()); }
};

Imported Import(const std::string& json, const std::string& as = "") {
  Imported imported;
  imported.status = ParseHfConfig("c", json, &imported.model, &imported.assumptions, as);
  return imported;
}

ParameterCounts Counts(const std::string& json) {
  const Imported imported = Import(json);
  EXPECT_TRUE(imported.status.ok()) << imported.status;
  return imported.status.ok() ? CountsOf(imported.model) : ParameterCounts();
}

constexpr double kTables = 2 * 1000 * 64 + 64;  // embedding, head, final norm
constexpr double kAttention = 2 * 64 * 64 + 2 * 64 * 32, kNorms = 2 * 64;

TEST(HfRefused, UnknownTypeNamesTheNearestAndAs) {
  EXPECT_THAT(Import(Config("qwen3_moo", "")).problem(),
              AllOf(HasSubstr("c: model_type: is \"qwen3_moo\", which is not known"),
                    HasSubstr("\"qwen3_moe\""), HasSubstr("--as=TYPE")));
  const Imported as = Import(Config("brandnew", ""), "llama");
  ASSERT_TRUE(as.status.ok()) << as.status;
  EXPECT_EQ(CountsOf(as.model).total, kTables + 6 * (kAttention + kNorms + 3 * 64 * 256));
  EXPECT_THAT(as.assumptions, Contains(HasSubstr("\"brandnew\" is read as llama")));
  EXPECT_THAT(Import(Config("brandnew", ""), "lama").problem(),
              AllOf(HasSubstr("--as: is \"lama\""), HasSubstr("\"llama\"")));
  // What is known not to be such a model stays refused.
  EXPECT_THAT(Import(Config("rwkv", ""), "llama").problem(), HasSubstr("a recurrent model"));
}

TEST(HfRefused, TypesWhoseLayersCannotBeSaid) {
  for (const auto& [type, why] :
       std::vector<std::pair<std::string, std::string>>{{"modernbert", "an encoder"},
                                                        {"xlm-roberta", "an encoder"},
                                                        {"laguna", "two shapes of heads"},
                                                        {"zamba2", "(hybrid_layer_ids)"},
                                                        {"bailing_hybrid", "linear attention"}}) {
    EXPECT_THAT(Import(Config(type, "")).problem(),
                AllOf(HasSubstr("model_type: is \"" + type + "\""), HasSubstr(why)));
  }
  // The whole of a multimodal file counts, not its language model alone.
  EXPECT_THAT(Import(R"({"model_type":"mllama","text_config":{"model_type":"llama"}})").problem(),
              HasSubstr("cross-attention"));
}

class StructuralKey : public testing::TestWithParam<const char*> {};

TEST_P(StructuralKey, IsRefusedByName) {
  const std::string key = GetParam();
  const std::string problem = Import(Config("llama", key)).problem();
  EXPECT_THAT(problem, HasSubstr("c: " + key.substr(1, key.find('"', 1) - 1)));
}

INSTANTIATE_TEST_SUITE_P(
    Keys, StructuralKey,
    testing::Values(R"("layer_types":["mamba","full_attention"])", R"("index_topk":128)",
                    R"("attn_type_list":[0,0,1,0,0,1])", R"("residual_moe":true)",
                    R"("global_head_dim":512)", R"("ffn_config":{"ffn_hidden_size_of":128})",
                    R"("block_configs":[{"attention":{}}])", R"("hidden_act":"relu2")",
                    R"("num_local_experts":8)", R"("mamba_d_state":16)",
                    R"("linear_num_key_heads":2)", R"("sliding_window":4096)",
                    R"("share_q_dim":2048)", R"("use_cla":true)",
                    R"("hybrid_layer_pattern":[0,1,1,1,1,1])", R"("moe_latent_size":32)",
                    R"("layer_types":["full_attention"])"));

TEST(HfRefused, KeysThatSwitchNothingOnOrCostNothingAreNot) {
  EXPECT_TRUE(
      Import(Config("llama", R"("use_cla":false,"index_topk":null,"attn_type_list":[1,1,1,1,1,1],
      "num_local_experts":0,"block_configs":[],"attention_dropout":0.1,"rms_norm_eps":1e-6,
      "initializer_range":0.02,"_attn_implementation_autoset":true,"rope_scaling":{"factor":8},
      "pretraining_tp":1,"time_step_limit":[0.0,Infinity],"temperature":0.7,"top_k":50)"))
          .status.ok());
}

// Keys as the files beside the weights have them, with what is switched off or of no cost.
TEST(HfRefused, KeysOfRealFilesAreNot) {
  const std::string experts = R"("num_experts":8,"moe_topk":[2,2,2,2,2,2],"num_experts_per_tok":2,
      "moe_intermediate_size":[128,128,128,128,128,128],)";
  for (const auto& [type, keys] : std::vector<std::pair<std::string, std::string>>{
           {"exaone4", R"("sliding_window":512,"sliding_window_pattern":"LLG","layer_types":[
               "sliding_attention","sliding_attention","full_attention",
               "sliding_attention","sliding_attention","full_attention"])"},
           {"hunyuan_v1_moe", experts + R"("n_group":false,"topk_group":false,"use_mla":false,
               "num_shared_expert":[1,1,1,1,1,1],"use_mixed_mlp_moe":true,"use_cla":false,
               "cla_share_factor":2,"anyres_pooling_size":2,"kv_lora_rank":null)"},
           {"qwen2", R"("num_beam_groups":1,"chunk_size_feed_forward":0,"id2label":{"0":"L"})"},
           {"phi3", R"("full_attn_mod":1,"lm_head_bias":false,"sliding_window":262144)"}}) {
    const Imported imported = Import(Config(type, keys));
    EXPECT_TRUE(imported.status.ok()) << type << ": " << imported.problem();
  }
}

TEST(HfRefused, NamesOfKeysAreShownWithoutControlCharacters) {
  const std::string problem = Import(Config("llama", R"("a\u001b[31m_layer":1)")).problem();
  EXPECT_THAT(problem, HasSubstr(R"(\u001b[31m_layer)"));
  EXPECT_EQ(problem.find('\x1b'), std::string::npos);
  std::string many;
  for (int i = 0; i < 1000; ++i)
    many += (i > 0 ? ",\"layer_" : "\"layer_") + std::to_string(i) + "\":1";
  EXPECT_LT(Import(Config("llama", many)).problem().size(), 4000u);
}

TEST(HfRefused, LettersOfWindowsAreNamed) {
  EXPECT_THAT(Import(Config("exaone4", R"("sliding_window_pattern":"LXLG")")).problem(),
              HasSubstr("sliding_window_pattern: is \"LXLG\", expected letters L and G"));
}

TEST(HfFamily, AreSortedByNameAndAtLeastForty) {
  EXPECT_GE(HfFamilies().size(), 40u);
  for (std::size_t i = 1; i < HfFamilies().size(); ++i) {
    EXPECT_LT(HfFamilies()[i - 1].type, HfFamilies()[i].type);
  }
  for (const HfFamily& family : HfFamilies()) {
    EXPECT_TRUE(WhyHfTypeIsRefused(family.type).empty()) << family.type;
    EXPECT_EQ(HfTypeOf(family.type), family.type);
  }
}

// Apertus: up_proj and down_proj only, norms of heads.
TEST(HfFamily, MlpWithoutAGate) {
  EXPECT_EQ(Counts(Config("apertus", R"("hidden_act":"xielu","qk_norm":true)")).total,
            kTables + 6 * (kAttention + kNorms + 2 * 64 * 256 + 2 * 16));
}

// Qwen 1: intermediate_size counts gate and up projection.
TEST(HfFamily, WidthOfBothHalves) {
  EXPECT_EQ(Counts(Config("qwen", R"("no_bias":true,"kv_channels":16)", "null")).total,
            kTables + 6 * (4 * 64 * 64 + 3 * 64 + kNorms + 3 * 64 * 128));
}

// EXAONE 4: two layers of full attention, four of 512 positions; 2 kinds of 2 heads of 16 in bf16.
TEST(HfFamily, WindowsByLayerType) {
  const Imported imported = Import(Config("exaone4", R"("sliding_window":512,
      "layer_types":["sliding_attention","sliding_attention","full_attention",
                     "sliding_attention","sliding_attention","full_attention"])"));
  ASSERT_TRUE(imported.status.ok()) << imported.status;
  EXPECT_EQ(imported.model.global_layer_period(), 3);
  Diagnostics diagnostics;
  const Model model = LoadModel(imported.model, "model", &diagnostics);
  EXPECT_EQ(ModelArithmetic(model, TokenShape()).KvBytesPerSequence(4096, 2),
            (2 * 4096 + 4 * 512) * 2 * 2 * 16 * 2);
}

// Grok 2: a dense MLP of intermediate_size beside two of eight experts.
TEST(HfFamily, DenseMlpBesideExperts) {
  const ParameterCounts counts =
      Counts(Config("git", R"("num_local_experts":8,"num_experts_per_tok":2,
      "moe_intermediate_size":128,"residual_moe":true,"tie_word_embeddings":false)"));
  const double rest = kTables + 6 * (kAttention + kNorms + 64 * 8 + 3 * 64 * 256);
  EXPECT_EQ(counts.total, rest + 6 * 8 * 3 * 64 * 128);
  EXPECT_EQ(counts.active, rest + 6 * 2 * 3 * 64 * 128);
}

TEST(HfFamily, KeyAndValueHeadsByAnotherName) {
  EXPECT_EQ(Counts(R"({"model_type":"chatglm","hidden_size":64,"num_layers":6,
      "num_attention_heads":4,"multi_query_attention":true,"multi_query_group_num":1,
      "kv_channels":16,"ffn_hidden_size":256,"padded_vocab_size":1000,"add_qkv_bias":true})")
                .total,
            kTables + 6 * (2 * 64 * 64 + 2 * 64 * 16 + 96 + kNorms + 3 * 64 * 256));
}

TEST(HfFamily, ExpertsInAnObjectOfTheirOwn) {
  EXPECT_EQ(Counts(R"({"model_type":"dbrx","d_model":64,"n_layers":6,"n_heads":4,
      "vocab_size":1000,"attn_config":{"kv_n_heads":2},
      "ffn_config":{"ffn_hidden_size":128,"moe_num_experts":8,"moe_top_k":2}})")
                .total,
            kTables + 6 * (kAttention + kNorms + 64 * 8 + 8 * 3 * 64 * 128));
}

// OPT-350m: a table of 32 columns, two projections, two rows of positions more, no final norm.
TEST(HfFamily, EmbeddingNarrowerThanTheStream) {
  EXPECT_EQ(Counts(R"({"model_type":"opt","hidden_size":64,"ffn_dim":256,"num_hidden_layers":6,
      "num_attention_heads":4,"vocab_size":1000,"max_position_embeddings":128,
      "word_embed_proj_dim":32,"do_layer_norm_before":false})")
                .total,
            1000 * 32 + 2 * 32 * 64 + 130 * 64 +
                6 * (4 * (64 * 64 + 64) + 2 * 64 * 256 + 256 + 64 + 4 * 64));
}

TEST(HfFamily, WidthOfASharedExpertByAnotherName) {
  EXPECT_EQ(Counts(Config("granitemoeshared", R"("num_local_experts":8,"num_experts_per_tok":2,
      "shared_intermediate_size":128)"))
                .total,
            kTables + 6 * (kAttention + kNorms + 64 * 8 + 8 * 3 * 64 * 256 + 3 * 64 * 128));
}

TEST(HfFamily, TextConfigBesideKeysOfTheWholeFile) {
  const Imported imported = Import(R"({"model_type":"paligemma","hidden_size":64,
      "vision_config":{"hidden_size":96},"text_config":{"model_type":"gemma","hidden_size":64,
      "intermediate_size":256,"num_hidden_layers":6,"num_attention_heads":4,
      "num_key_value_heads":1,"head_dim":16,"vocab_size":1000}})");
  ASSERT_TRUE(imported.status.ok()) << imported.status;
  EXPECT_EQ(CountsOf(imported.model).total,
            1000 * 64 + 64 + 6 * (2 * 64 * 64 + 2 * 64 * 16 + kNorms + 3 * 64 * 256));
  EXPECT_THAT(imported.assumptions, Contains(HasSubstr("left out: the encoders of vision_config")));
}

TEST(HfFamily, DefaultOfAClass) {
  EXPECT_EQ(Counts(Config("minicpm", "")).total,
            1000 * 64 + 64 + 6 * (kAttention + kNorms + 3 * 64 * 256));
}

// MiMo-V2-Flash writes a list where DeepSeek-V3 writes first_k_dense_replace.
TEST(HfFamily, RoutedLayersByAList) {
  const std::string experts = R"("n_routed_experts":8,"num_experts_per_tok":2,
      "moe_intermediate_size":128,"kv_lora_rank":null,)";
  EXPECT_EQ(Counts(Config("deepseek_v3", experts + R"("moe_layer_freq":[0,1,1,1,1,1])")).total,
            Counts(Config("deepseek_v3", experts + R"("first_k_dense_replace":1)")).total);
}

}  // namespace
}  // namespace meshstep
