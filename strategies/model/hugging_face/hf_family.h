// What a Hugging Face model_type says without a key, and the defaults of keys that may be absent.
//
// Source: configuration_*.py and modeling_*.py of github.com/huggingface/transformers.

#ifndef MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_HF_FAMILY_H_
#define MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_HF_FAMILY_H_

#include <span>
#include <string>
#include <string_view>

namespace meshstep {

struct HfFamily {
  std::string_view type;  // model_type
  bool tied = false;      // tie_word_embeddings if absent
  bool gated = true;
  // Biases: never, always, or as the key says (attention_bias, qkv_bias, use_bias, mlp_bias).
  enum class Bias { kNever, kAlways, kKey };
  Bias qkv_bias = Bias::kKey, output_bias = Bias::kKey, mlp_bias = Bias::kKey;
  bool bias_default = false;  // of the key if absent
  bool layer_norm = false;    // norms with a bias
  int norms = 2;
  bool qk_norm = false;
  bool parallel = false;
  bool learned_positions = false;
  // Attention windows: as sliding_window says; only if use_sliding_window; one layer in `period`
  // (layer_types or sliding_window_pattern override it) is global.
  enum class Window { kNever, kKey, kIfUsed, kPeriod };
  Window window = Window::kNever;
  int window_default = 0;  // of sliding_window if absent
  int period = 0;
  // Experts.
  bool experts_in_ffn = false;  // intermediate_size is the width of an expert
  bool router_bias = false;
  bool shared_gate = false;
  bool shared_expert = false;  // one, as wide as the others, without a key
  bool sinks = false;
  int ffn_per_hidden = 0;    // intermediate_size / hidden_size if absent; 0: needed
  bool multi_query = false;  // one head of keys and values unless multi_query is false
  // Of keys that a text_config may leave out; 0: needed.
  int heads = 0, kv_heads = 0, head_dim = 0, vocab = 0;
};

// nullptr if unknown.
const HfFamily* FindHfFamily(std::string_view type);
// Its keys are read for a model_type that is unknown.
const HfFamily& LlamaFamily();
// What a model_type is read as: that of a multimodal file is its language model's.
std::string_view HfTypeOf(std::string_view type);
// All, by name.
std::span<const HfFamily> HfFamilies();
// Why a model of this type is no decoder-only transformer; empty if nothing is known against it.
std::string_view NotADecoder(std::string_view type);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_MODEL_HUGGING_FACE_HF_FAMILY_H_
