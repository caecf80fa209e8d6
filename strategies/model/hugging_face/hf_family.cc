#include "strategies/model/hugging_face/hf_family.h"

#include <algorithm>
#include <array>
#include <utility>

namespace meshstep {
namespace {

using Beside = HfFamily::Beside;
using Bias = HfFamily::Bias;
using Biases = HfFamily::Biases;
using Experts = HfFamily::Experts;
using Mixers = HfFamily::Mixers;
using Positions = HfFamily::Positions;
using QkNorm = HfFamily::QkNorm;
using Shapes = HfFamily::Shapes;
using Where = HfFamily::Windows::Where;
using Windows = HfFamily::Windows;

constexpr Biases kAll = {Bias::kAlways, Bias::kAlways, Bias::kAlways};
constexpr Biases kNone = {Bias::kNever, Bias::kNever, Bias::kNever};
// As the key says of attention, or of queries, keys and values alone; never elsewhere.
constexpr Biases kAttention = {Bias::kKey, Bias::kKey, Bias::kNever};
constexpr Biases kQkv = {Bias::kKey, Bias::kNever, Bias::kNever};
constexpr Biases kQkvAlways = {Bias::kAlways, Bias::kNever, Bias::kNever};
constexpr Biases kQkvUnlessKey = {Bias::kKey, Bias::kNever, Bias::kNever, true};
constexpr Biases kKeyOrAll = {Bias::kKey, Bias::kKey, Bias::kKey, true};
constexpr Biases kKeyEach = {};
constexpr Biases kMlp = {Bias::kNever, Bias::kNever, Bias::kAlways};
constexpr Biases kAllButQkv = {Bias::kNever, Bias::kAlways, Bias::kAlways};
constexpr Biases kAllButQkvKey = {Bias::kKey, Bias::kAlways, Bias::kAlways};
constexpr Biases kNeoX = {Bias::kKey, Bias::kKey, Bias::kAlways, true};

constexpr Windows kByKey = {Where::kKey};
constexpr Windows kIfUsed = {Where::kIfUsed, 4096};
constexpr Windows OneIn(int period, int size) { return {Where::kPeriod, size, period}; }

// By name. clang-format would give each field a line of its own.
// clang-format off
constexpr auto kFamilies = std::to_array<HfFamily>({
    // modeling_afmoe.py: a gate on each element of attention; no positions without a window.
    {.type = "afmoe", .biases = kNone, .norms = 4, .qk_norm = QkNorm::kHead,
     .windows = OneIn(4, 1024), .experts = Experts::kNeeded, .router_bias = true,
     .shapes = Shapes::kAfmoe, .head_dim = 128, .vocab = 200192},
    {.type = "apertus", .gated = false, .qk_norm = QkNorm::kHead},
    {.type = "arcee", .gated = false},
    // modeling_arctic.py, ArcticDecoderLayer: the dense MLP is as wide as the stream.
    {.type = "arctic", .biases = kNone, .experts = Experts::kNeeded, .experts_in_ffn = true,
     .beside = Beside::kHidden},
    {.type = "aria_text", .biases = kAttention, .experts = Experts::kNeeded, .experts_in_ffn = true},
    {.type = "baichuan", .biases = kNone},
    {.type = "bailing_moe", .biases = kAttention, .experts = Experts::kIfKey},
    {.type = "bailing_moe_v2", .biases = kAttention, .qk_norm = QkNorm::kHead,
     .experts = Experts::kIfKey, .router_bias = true},
    {.type = "bamba", .biases = kNone, .mixers = Mixers::kBamba},
    {.type = "bloom", .tied = true, .gated = false, .ffn_per_hidden = 4, .biases = kAll,
     .layer_norm = true, .positions = Positions::kAlibi},
    {.type = "chatglm", .biases = {.qkv = Bias::kKey, .output = Bias::kKey, .mlp = Bias::kKey}},
    {.type = "codegen", .gated = false, .ffn_per_hidden = 4, .biases = kMlp, .layer_norm = true,
     .norms = 1, .parallel = true},
    // Scales of its norms of queries and keys: one per head and element (modeling_cohere.py).
    {.type = "cohere", .tied = true, .biases = kAttention, .norms = 1, .parallel = true},
    {.type = "cohere2", .tied = true, .biases = kAttention, .norms = 1, .parallel = true,
     .windows = OneIn(4, 4096)},
    {.type = "cwm", .biases = kNone, .windows = kByKey},
    {.type = "dbrx", .biases = kNone, .experts = Experts::kNeeded, .experts_in_ffn = true},
    {.type = "deepseek", .biases = kAttention, .experts = Experts::kIfKey},
    {.type = "deepseek_v2", .biases = kNone, .latent = true, .experts = Experts::kIfKey},
    {.type = "deepseek_v3", .biases = kNone, .latent = true, .experts = Experts::kIfKey,
     .router_bias = true},
    {.type = "deepseek_v32", .biases = kNone, .latent = true, .experts = Experts::kIfKey,
     .router_bias = true, .indexer = true},
    // A window in every layer, compressed keys beside it in most (modeling_deepseek_v4.py).
    {.type = "deepseek_v4", .biases = kNone, .windows = kByKey, .sinks = true,
     .experts = Experts::kNeeded, .router_bias = true, .shapes = Shapes::kCompressed},
    {.type = "dots1", .biases = kAttention, .qk_norm = QkNorm::kHead, .experts = Experts::kIfKey,
     .router_bias = true},
    {.type = "ernie4_5", .tied = true},
    {.type = "ernie4_5_moe", .tied = true, .experts = Experts::kNeeded, .router_bias = true},
    {.type = "exaone", .biases = kNone},
    {.type = "exaone4", .biases = kNone, .qk_norm = QkNorm::kHead, .windows = OneIn(4, 4096)},
    {.type = "exaone_moe", .biases = kNone, .qk_norm = QkNorm::kHead, .windows = OneIn(4, 128),
     .experts = Experts::kNeeded, .router_bias = true},
    {.type = "falcon", .tied = true, .gated = false, .ffn_per_hidden = 4, .layer_norm = true,
     .parallel = true, .multi_query = true},
    {.type = "falcon_h1", .biases = kNone, .mixers = Mixers::kFalconH1},
    {.type = "falcon_mamba", .biases = kNone, .positions = Positions::kAlibi,
     .mixers = Mixers::kMamba1},
    {.type = "flex_olmo", .biases = kAttention, .qk_norm = QkNorm::kAllHeads,
     .experts = Experts::kNeeded, .experts_in_ffn = true},
    {.type = "gemma", .tied = true, .biases = kAttention, .head_dim = 256, .vocab = 256000},
    {.type = "gemma2", .tied = true, .biases = kAttention, .norms = 4, .windows = OneIn(2, 4096),
     .heads = 8, .kv_heads = 4, .head_dim = 256, .vocab = 256000},
    {.type = "gemma3_text", .tied = true, .biases = kAttention, .norms = 4,
     .qk_norm = QkNorm::kHead, .windows = OneIn(6, 4096), .heads = 8, .kv_heads = 4,
     .head_dim = 256, .vocab = 262208},
    // The larger ones; the smaller have embeddings of each layer and share keys and values.
    {.type = "gemma4_text", .tied = true, .biases = kAttention, .norms = 4,
     .qk_norm = QkNorm::kHead, .windows = OneIn(6, 1024), .experts = Experts::kIfKey,
     .shapes = Shapes::kGemma4, .head_dim = 256, .vocab = 262144},
    // Grok 2 (huggingface.co/xai-org/grok-2 calls itself git).
    {.type = "git", .biases = kNone, .experts = Experts::kNeeded, .beside = Beside::kFfn},
    {.type = "glm", .biases = kQkv},
    {.type = "glm4", .biases = kQkv, .norms = 4},
    {.type = "glm4_moe", .biases = kQkv, .experts = Experts::kIfKey, .router_bias = true},
    {.type = "glm4_moe_lite", .biases = kNone, .latent = true, .experts = Experts::kIfKey,
     .router_bias = true},
    {.type = "glm_moe_dsa", .biases = kNone, .latent = true, .experts = Experts::kIfKey,
     .router_bias = true, .indexer = true},
    {.type = "gpt2", .tied = true, .gated = false, .ffn_per_hidden = 4, .biases = kAll,
     .layer_norm = true, .positions = Positions::kLearned},
    {.type = "gpt_bigcode", .tied = true, .gated = false, .ffn_per_hidden = 4, .biases = kAll,
     .layer_norm = true, .positions = Positions::kLearned, .multi_query = true},
    {.type = "gpt_neo", .tied = true, .gated = false, .ffn_per_hidden = 4, .biases = kAllButQkv,
     .layer_norm = true, .positions = Positions::kLearned, .windows = OneIn(2, 256)},
    {.type = "gpt_neox", .gated = false, .biases = kNeoX, .layer_norm = true, .parallel = true},
    {.type = "gpt_oss", .biases = kAll, .windows = OneIn(2, 128), .sinks = true,
     .experts = Experts::kNeeded, .experts_in_ffn = true, .router_bias = true},
    {.type = "gptj", .gated = false, .ffn_per_hidden = 4, .biases = kMlp, .layer_norm = true,
     .norms = 1, .parallel = true},
    {.type = "granite"},
    {.type = "granitemoe", .biases = kAttention, .experts = Experts::kNeeded,
     .experts_in_ffn = true},
    // Every layer has a shared MLP; with experts beside it, or alone.
    {.type = "granitemoehybrid", .biases = kAttention, .experts = Experts::kIfKey,
     .experts_in_ffn = true, .mixers = Mixers::kBamba},
    {.type = "granitemoeshared", .biases = kAttention, .experts = Experts::kNeeded,
     .experts_in_ffn = true},
    {.type = "grok-1", .tied = true, .biases = kNone, .norms = 4, .experts = Experts::kNeeded,
     .experts_in_ffn = true},
    {.type = "helium"},
    {.type = "hunyuan_v1_dense", .tied = true, .biases = kAttention, .qk_norm = QkNorm::kHead},
    {.type = "hunyuan_v1_moe", .tied = true, .biases = kAttention, .qk_norm = QkNorm::kHead,
     .experts = Experts::kNeeded},
    {.type = "internlm", .biases = {Bias::kKey, Bias::kKey, Bias::kNever, true}},
    {.type = "internlm2", .biases = kAttention},
    {.type = "internlm3", .biases = kAttention},
    {.type = "jamba", .biases = kNone, .positions = Positions::kAlibi, .experts = Experts::kIfKey,
     .experts_in_ffn = true, .mixers = Mixers::kJamba},
    {.type = "kimi_k2", .biases = kNone, .latent = true, .experts = Experts::kIfKey,
     .router_bias = true},
    {.type = "kimi_linear", .biases = kNone, .latent = true, .experts = Experts::kIfKey,
     .router_bias = true, .mixers = Mixers::kKimi},
    // modeling_lfm2.py: norms of heads; convolutions in all but some layers.
    {.type = "lfm2", .tied = true, .biases = kNone, .qk_norm = QkNorm::kHead,
     .mixers = Mixers::kShortConvolution},
    {.type = "lfm2_moe", .tied = true, .biases = kNone, .qk_norm = QkNorm::kHead,
     .experts = Experts::kIfKey, .mixers = Mixers::kShortConvolution},
    {.type = "llama", .vocab = 32000},
    {.type = "llama4_text", .biases = kAttention, .experts = Experts::kIfKey,
     .shared_expert = true, .shapes = Shapes::kLlama4},
    // No layer has attention or an MLP.
    {.type = "mamba", .tied = true, .biases = kNone, .positions = Positions::kAlibi,
     .mixers = Mixers::kMamba1},
    {.type = "mamba2", .biases = kNone, .positions = Positions::kAlibi,
     .mixers = Mixers::kMamba2},
    {.type = "mimo", .biases = kQkvUnlessKey, .windows = kIfUsed},
    {.type = "mimo_v2_flash", .biases = kAttention, .windows = kByKey,
     .experts = Experts::kNeeded, .router_bias = true, .shapes = Shapes::kMimo},
    {.type = "minicpm", .tied = true, .biases = kAttention, .experts = Experts::kIfKey,
     .experts_in_ffn = true},
    {.type = "minicpm3", .tied = true, .biases = kAttention, .latent = true},
    {.type = "minimax_m2", .biases = kNone, .qk_norm = QkNorm::kAllHeads,
     .experts = Experts::kNeeded, .experts_in_ffn = true, .router_bias = true},
    {.type = "minimax_text_01", .biases = kNone, .experts = Experts::kNeeded,
     .experts_in_ffn = true, .mixers = Mixers::kLightning},
    {.type = "ministral", .biases = kNone, .windows = kByKey},
    {.type = "ministral3", .biases = kNone, .windows = kByKey},
    {.type = "mistral", .biases = kNone, .windows = {Where::kKey, 4096}, .heads = 32,
     .kv_heads = 8, .vocab = 32000},
    {.type = "mistral4", .biases = kNone, .latent = true, .experts = Experts::kIfKey},
    {.type = "mixtral", .biases = kNone, .windows = kByKey, .experts = Experts::kNeeded,
     .experts_in_ffn = true, .kv_heads = 8},
    {.type = "mpt", .tied = true, .gated = false, .ffn_per_hidden = 4, .biases = kKeyOrAll,
     .positions = Positions::kAlibi},
    {.type = "nemotron", .gated = false, .layer_norm = true},
    // Attention has no positions.
    {.type = "nemotron_h", .gated = false, .biases = kKeyEach, .positions = Positions::kAlibi,
     .experts = Experts::kIfKey, .router_bias = true, .mixers = Mixers::kNemotronH},
    {.type = "olmo", .biases = kAttention, .norms = 0},
    {.type = "olmo2", .biases = kAttention, .qk_norm = QkNorm::kAllHeads},
    {.type = "olmo3", .biases = kAttention, .qk_norm = QkNorm::kAllHeads,
     .windows = OneIn(4, 4096)},
    {.type = "olmo_hybrid", .biases = kAttention, .qk_norm = QkNorm::kAllHeads,
     .mixers = Mixers::kDeltaNet},
    {.type = "olmoe", .biases = kAttention, .qk_norm = QkNorm::kAllHeads,
     .experts = Experts::kNeeded, .experts_in_ffn = true},
    {.type = "opt", .tied = true, .gated = false,
     .biases = kKeyOrAll, .layer_norm = true, .positions = Positions::kLearned},
    {.type = "orion", .biases = kAttention, .layer_norm = true},
    {.type = "persimmon", .gated = false, .biases = kAll, .layer_norm = true,
     .qk_norm = QkNorm::kHead},
    {.type = "phi", .gated = false, .biases = kAll, .layer_norm = true, .norms = 1,
     .parallel = true},
    {.type = "phi3", .biases = kNone, .windows = kByKey},
    {.type = "phimoe", .biases = kAttention, .layer_norm = true, .windows = kByKey,
     .experts = Experts::kNeeded, .experts_in_ffn = true},
    // Qwen 1: c_attn has a bias whatever no_bias says (modeling_qwen.py).
    {.type = "qwen", .width_of_both_halves = true, .biases = kQkvAlways},
    {.type = "qwen2", .biases = kQkvAlways, .windows = kIfUsed, .heads = 32, .kv_heads = 32,
     .vocab = 151936},
    {.type = "qwen2_moe", .biases = kQkvUnlessKey, .windows = kIfUsed,
     .experts = Experts::kIfKey, .shared_gate = true},
    {.type = "qwen3", .biases = kAttention, .qk_norm = QkNorm::kHead, .windows = kIfUsed,
     .heads = 32, .kv_heads = 32, .head_dim = 128, .vocab = 151936},
    {.type = "qwen3_5_moe_text", .biases = kAttention, .qk_norm = QkNorm::kHead,
     .experts = Experts::kNeeded, .shared_gate = true, .mixers = Mixers::kDeltaNet, .heads = 16,
     .kv_heads = 2, .head_dim = 256, .vocab = 248320},
    {.type = "qwen3_5_text", .biases = kAttention, .qk_norm = QkNorm::kHead,
     .mixers = Mixers::kDeltaNet, .heads = 16, .kv_heads = 4, .head_dim = 256, .vocab = 248320},
    {.type = "qwen3_moe", .biases = kAttention, .qk_norm = QkNorm::kHead, .windows = kIfUsed,
     .experts = Experts::kIfKey, .heads = 32, .kv_heads = 4, .vocab = 151936},
    {.type = "qwen3_next", .biases = kAttention, .qk_norm = QkNorm::kHead,
     .experts = Experts::kNeeded, .shared_gate = true, .mixers = Mixers::kDeltaNet},
    // modeling_recurrent_gemma.py: the output projection and the MLP have biases.
    {.type = "recurrent_gemma", .tied = true, .width_of_both_halves = true,
     .biases = kAllButQkvKey, .windows = {Where::kNever, 2048}, .mixers = Mixers::kRecurrent,
     .vocab = 256000},
    {.type = "seed_oss"},
    {.type = "smollm3", .tied = true, .windows = kIfUsed},
    {.type = "solar_open", .biases = kAttention, .experts = Experts::kNeeded,
     .router_bias = true},
    {.type = "stablelm", .biases = kQkv, .layer_norm = true},
    {.type = "starcoder2", .tied = true, .gated = false, .biases = kKeyOrAll, .layer_norm = true,
     .windows = kByKey},
    {.type = "step3p5", .biases = kNone, .windows = kByKey, .experts = Experts::kNeeded,
     .shapes = Shapes::kStep},
    {.type = "vaultgemma", .tied = true, .biases = kAttention, .windows = OneIn(2, 4096),
     .head_dim = 256, .vocab = 256000},
    {.type = "xverse", .biases = kNone},
});
// clang-format on

// Multimodal types and other names of a family; parts that are a language model.
using Pair = std::pair<std::string_view, std::string_view>;
constexpr auto kSame = std::to_array<Pair>({
    {"InternLM3ForCausalLM", "internlm3"},
    {"aria", "aria_text"},
    {"aya_vision", "cohere2"},
    {"bailing_moe_linear", "bailing_hybrid"},
    {"bailingmoe", "bailing_moe"},
    {"code_llama", "llama"},
    {"cohere2_vision", "cohere2"},
    {"ernie4_5_moe_vl", "ernie4_5_vl_moe"},
    {"gemma3", "gemma3_text"},
    {"gemma4", "gemma4_text"},
    {"gemma4_unified", "gemma4_text"},
    {"gemma4_unified_text", "gemma4_text"},
    {"glm46v", "glm4v_moe"},
    {"glm4v", "glm4"},
    {"glm4v_moe", "glm4_moe"},
    {"glm4v_moe_text", "glm4_moe"},
    {"glm4v_text", "glm4"},
    {"gpt-sw3", "gpt2"},
    {"granite_speech", "granite"},
    {"grok", "grok-1"},
    {"grok1", "grok-1"},
    {"grok_1", "grok-1"},
    {"hunyuan_v1", "hunyuan_v1_dense"},
    {"internvl_chat", "internlm2"},
    {"kimi_k25", "kimi_k2"},
    {"kimi_k3", "kimi_linear"},
    {"kimi_vl", "deepseek_v3"},
    {"llama4", "llama4_text"},
    {"llava", "llama"},
    {"mimo_v2", "mimo_v2_flash"},
    {"minimax", "minimax_text_01"},
    {"minimax_m1", "minimax_text_01"},
    {"mistral3", "mistral"},
    {"paligemma", "gemma"},
    {"qwen2_5_vl", "qwen2"},
    {"qwen2_5_vl_text", "qwen2"},
    {"qwen2_vl", "qwen2"},
    {"qwen2_vl_text", "qwen2"},
    {"qwen3_5", "qwen3_5_text"},
    {"qwen3_5_moe", "qwen3_5_moe_text"},
    {"qwen3_omni_moe_text", "qwen3_moe"},
    {"qwen3_vl", "qwen3"},
    {"qwen3_vl_moe", "qwen3_moe"},
    {"qwen3_vl_moe_text", "qwen3_moe"},
    {"qwen3_vl_text", "qwen3"},
    {"step3p7", "step3p5"},
});

}  // namespace

const HfFamily* FindHfFamily(std::string_view type) {
  const auto it = std::ranges::find(kFamilies, type, &HfFamily::type);
  return it == kFamilies.end() ? nullptr : &*it;
}

std::string_view HfTypeOf(std::string_view type) {
  const auto it = std::ranges::find(kSame, type, &Pair::first);
  return it == kSame.end() ? type : it->second;
}

std::span<const HfFamily> HfFamilies() { return kFamilies; }

}  // namespace meshstep
