#include "strategies/hf_family.h"

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
    {.type = "cohere", .tied = true, .norms = 1, .parallel = true},
    {.type = "deepseek_v2"},
    {.type = "deepseek_v3", .router_bias = true},
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
    {.type = "glm4_moe", .router_bias = true},
    {.type = "gpt2",
     .tied = true,
     .gated = false,
     .qkv_bias = Bias::kAlways,
     .output_bias = Bias::kAlways,
     .mlp_bias = Bias::kAlways,
     .layer_norm = true,
     .learned_positions = true},
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
    {.type = "kimi_k2", .router_bias = true},
    {.type = "llama", .vocab = 32000},
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
    {.type = "olmo", .norms = 0},
    {.type = "olmo2", .qk_norm = true},
    {.type = "olmoe", .qk_norm = true, .experts_in_ffn = true},
    {.type = "opt",
     .tied = true,
     .gated = false,
     .qkv_bias = Bias::kAlways,
     .output_bias = Bias::kAlways,
     .mlp_bias = Bias::kAlways,
     .layer_norm = true,
     .learned_positions = true},
    {.type = "phi3", .window = Window::kKey},
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
    {.type = "starcoder2",
     .tied = true,
     .gated = false,
     .bias_default = true,
     .layer_norm = true,
     .window = Window::kKey},
});

// model_type and what it is instead.
constexpr auto kOthers = std::to_array<std::pair<std::string_view, std::string_view>>({
    {"albert", "an encoder"},
    {"bart", "an encoder and a decoder"},
    {"bert", "an encoder"},
    {"clip", "an image and a text encoder"},
    {"deberta", "an encoder"},
    {"distilbert", "an encoder"},
    {"electra", "an encoder"},
    {"falcon_mamba", "a state-space model"},
    {"jamba", "partly a state-space model"},
    {"mamba", "a state-space model"},
    {"mamba2", "a state-space model"},
    {"mt5", "an encoder and a decoder"},
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
