#include "strategies/model/hugging_face/hf_family.h"

#include <algorithm>
#include <array>
#include <utility>

#include "sim/base/check.h"

namespace meshstep {
namespace {

using Bias = HfFamily::Bias;
using Window = HfFamily::Window;

// By name.
constexpr auto kFamilies = std::to_array<HfFamily>({
    {.type = "arcee", .gated = false},
    {.type = "bloom",
     .tied = true,
     .gated = false,
     .qkv_bias = Bias::kAlways,
     .output_bias = Bias::kAlways,
     .mlp_bias = Bias::kAlways,
     .layer_norm = true,
     .ffn_per_hidden = 4},
    {.type = "cohere", .tied = true, .norms = 1, .parallel = true},
    {.type = "cohere2",
     .tied = true,
     .norms = 1,
     .parallel = true,
     .window = Window::kPeriod,
     .window_default = 4096,
     .period = 4},
    {.type = "deepseek"},
    {.type = "deepseek_v2"},
    {.type = "deepseek_v3", .router_bias = true},
    {.type = "falcon",
     .tied = true,
     .gated = false,
     .layer_norm = true,
     .parallel = true,
     .ffn_per_hidden = 4,
     .multi_query = true},
    {.type = "gemma", .tied = true, .head_dim = 256, .vocab = 256000},
    {.type = "gemma2",
     .tied = true,
     .norms = 4,
     .window = Window::kPeriod,
     .window_default = 4096,
     .period = 2,
     .heads = 8,
     .kv_heads = 4,
     .head_dim = 256,
     .vocab = 256000},
    {.type = "gemma3_text",
     .tied = true,
     .norms = 4,
     .qk_norm = true,
     .window = Window::kPeriod,
     .window_default = 4096,
     .period = 6,
     .heads = 8,
     .kv_heads = 4,
     .head_dim = 256,
     .vocab = 262208},
    {.type = "glm", .output_bias = Bias::kNever},
    {.type = "glm4", .output_bias = Bias::kNever, .norms = 4},
    {.type = "glm4_moe", .router_bias = true},
    {.type = "gpt2",
     .tied = true,
     .gated = false,
     .qkv_bias = Bias::kAlways,
     .output_bias = Bias::kAlways,
     .mlp_bias = Bias::kAlways,
     .layer_norm = true,
     .learned_positions = true,
     .ffn_per_hidden = 4},
    {.type = "gpt_bigcode",
     .tied = true,
     .gated = false,
     .qkv_bias = Bias::kAlways,
     .output_bias = Bias::kAlways,
     .mlp_bias = Bias::kAlways,
     .layer_norm = true,
     .learned_positions = true,
     .ffn_per_hidden = 4,
     .multi_query = true},
    {.type = "gpt_neox",
     .gated = false,
     .qkv_bias = Bias::kKey,
     .mlp_bias = Bias::kAlways,
     .bias_default = true,
     .layer_norm = true,
     .parallel = true},
    {.type = "gpt_oss",
     .qkv_bias = Bias::kAlways,
     .output_bias = Bias::kAlways,
     .mlp_bias = Bias::kAlways,
     .window = Window::kPeriod,
     .window_default = 128,
     .period = 2,
     .experts_in_ffn = true,
     .router_bias = true,
     .sinks = true},
    {.type = "granite"},
    {.type = "granitemoe", .experts_in_ffn = true},
    {.type = "kimi_k2", .router_bias = true},
    {.type = "llama", .vocab = 32000},
    {.type = "llama4_text", .shared_expert = true},
    {.type = "mistral",
     .qkv_bias = Bias::kNever,
     .output_bias = Bias::kNever,
     .window = Window::kKey,
     .window_default = 4096,
     .heads = 32,
     .kv_heads = 8,
     .vocab = 32000},
    {.type = "mixtral",
     .qkv_bias = Bias::kNever,
     .output_bias = Bias::kNever,
     .window = Window::kKey,
     .experts_in_ffn = true,
     .kv_heads = 8},
    {.type = "nemotron", .gated = false, .layer_norm = true},
    {.type = "olmo", .norms = 0},
    {.type = "olmo2", .qk_norm = true},
    {.type = "olmo3",
     .qk_norm = true,
     .window = Window::kPeriod,
     .window_default = 4096,
     .period = 4},
    {.type = "olmoe", .qk_norm = true, .experts_in_ffn = true},
    {.type = "opt",
     .tied = true,
     .gated = false,
     .qkv_bias = Bias::kAlways,
     .output_bias = Bias::kAlways,
     .mlp_bias = Bias::kAlways,
     .layer_norm = true,
     .learned_positions = true},
    {.type = "phi",
     .gated = false,
     .qkv_bias = Bias::kAlways,
     .output_bias = Bias::kAlways,
     .mlp_bias = Bias::kAlways,
     .layer_norm = true,
     .norms = 1,
     .parallel = true},
    {.type = "phi3", .window = Window::kKey},
    {.type = "phimoe", .layer_norm = true, .window = Window::kKey, .experts_in_ffn = true},
    {.type = "qwen2",
     .qkv_bias = Bias::kAlways,
     .output_bias = Bias::kNever,
     .window = Window::kIfUsed,
     .window_default = 4096,
     .heads = 32,
     .kv_heads = 32,
     .vocab = 151936},
    {.type = "qwen2_moe",
     .output_bias = Bias::kNever,
     .bias_default = true,
     .window = Window::kIfUsed,
     .window_default = 4096,
     .shared_gate = true},
    {.type = "qwen3",
     .qk_norm = true,
     .window = Window::kIfUsed,
     .window_default = 4096,
     .heads = 32,
     .kv_heads = 32,
     .head_dim = 128,
     .vocab = 151936},
    {.type = "qwen3_moe",
     .qk_norm = true,
     .window = Window::kIfUsed,
     .window_default = 4096,
     .heads = 32,
     .kv_heads = 4,
     .vocab = 151936},
    {.type = "smollm3", .tied = true},
    {.type = "stablelm", .output_bias = Bias::kNever, .mlp_bias = Bias::kNever, .layer_norm = true},
    {.type = "starcoder2",
     .tied = true,
     .gated = false,
     .bias_default = true,
     .layer_norm = true,
     .window = Window::kKey},
});

// Multimodal types, and the parts of them that are a language model.
constexpr auto kSame = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"gemma3", "gemma3_text"},
    {"kimi_k25", "kimi_k2"},
    {"llama4", "llama4_text"},
    {"mistral3", "mistral"},
    {"qwen2_5_vl", "qwen2"},
    {"qwen2_5_vl_text", "qwen2"},
    {"qwen2_vl", "qwen2"},
    {"qwen2_vl_text", "qwen2"},
    {"qwen3_vl", "qwen3"},
    {"qwen3_vl_moe", "qwen3_moe"},
    {"qwen3_vl_moe_text", "qwen3_moe"},
    {"qwen3_vl_text", "qwen3"},
});

// model_type and what it is instead.
constexpr auto kOthers = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"albert", "an encoder"},
    {"bamba", "partly a state-space model"},
    {"bart", "an encoder and a decoder"},
    {"bert", "an encoder"},
    {"clip", "an image and a text encoder"},
    {"deberta", "an encoder"},
    {"distilbert", "an encoder"},
    {"electra", "an encoder"},
    {"falcon_h1", "partly a state-space model"},
    {"falcon_mamba", "a state-space model"},
    {"gemma3n", "a transformer with several residual streams"},
    {"granitemoehybrid", "partly a state-space model"},
    {"jamba", "partly a state-space model"},
    {"kimi_linear", "partly linear attention"},
    {"lfm2", "partly convolutions"},
    {"mamba", "a state-space model"},
    {"mamba2", "a state-space model"},
    {"minimax", "partly linear attention"},
    {"mt5", "an encoder and a decoder"},
    {"nemotron_h", "partly a state-space model"},
    {"qwen3_5", "partly linear attention"},
    {"qwen3_5_moe", "partly linear attention"},
    {"qwen3_next", "partly linear attention"},
    {"recurrent_gemma", "partly a recurrent model"},
    {"roberta", "an encoder"},
    {"rwkv", "a recurrent model"},
    {"t5", "an encoder and a decoder"},
    {"vit", "an image encoder"},
    {"whisper", "an encoder and a decoder"},
    {"xlm-roberta", "an encoder"},
    {"zamba2", "partly a state-space model"},
});

}  // namespace

const HfFamily* FindHfFamily(std::string_view type) {
  const auto it = std::ranges::find(kFamilies, type, &HfFamily::type);
  return it == kFamilies.end() ? nullptr : &*it;
}

std::string_view HfTypeOf(std::string_view type) {
  const auto it =
      std::ranges::find(kSame, type, &std::pair<std::string_view, std::string_view>::first);
  return it == kSame.end() ? type : it->second;
}

const HfFamily& LlamaFamily() {
  const HfFamily* family = FindHfFamily("llama");
  CHECK(family != nullptr);
  return *family;
}

std::span<const HfFamily> HfFamilies() { return kFamilies; }

std::string_view NotADecoder(std::string_view type) {
  const auto it =
      std::ranges::find(kOthers, type, &std::pair<std::string_view, std::string_view>::first);
  return it == kOthers.end() ? std::string_view() : it->second;
}

}  // namespace meshstep
