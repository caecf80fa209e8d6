// What a Hugging Face model_type says without a key, and the defaults of keys that may be absent.
//
// Sources: configuration_*.py and modeling_*.py of github.com/huggingface/transformers; where a
// family is not there (baichuan, bailing_moe, chatglm, git, grok-1, internlm, minicpm, qwen, ...),
// the files of the same names beside its weights.

#ifndef MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_HF_FAMILY_H_
#define MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_HF_FAMILY_H_

#include <span>
#include <string>
#include <string_view>

namespace meshstep {

struct HfFamily {
  std::string_view type;  // model_type
  bool tied = false;      // tie_word_embeddings if absent
  // The MLP: gated; of which intermediate_size counts the gate and the other half together; whose
  // width is this many times the residual stream's if no key says it (0: a key is needed).
  bool gated = true;
  bool width_of_both_halves = false;
  int ffn_per_hidden = 0;
  // Biases: never, always, or as the key says (attention_bias, qkv_bias, use_bias, mlp_bias).
  enum class Bias { kNever, kAlways, kKey };
  struct Biases {
    Bias qkv = Bias::kKey, output = Bias::kKey, mlp = Bias::kKey;
    bool absent = false;  // of the key if absent
  } biases = {};
  // Norms: with a bias; per layer (0: without parameters, then the final one too).
  bool layer_norm = false;
  int norms = 2;
  // Norms of queries and keys: one scale for all heads of a kind, or each head its own.
  enum class QkNorm { kNone, kHead, kAllHeads } qk_norm = QkNorm::kNone;
  bool parallel = false;
  enum class Positions { kRotary, kLearned, kAlibi } positions = Positions::kRotary;
  // Attention windows: as sliding_window says; only if use_sliding_window; one layer in `period`
  // (layer_types or sliding_window_pattern override it) is global.
  struct Windows {
    enum class Where { kNever, kKey, kIfUsed, kPeriod } where = Where::kNever;
    int size = 0;  // of sliding_window if absent
    int period = 0;
  } windows = {};
  // One head of keys and values unless multi_query is false.
  bool multi_query = false;
  bool latent = false;  // multi-head latent attention unless kv_lora_rank is null
  bool sinks = false;
  enum class Experts { kNone, kIfKey, kNeeded } experts = Experts::kNone;
  bool experts_in_ffn = false;  // intermediate_size is the width of an expert
  bool router_bias = false;
  bool shared_gate = false;
  bool shared_expert = false;  // one, as wide as the others, without a key
  // A dense MLP beside the experts of each layer, as wide as intermediate_size or hidden_size, if
  // residual_moe or parallel_attn_mlp_res is set.
  enum class Beside { kNothing, kFfn, kHidden } beside = Beside::kNothing;
  // Layers that are not all attention, and where the file says which: a gated delta net in all but
  // every full_attention_interval-th (layer_types); hybrid_override_pattern; attn_layer_period;
  // attn_layer_indices (layer_types); attention and Mamba-2 in every one; linear_attn_config;
  // attn_type_list (layer_types); short convolutions, full_attn_idxs (layer_types); recurrent units,
  // block_types; Mamba-1 or Mamba-2 alone.
  enum class Mixers {
    kNone,
    kDeltaNet,
    kNemotronH,
    kJamba,
    kBamba,
    kFalconH1,
    kKimi,
    kLightning,
    kShortConvolution,
    kRecurrent,
    kMamba1,
    kMamba2
  } mixers = Mixers::kNone;
  // Attention that differs between layers with a window or chunks and without: in heads by
  // global_head_dim (Gemma 4), swa_head_dim (MiMo-V2), attention_other_setting (Step-3.5); in chunks
  // and positions (Llama 4) or positions (Trinity); in what compresses its keys (DeepSeek-V4).
  enum class Shapes {
    kOne,
    kAfmoe,
    kCompressed,
    kGemma4,
    kLlama4,
    kMimo,
    kStep
  } shapes = Shapes::kOne;
  bool indexer = false;  // sparse attention: index_n_heads, index_head_dim, index_topk
  // Of keys that may be left out; 0: needed. But for head_dim they are those of a text_config.
  int heads = 0, kv_heads = 0, head_dim = 0, vocab = 0;
};

// nullptr if unknown.
const HfFamily* FindHfFamily(std::string_view type);
// What a model_type is read as: that of a multimodal file is its language model's.
std::string_view HfTypeOf(std::string_view type);
// All, by name.
std::span<const HfFamily> HfFamilies();

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_HF_FAMILY_H_
