#include "strategies/model/hugging_face/hf_refused.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace meshstep {
namespace {

using Json = nlohmann::json;
using Pair = std::pair<std::string_view, std::string_view>;

constexpr std::string_view kEncoder = "an encoder", kBoth = "an encoder and a decoder";
constexpr std::string_view kStateSpace = "partly a state-space model";
constexpr std::string_view kSharedBlocks =
    "partly a state-space model, whose attention blocks share weights (hybrid_layer_ids)";
constexpr std::string_view kLinear = "partly linear attention";
constexpr std::string_view kTwoHeads = "a transformer whose layers have two shapes of heads";

// model_type and what it is instead; github.com/huggingface/transformers, modeling_*.py, and the
// files beside the weights.
constexpr auto kTypes = std::to_array<Pair>({
    {"albert", kEncoder},
    {"bailing_hybrid", kLinear},
    {"bailing_moe_v2_5", kLinear},
    {"bart", kBoth},
    {"bert", kEncoder},
    {"big_bird", kEncoder},
    {"blt", "a transformer of bytes and patches"},
    {"canine", kEncoder},
    {"clip", "an image and a text encoder"},
    {"deberta", kEncoder},
    {"deberta-v2", kEncoder},
    {"diffllama", "a transformer of differential attention"},
    {"electra", kEncoder},
    {"ernie", kEncoder},
    {"ernie4_5_vl_moe", "a transformer with experts of two widths"},
    {"esm", kEncoder},
    {"gemma3n", "a transformer with several residual streams"},
    {"gemma3n_text", "a transformer with several residual streams"},
    {"hunyuan", "a transformer whose layers share keys and values"},
    {"hymba", kStateSpace},
    {"jetmoe", "a transformer of attention with experts"},
    {"laguna", kTwoHeads},
    {"led", kBoth},
    {"longcat_flash", "a transformer with two attention blocks in a layer and experts of no cost"},
    {"longformer", kEncoder},
    {"longt5", kBoth},
    {"m2m_100", kBoth},
    {"marian", kBoth},
    {"mbart", kBoth},
    {"minimax_m3", "partly sparse attention"},
    {"mllama", "a transformer with cross-attention to images"},
    {"mpnet", kEncoder},
    {"mt5", kBoth},
    {"nemotron-nas", "a transformer whose layers all differ"},
    {"openelm", "a transformer whose layers all differ"},
    {"pegasus", kBoth},
    {"phi3small", "a transformer of block-sparse attention"},
    {"phi4flash", kStateSpace},
    {"plamo2", kStateSpace},
    {"rwkv", "a recurrent model"},
    {"rwkv7", "a recurrent model"},
    {"siglip", "an image and a text encoder"},
    {"step3", "a transformer of multi-matrix factorized attention"},
    {"step3_text", "a transformer of multi-matrix factorized attention"},
    {"step3_vl", "a transformer of multi-matrix factorized attention"},
    {"switch_transformers", kBoth},
    {"t5", kBoth},
    {"t5gemma", kBoth},
    {"umt5", kBoth},
    {"vit", "an image encoder"},
    {"whisper", kBoth},
    {"xlm", kEncoder},
    {"xlnet", "a transformer of two streams"},
    {"xlstm", "a recurrent model"},
    {"zamba", kSharedBlocks},
    {"zamba2", kSharedBlocks},
});

// Keys that say more than their name.
constexpr auto kDecides = std::to_array<Pair>({
    {"altup_num_inputs", "several residual streams"},
    {"attention_k_eq_v", "keys and values of one projection"},
    {"attn_layer_period", "layers that are not attention"},
    {"attn_type_list", "linear attention in some layers"},
    {"block_configs", "layers that all differ"},
    {"cross_attention_layers", "cross-attention to images"},
    {"full_attention_interval", "linear attention in some layers"},
    {"global_head_dim", "heads of two sizes"},
    {"hc_mult", "several residual streams"},
    {"hidden_size_per_layer_input", "embeddings of each layer"},
    {"hybrid_layer_pattern", "layers of two kinds of attention"},
    {"hybrid_override_pattern", "state-space layers"},
    {"index_head_dim", "sparse attention"},
    {"index_n_heads", "sparse attention"},
    {"index_topk", "sparse attention"},
    {"linear_attn_config", "linear attention in some layers"},
    {"moe_latent_size", "experts of a narrower stream"},
    {"num_kv_shared_layers", "keys and values shared by layers"},
    {"residual_moe", "a dense MLP beside the experts"},
    {"share_q_dim", "queries through a narrower projection"},
    {"sparse_attention_config", "sparse attention"},
    {"sparse_config", "sparse attention"},
    {"use_cla", "keys and values shared by layers"},
    {"zero_expert_num", "experts of no cost"},
});

// Read by nobody and without weight for time and memory, though their words say otherwise.
constexpr auto kHarmlessKeys = std::to_array<std::string_view>({
    "alibi_bias_max",
    "apply_residual_connection_post_layernorm",
    "architectures",
    "attention_softmax_in_fp32",
    "attn_factor",
    "attn_uses_sequence_id",
    "cla_share_factor",
    "dim_model_base",
    "ep_size",
    "ffn_act_fn",
    "fp32_residual_connection",
    "full_attn_mod",
    "layer_switch",
    "lm_head",
    "lm_head_bias",
    "max_batch_size",
    "mlp_type",
    "model_type",
    "moe_capacity",
    "moe_eval_capacity_factor",
    "moe_gate",
    "moe_group",
    "moe_min_capacity",
    "moe_norm_gate_logits",
    "moe_norm_min",
    "moe_normalize_expert_weights",
    "moe_orthogonal_loss_lambda",
    "moe_router_enable_shared_expert",
    "moe_train_capacity_factor",
    "moe_use_hard_gate",
    "moe_world_size",
    "norm_head",
    "norm_softmax",
    "norm_topk_prob",
    "norm_type",
    "num_beam_groups",
    "order_of_interleaved_layers",
    "org_vocab_size",
    "output_attentions",
    "output_hidden_states",
    "post_layer_norm",
    "pretraining_tp",
    "quantization_config",
    "query_pre_attn_scalar",
    "residual_in_fp32",
    "rms_norm",
    "rmsnorm",
    "scale_attention_softmax_in_fp32",
    "scale_attn_by_inverse_layer_idx",
    "scale_attn_weights",
    "shared_moe_mode",
    "skip_bias_add",
    "softmax_scale",
    "use_gated_activation",
    "use_logn_attn",
    "use_mem_efficient_attention",
    "use_memory_efficient_attention",
    "use_moe",
    "use_parallel_block",
    "use_rms_norm",
    "weight_share_add_bias",
});

// A key with one of these words is of no cost, whatever its other words.
constexpr auto kHarmlessWords = std::to_array<std::string_view>({
    "alpha",       "aux",         "beta",    "cache", "checkpoint",  "checkpointing",  "clip",
    "coef",        "drop",        "dropout", "dtype", "eps",         "epsilon",        "flash",
    "fused",       "fusion",      "id",      "ids",   "impl",        "implementation", "init",
    "initializer", "jitter",      "label",   "loss",  "lr",          "multiplier",     "mup",
    "noise",       "pdrop",       "prob",    "rope",  "rotary",      "scale",          "scaling",
    "softcap",     "softcapping", "std",     "temp",  "temperature", "theta",          "token",
    "tokens",      "version",     "warmup",
});

// A key with one of these words may decide what a layer holds.
constexpr auto kStructuralWords = std::to_array<std::string_view>({
    "activation", "altup",    "attention", "attn",    "bias",   "block",     "blocks",  "cla",
    "compress",   "conv",     "conv1d",    "dim",     "dims",   "engram",    "expert",  "experts",
    "ffn",        "freq",     "frequency", "gate",    "gated",  "gating",    "group",   "groups",
    "hc",         "head",     "heads",     "hidden",  "hybrid", "index",     "indexer", "interval",
    "kv",         "latent",   "laurel",    "layer",   "layers", "lightning", "linear",  "loop",
    "loops",      "lora",     "mamba",     "memory",  "mhc",    "mlp",       "moe",     "mtp",
    "nextn",      "norm",     "norms",     "pattern", "per",    "period",    "qk",      "rank",
    "recurrent",  "residual", "share",     "shared",  "size",   "sliding",   "sparse",  "ssm",
    "state",      "swa",      "width",     "window",
});

constexpr auto kEncoderWords = std::to_array<std::string_view>({
    "anyres",
    "audio",
    "image",
    "img",
    "mm",
    "projector",
    "speech",
    "video",
    "vision",
    "visual",
    "vit",
});

template <typename List>
bool Holds(const List& list, std::string_view word) {
  return std::ranges::find(list, word) != list.end();
}

// Of the words of `key` after its last dot, divided by underscores.
template <typename List>
bool HasWord(const List& list, std::string_view key) {
  key.remove_prefix(std::min(key.size(), key.rfind('.') + 1));
  while (!key.empty()) {
    const std::size_t end = std::min(key.size(), key.find('_'));
    if (Holds(list, key.substr(0, end))) return true;
    key.remove_prefix(std::min(key.size(), end + 1));
  }
  return false;
}

// A value that switches nothing on.
bool IsOff(const Json& value) {
  if (value.is_array()) return std::ranges::all_of(value, IsOff);
  if (value.is_number()) return value == 0;
  if (value.is_string()) return value.get<std::string>().empty();
  return value.is_null() || value == false || (value.is_object() && value.empty());
}

std::string_view Lookup(std::span<const Pair> pairs, std::string_view key) {
  const auto it = std::ranges::find(pairs, key, &Pair::first);
  return it == pairs.end() ? std::string_view() : it->second;
}

}  // namespace

std::string_view WhyHfTypeIsRefused(std::string_view type) {
  if (const std::string_view why = Lookup(kTypes, type); !why.empty()) return why;
  return type.ends_with("bert") || type.ends_with("roberta") ? kEncoder : std::string_view();
}

std::string_view WhatHfKeyDecides(std::string_view key) { return Lookup(kDecides, key); }

HfUnread UnreadHfKey(const std::string& key, const Json& value) {
  const std::string_view last = std::string_view(key).substr(key.rfind('.') + 1);
  if (IsOff(value) || key.starts_with('_') || Holds(kHarmlessKeys, last)) {
    return HfUnread::kHarmless;
  }
  if (!WhatHfKeyDecides(last).empty()) return HfUnread::kStructure;
  if (HasWord(kEncoderWords, last)) return HfUnread::kEncoder;
  if (HasWord(kHarmlessWords, last)) return HfUnread::kHarmless;
  return HasWord(kStructuralWords, last) ? HfUnread::kStructure : HfUnread::kHarmless;
}

}  // namespace meshstep
