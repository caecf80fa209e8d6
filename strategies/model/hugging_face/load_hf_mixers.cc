// Layers that are not all attention: which mixer each has, and what mixers with a state hold.

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "meshstep/v1/model.pb.h"
#include "sim/base/index.h"
#include "strategies/model/hugging_face/load_hf_model.h"

namespace meshstep {
namespace {

using Mixers = HfFamily::Mixers;

// What a layer is called in lists of types.
char MixerOf(const std::string& type) {
  if (type == "full_attention" || type == "attention") return '*';
  if (type == "linear_attention") return 'L';
  if (type == "mamba" || type == "mamba2") return 'M';
  if (type == "moe") return 'E';
  if (type == "conv" || type == "short_conv") return 'C';
  if (type == "recurrent") return 'R';
  return type == "mlp" ? '-' : '?';
}

}  // namespace

void HfImporter::ReadMamba2() {
  v1::Mamba* mamba = out_.mutable_mamba();
  const bool alone = family_.mixers == Mixers::kMamba2;
  mamba->set_head_dim(alone ? Int({"head_dim"}, 1, kMaxWidth).value_or(64)
                            : Needed({"mamba_head_dim", "mamba_d_head"}, 1, kMaxWidth, 0,
                                     "size of a state-space head"));
  const int expanded =
      Int({"mamba_d_ssm"}, 1, kMaxWide)
          .value_or(out_.hidden() * Int({"mamba_expand", "expand"}, 1, 64).value_or(2));
  const auto heads = alone ? Int({"num_heads"}, 1, kMaxWide)
                           : Int({"mamba_num_heads", "mamba_n_heads"}, 1, kMaxWide);
  mamba->set_heads(heads.value_or(expanded / std::max(1, mamba->head_dim())));
  mamba->set_groups(Int({"n_groups", "mamba_n_groups"}, 1, kMaxWidth).value_or(alone ? 8 : 1));
  mamba->set_state(Needed({"ssm_state_size", "mamba_d_state", "state_size"}, 1, kMaxWidth, 0,
                          "size of a state"));
  mamba->set_conv(Int({"conv_kernel", "mamba_d_conv"}, 1, 64).value_or(4));
  mamba->set_chunk(Int({"chunk_size", "mamba_chunk_size"}, 1, kMaxWidth).value_or(256));
  mamba->set_conv_bias(Bool({"use_conv_bias", "mamba_conv_bias"}, true));
  mamba->set_projection_bias(Bool({"mamba_proj_bias", "use_bias"}, false));
  // Falcon-H1 may leave out the norm.
  if (!Bool({"mamba_rms_norm"}, true)) mamba->set_norm(false);
  Find({"mamba_hidden_act", "mamba_expand", "expand", "mamba_norm_before_gate", "mamba_use_mlp",
        "projectors_bias", "mamba_ssm_cache_dtype", "mamba_n_heads", "mamba_d_ssm"});
}

// Jamba has norms of B, C and the step sizes, Mamba none, Falcon Mamba some without scales.
void HfImporter::ReadMamba1() {
  v1::Mamba* mamba = out_.mutable_mamba();
  const bool alone = family_.mixers == Mixers::kMamba1;
  const auto inner = alone ? Int({"intermediate_size"}, 1, kMaxWide) : std::nullopt;
  const int expanded = out_.hidden() * Int({"mamba_expand", "expand"}, 1, 64).value_or(2);
  mamba->set_heads(inner.value_or(expanded));
  mamba->set_state(Int({"mamba_d_state", "state_size"}, 1, kMaxWidth).value_or(16));
  mamba->set_conv(Int({"mamba_d_conv", "conv_kernel"}, 1, 64).value_or(4));
  // "auto" in files of Mamba.
  std::string key;
  const Json* rank = Find({"time_step_rank"}, &key);
  const bool automatic = rank != nullptr && rank->is_string() && *rank == "auto";
  const auto given =
      automatic ? std::nullopt : Int({"mamba_dt_rank", "time_step_rank"}, 1, kMaxWidth);
  mamba->set_dt_rank(given.value_or((out_.hidden() + 15) / 16));
  mamba->set_conv_bias(Bool({"mamba_conv_bias", "use_conv_bias"}, true));
  mamba->set_projection_bias(Bool({"mamba_proj_bias", "use_bias"}, false));
  if (alone) mamba->set_norm(false);
  Find({"use_mamba_kernels", "mamba_inner_layernorms"});
}

void HfImporter::ReadDeltaNet() {
  v1::DeltaNet* delta = out_.mutable_delta_net();
  const char* what = "number of heads of linear attention";
  // configuration_olmo_hybrid.py: as many heads as attention has, of 3/4 of its width.
  const bool olmo = type_ == "olmo_hybrid";
  const auto heads = [&](Keys keys) {
    const auto given = Int(keys, 1, kMaxWidth);
    return given ? *given : olmo ? out_.heads() : Needed(keys, 1, kMaxWidth, 0, what);
  };
  delta->set_key_heads(heads({"linear_num_key_heads"}));
  delta->set_value_heads(heads({"linear_num_value_heads"}));
  const int key = olmo ? std::max(1, 3 * out_.hidden() / (4 * delta->key_heads())) : 128;
  delta->set_key_dim(Int({"linear_key_head_dim"}, 1, kMaxWidth).value_or(key));
  const int value = olmo ? 2 * delta->key_dim() : 128;
  delta->set_value_dim(Int({"linear_value_head_dim"}, 1, kMaxWidth).value_or(value));
  delta->set_conv(Int({"linear_conv_kernel_dim"}, 1, 64).value_or(4));
  Find({"linear_allow_neg_eigval", "linear_a_log_min", "linear_a_log_max", "linear_dt_min",
        "linear_dt_max", "linear_dt_init_floor"});
  if (olmo) return;
  // modeling_qwen3_next.py: the projection of queries is twice as wide, for a gate of the output.
  out_.set_attention_gate(Bool({"attn_output_gate"}, true));
  Find({"partial_rotary_factor", "mamba_ssm_dtype"});
}

// Kimi Linear: modeling_kimi.py; decays and gates through a rank of a head's size.
void HfImporter::ReadKimiDelta() {
  v1::DeltaNet* delta = out_.mutable_delta_net();
  delta->set_key_heads(Needed({"linear_attn_config.num_heads"}, 1, kMaxWidth, 0,
                              "number of heads of linear attention"));
  delta->set_key_dim(Needed({"linear_attn_config.head_dim"}, 1, kMaxWidth, 0, "size of a head"));
  delta->set_conv(Int({"linear_attn_config.short_conv_kernel_size"}, 1, 64).value_or(4));
  delta->set_decay_rank(delta->key_dim());
  // Kimi K3: a whole gate; one on latent attention too; sums over the outputs of earlier blocks.
  if (!Bool({"linear_attn_config.use_full_rank_gate"}, false))
    delta->set_gate_rank(delta->key_dim());
  if (Bool({"mla_use_output_gate"}, false)) out_.set_attention_gate(true);
  if (Bool({"mla_use_nope"}, false)) out_.set_rotary(false);
  Find({"linear_attn_config.gate_lower_bound", "latent_moe_use_norm", "activation_situ_beta",
        "activation_situ_linear_beta"});
  if (const auto block = Int({"attn_res_block_size"}, 0, kMaxLayers); block && *block > 0) {
    Assume(
        absl::StrCat("attn_res_block_size is ", *block,
                     ": sums over the outputs of earlier blocks, and their two vectors before each "
                     "half of a layer, are left out"));
  }
}

// MiniMax: modeling_minimax_text_01.py, MiniMaxText01LightningAttention.
void HfImporter::ReadLightning() {
  v1::LinearAttention* linear = out_.mutable_linear_attention();
  linear->set_heads(out_.heads());
  linear->set_head_dim(out_.head_dim());
  linear->set_chunk(Int({"block_size"}, 1, kMaxWidth).value_or(256));
  Find({"postnorm", "attention_type", "shared_intermediate_size"});
}

// LFM2.
void HfImporter::ReadShortConvolution() {
  v1::ShortConvolution* conv = out_.mutable_short_convolution();
  conv->set_conv(Int({"conv_L_cache"}, 1, 64).value_or(3));
  conv->set_bias(Bool({"conv_bias"}, false));
  for (const char* key : {"conv_dim", "conv_dim_out", "block_dim"}) {
    const auto width = Int({key}, 1, kMaxWidth);
    if (!width || *width == out_.hidden()) continue;
    Problem(key,
            absl::StrCat("is ", *width, ", expected the width of the stream, ", out_.hidden()));
  }
  Find({"block_use_swiglu", "block_norm_eps", "block_mlp_init_scale", "block_out_init_scale",
        "block_use_xavier_init", "conv_use_xavier_init", "num_heads", "full_attn_idxs"});
}

// Griffin.
void HfImporter::ReadRecurrentUnit() {
  v1::RecurrentUnit* unit = out_.mutable_recurrent_unit();
  unit->set_width(Int({"lru_width"}, 1, kMaxWidth).value_or(out_.hidden()));
  unit->set_heads(out_.heads());
  unit->set_conv(Int({"conv1d_width"}, 1, 64).value_or(4));
  out_.set_sliding_window(
      Int({"attention_window_size"}, 1, kMaxWide).value_or(family_.windows.size));
}

std::string HfImporter::MixersByPattern(const std::string& key, const std::string& pattern) {
  std::string mixers;
  for (const char c : pattern) {
    if (c == '|' || c == ' ') continue;
    if (std::string("M*-E").find(c) == std::string::npos) {
      Problem(key, absl::StrCat("has '", std::string(1, c), "', expected M, *, - and E"));
      return {};
    }
    mixers.push_back(c);
  }
  return mixers;
}

bool HfImporter::OnlyMamba() const {
  return family_.mixers == Mixers::kMamba1 || family_.mixers == Mixers::kMamba2;
}

std::string HfImporter::MixersByPeriod() {
  const int layers = out_.layers();
  std::string mixers(Index(layers), 'L');
  if (family_.mixers == Mixers::kJamba) {
    const int period = Int({"attn_layer_period"}, 1, kMaxLayers).value_or(8);
    const int offset = Int({"attn_layer_offset"}, 0, kMaxLayers).value_or(4);
    for (int i = 0; i < layers; ++i) mixers[Index(i)] = i % period == offset ? '*' : 'M';
  } else if (family_.mixers == Mixers::kDeltaNet) {
    const int period = Int({"full_attention_interval"}, 1, kMaxLayers).value_or(4);
    for (int i = 0; i < layers; ++i) mixers[Index(i)] = (i + 1) % period == 0 ? '*' : 'L';
  } else if (family_.mixers == Mixers::kFalconH1) {
    std::ranges::fill(mixers, 'B');
  } else if (OnlyMamba()) {
    std::ranges::fill(mixers, 'M');
  } else if (family_.mixers == Mixers::kBamba) {
    const auto attention = Ints({"attn_layer_indices"}).value_or(std::vector<int>());
    for (int i = 0; i < layers; ++i) {
      const bool attends = std::ranges::find(attention, i) != attention.end();
      mixers[Index(i)] = attends ? '*' : 'M';
    }
  } else if (family_.mixers == Mixers::kShortConvolution) {
    const auto attention = Ints({"full_attn_idxs"}).value_or(std::vector<int>());
    for (int i = 0; i < layers; ++i) {
      const bool attends = std::ranges::find(attention, i) != attention.end();
      mixers[Index(i)] = attends ? '*' : 'C';
    }
  } else if (family_.mixers == Mixers::kRecurrent) {
    for (int i = 0; i < layers; ++i) mixers[Index(i)] = i % 3 == 2 ? '*' : 'R';
  } else if (family_.mixers == Mixers::kKimi) {
    // Numbered from 1.
    const auto full = Ints({"linear_attn_config.full_attn_layers"}).value_or(std::vector<int>());
    Find({"linear_attn_config.kda_layers"});
    for (const int i : full) {
      if (i >= 1 && i <= layers) mixers[Index(i - 1)] = '*';
    }
  }
  return mixers;
}

// A letter for the mixer of each layer: * attention, M Mamba, L linear, B attention and Mamba; - and
// E of layers that are only an MLP.
std::string HfImporter::ReadMixers() {
  if (OnlyMamba()) {
    // What state-spaces/mamba writes beside the same under transformers' names.
    Find({"d_inner", "d_model", "n_layer", "ssm_cfg", "intermediate_size", "residual_in_fp32",
          "time_step_rank", "rms_norm", "norm_before_gate", "fused_add_norm"});
    return MixersByPeriod();
  }
  std::string key;
  const Json* pattern = Find({"hybrid_override_pattern"}, &key);
  if (pattern != nullptr && pattern->is_string()) {
    return MixersByPattern(key, pattern->get<std::string>());
  }
  const auto types = Texts({"layers_block_type", "layer_types", "block_types", "_block_types"});
  if (types && !types->empty()) {
    Find({"full_attention_interval"});
    std::string mixers;
    for (const std::string& type : *types) {
      mixers.push_back(MixerOf(type));
      if (mixers.back() != '?') continue;
      Problem("layer_types", absl::StrCat("has ", Shown(type),
                                          ", expected attention, mamba, "
                                          "linear_attention, conv, recurrent, moe or mlp"));
      return {};
    }
    // Griffin's list is a period.
    const std::size_t given = mixers.size();
    while (family_.mixers == Mixers::kRecurrent && std::ssize(mixers) < out_.layers()) {
      mixers.push_back(mixers[mixers.size() - given]);
    }
    return mixers;
  }
  if (const auto list = Ints({"attn_type_list"}); list && !list->empty()) {
    std::string mixers;
    for (const int softmax : *list) mixers.push_back(softmax == 1 ? '*' : 'L');
    return mixers;
  }
  return MixersByPeriod();
}

void HfImporter::ReadStates(const std::string& mixers) {
  switch (family_.mixers) {
    case Mixers::kNone:
      return;
    case Mixers::kDeltaNet:
      return ReadDeltaNet();
    case Mixers::kKimi:
      return ReadKimiDelta();
    case Mixers::kLightning:
      return ReadLightning();
    case Mixers::kShortConvolution:
      return ReadShortConvolution();
    case Mixers::kRecurrent:
      return ReadRecurrentUnit();
    case Mixers::kJamba:
    case Mixers::kMamba1:
      return ReadMamba1();
    case Mixers::kMamba2:
      return ReadMamba2();
    case Mixers::kNemotronH:
    case Mixers::kBamba:
    case Mixers::kFalconH1:
      if (mixers.find_first_of("MB") != std::string::npos) ReadMamba2();
      return;
  }
}

void HfImporter::AddKind(char mixer, bool routed, char symbol) {
  using Kind = v1::LayerKind;
  v1::LayerKind* kind = out_.add_layer_kinds();
  kind->set_symbol(std::string(1, symbol));
  const bool halves = mixer == '-' || mixer == 'E';
  const bool only_mixer = OnlyMamba() || (family_.mixers == Mixers::kNemotronH && !halves);
  kind->set_mixer(halves                        ? Kind::NO_MIXER
                  : mixer == '*'                ? Kind::ATTENTION
                  : mixer == 'M'                ? Kind::MAMBA
                  : mixer == 'B'                ? Kind::ATTENTION_AND_MAMBA
                  : mixer == 'C'                ? Kind::SHORT_CONVOLUTION
                  : mixer == 'R'                ? Kind::RECURRENT_UNIT
                  : out_.has_linear_attention() ? Kind::LINEAR_ATTENTION
                                                : Kind::DELTA_NET);
  const bool experts = mixer == 'E' || (mixer != '-' && routed);
  kind->set_mlp(only_mixer ? Kind::NO_MLP : experts ? Kind::ROUTED : Kind::DENSE);
}

void HfImporter::Mixers() {
  if (family_.mixers == Mixers::kNone) return;
  // Of no weight for time and memory, or said by other keys.
  Find({"mtp_hybrid_override_pattern", "mtp_layers_block_type", "rescale_prenorm_residual",
        "mlp_multipliers", "ssm_multipliers", "mlp_expansion_factor", "num_expert_group",
        "moe_router_activation_func", "moe_renormalize", "use_grouped_topk", "topk_group"});
  const std::string mixers = ReadMixers();
  if (mixers.empty()) return;
  if (std::ssize(mixers) != out_.layers()) {
    Problem("num_hidden_layers",
            absl::StrCat("is ", out_.layers(), ", but the list of layers has ", mixers.size()));
    return;
  }
  ReadStates(mixers);
  // Granite: without experts the shared MLP is the only one.
  const auto shared = Int({"shared_intermediate_size"}, 0, kMaxWide);
  if (!out_.has_moe() && shared && *shared > 0) out_.set_ffn(*shared);
  std::vector<bool> routed(mixers.size(), false);
  if (out_.has_moe()) routed = RoutedLayers();
  if (out_.has_moe() && family_.mixers == Mixers::kJamba) {
    const int period = Int({"expert_layer_period"}, 1, kMaxLayers).value_or(2);
    const int offset = Int({"expert_layer_offset"}, 0, kMaxLayers).value_or(1);
    for (int i = 0; i < out_.layers(); ++i) routed[Index(i)] = i % period == offset;
  }
  // Kinds in the order in which they appear, called A, B, ...
  std::map<std::pair<char, bool>, char> symbols;
  std::string pattern;
  for (std::size_t i = 0; i < mixers.size(); ++i) {
    const char next = static_cast<char>('A' + symbols.size());
    const auto [it, added] = symbols.emplace(std::pair(mixers[i], routed[i]), next);
    if (added) AddKind(mixers[i], routed[i], next);
    pattern.push_back(it->second);
  }
  out_.set_layer_pattern(pattern);
}

// DeepSeek-V3.2, GLM-5.
void HfImporter::SparseAttention() {
  if (!family_.indexer) return;
  v1::Indexer* indexer = out_.mutable_indexer();
  indexer->set_heads(Needed({"index_n_heads"}, 1, kMaxWidth, 0, "number of heads of the indexer"));
  indexer->set_head_dim(Needed({"index_head_dim"}, 1, kMaxWidth, 0, "size of a head of it"));
  indexer->set_top_k(Needed({"index_topk"}, 1, kMaxWide, 0, "number of keys that it chooses"));
  Find({"indexer_types", "index_topk_freq", "index_skip_topk_offset", "indexer_rope_interleave"});
}

}  // namespace meshstep
