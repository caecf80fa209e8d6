#include "strategies/model/hugging_face/load_hf_config.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "meshstep/v1/model.pb.h"
#include "sim/base/data_path.h"
#include "strategies/model/hugging_face/hf_family.h"
#include "strategies/model/hugging_face/hf_keys.h"

namespace meshstep {
namespace {

using Json = HfKeys::Json;
using Bias = HfFamily::Bias;
using Window = HfFamily::Window;
using Keys = HfKeys::Keys;

constexpr int kMaxDepth = 64;
constexpr std::size_t kMaxBytes = 16 << 20;
constexpr int kMaxWidth = 1 << 20, kMaxWide = 1 << 24, kMaxLayers = 10000, kMaxExperts = 65536;
constexpr const char* kTextConfigs[] = {"text_config", "llm_config", "language_config"};

class Importer : private HfKeys {
 public:
  Importer(const Json& file, Diagnostics* problems, std::vector<std::string>* assumptions,
           v1::Model* model)
      : HfKeys(file, problems, assumptions), file_(file), out_(*model) {}
  void Import();

 private:
  bool ChooseFamily();
  bool OnlyAttention();
  void Name();
  void Dimensions();
  void Heads();
  void LatentAttention();
  void Options();
  void Biases();
  void Windows();
  void WindowsByLayer(const Json& types);
  void Experts();
  void DenseLayers(v1::Moe* moe);

  const Json& file_;
  HfFamily family_;
  v1::Model& out_;
};

// The family, and the part of a multimodal file that is the language model.
bool Importer::ChooseFamily() {
  if (!file_.is_object()) {
    Problem("config", absl::StrCat("is ", file_.type_name(), ", expected an object"));
    return false;
  }
  for (const char* key : kTextConfigs) {
    const auto it = file_.find(key);
    if (it == file_.end() || !it->is_object() || file_.contains("hidden_size")) continue;
    text_ = *it;
    nested_ = true;
    for (const char* above : {"model_type", "tie_word_embeddings"}) {
      if (!text_.contains(above) && file_.contains(above)) text_[above] = file_[above];
    }
    Assume(absl::StrCat("the language model is ", key, "; encoders of images and sound are not"));
    break;
  }
  const auto type = text_.find("model_type");
  if (type == text_.end() || !type->is_string()) {
    const std::string is = type == text_.end() ? "is absent" : "is " + Shown(*type);
    Problem("model_type", is + ", expected a string such as \"llama\"");
    return false;
  }
  type_ = type->get<std::string>();
  type_ = HfTypeOf(type_);
  if (const std::string_view other = NotADecoder(type_); !other.empty()) {
    Problem("model_type", absl::StrCat("is ", Shown(*type), ", ", std::string(other),
                                       "; expected a decoder-only transformer"));
    return false;
  }
  if (!OnlyAttention()) return false;
  const HfFamily* family = FindHfFamily(type_);
  family_ = family != nullptr ? *family : LlamaFamily();
  if (family == nullptr) {
    std::vector<std::string> known;
    for (const HfFamily& other : HfFamilies()) known.emplace_back(other.type);
    Assume(absl::StrCat("model_type ", Shown(*type), " is unknown; its keys are read as Llama's. ",
                        "Known are ", absl::StrJoin(known, ", ")));
  }
  if (Bool({"is_encoder_decoder"}, false)) {
    Problem("is_encoder_decoder", "is true, expected a decoder-only transformer");
  }
  return true;
}

// Whether every layer is attention, whatever the model_type: state-space layers and linear
// attention have other arithmetic.
bool Importer::OnlyAttention() {
  for (const char* prefix : {"linear_num_", "linear_attn", "mamba_", "ssm_"}) {
    for (const auto& [key, value] : text_.items()) {
      if (!key.starts_with(prefix) || value.is_null()) continue;
      Problem(key, "is there, expected a transformer whose layers are all attention");
      return false;
    }
  }
  const auto types = text_.find("layer_types");
  if (types == text_.end() || !types->is_array()) return true;
  for (const Json& layer : *types) {
    if (!layer.is_string()) continue;  // told where windows are read
    const std::string name = layer.get<std::string>();
    if (name == "full_attention" || name == "sliding_attention" || name == "chunked_attention") {
      continue;
    }
    Problem("layer_types", absl::StrCat("has ", Shown(layer), ", expected \"full_attention\", ",
                                        "\"sliding_attention\" or \"chunked_attention\""));
    return false;
  }
  return true;
}

void Importer::Name() {
  std::string name = "hf-" + type_;
  if (const auto it = file_.find("_name_or_path"); it != file_.end() && it->is_string()) {
    const std::string path = it->get<std::string>();
    const std::string last = path.substr(path.find_last_of('/') + 1);
    if (!last.empty()) name = last;
  }
  if (name.size() > 100) name.resize(100);
  for (char& c : name) {
    const auto u = static_cast<unsigned char>(c);
    c = std::isalnum(u) || c == '.' ? static_cast<char>(std::tolower(u)) : '-';
  }
  out_.set_name(name);
}

void Importer::Dimensions() {
  out_.set_layers(Needed({"num_hidden_layers", "n_layer", "num_layers", "n_layers"}, 1, kMaxLayers,
                         0, "number of layers"));
  out_.set_hidden(Needed({"hidden_size", "n_embd", "n_embed", "d_model", "dim"}, 1, kMaxWidth, 0,
                         "width of the residual stream"));
  out_.set_vocab(
      Needed({"vocab_size"}, 1, kMaxWide, family_.vocab, "number of words of the vocabulary"));
  out_.set_gated_mlp(family_.gated);
  const bool all_experts =
      family_.experts_in_ffn && !Has({"intermediate_size_mlp", "dense_intermediate_size"});
  if (all_experts) return;
  const auto ffn =
      Int({"intermediate_size_mlp", "intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size"},
          1, kMaxWide);
  if (ffn) {
    out_.set_ffn(*ffn);
  } else if (family_.ffn_per_hidden > 0) {
    out_.set_ffn(family_.ffn_per_hidden * out_.hidden());
    Assume(absl::StrCat("the inner width of the MLP is absent: ", family_.ffn_per_hidden,
                        " times the width of the residual stream"));
  } else {
    Problem("intermediate_size", "is absent, expected the inner width of the MLP");
  }
}

void Importer::Heads() {
  out_.set_heads(Needed({"num_attention_heads", "n_head", "n_heads"}, 1, kMaxWidth, family_.heads,
                        "number of query heads"));
  if (Has({"kv_lora_rank"})) {
    LatentAttention();
    return;
  }
  const auto kv = Int({"num_key_value_heads", "n_head_kv", "num_kv_heads"}, 1, kMaxWidth);
  // Falcon's first generation writes num_kv_heads: 71 beside multi_query: true, which counts.
  const bool grouped = type_ == "falcon" && Bool({"new_decoder_architecture"}, false);
  if (family_.multi_query && !grouped) {
    out_.set_kv_heads(Bool({"multi_query"}, true) ? 1 : out_.heads());
  } else if (kv) {
    out_.set_kv_heads(*kv);
  } else {
    const bool by_class = nested_ && family_.kv_heads > 0;
    out_.set_kv_heads(by_class ? family_.kv_heads : out_.heads());
    if (type_ != "gpt2" && type_ != "gpt_neox" && type_ != "opt" && type_ != "bloom") {
      Assume(absl::StrCat("num_key_value_heads is absent: ", out_.kv_heads(),
                          by_class ? ", the default of " + type_ : ", as many as query heads"));
    }
  }
  if (const auto size = Int({"head_dim", "attention_head_dim", "kv_channels"}, 1, kMaxWidth)) {
    out_.set_head_dim(*size);
  } else if (family_.head_dim > 0) {
    out_.set_head_dim(family_.head_dim);
    Assume(absl::StrCat("head_dim is absent: ", family_.head_dim, ", the default of ", type_));
  } else if (out_.hidden() % out_.heads() != 0) {
    Problem("head_dim", absl::StrCat("is absent, and hidden_size ", out_.hidden(),
                                     " is not a multiple of the ", out_.heads(), " heads"));
  } else {
    out_.set_head_dim(out_.hidden() / out_.heads());
  }
  if (out_.heads() % out_.kv_heads() != 0) {
    Problem("num_key_value_heads",
            absl::StrCat("is ", out_.kv_heads(), ", expected a divisor of the ", out_.heads(),
                         " query heads"));
  }
}

// The key head_dim of such files may mean the rotary part alone; it is not read.
void Importer::LatentAttention() {
  v1::Mla* mla = out_.mutable_mla();
  mla->set_q_lora_rank(Int({"q_lora_rank"}, 0, kMaxWidth).value_or(0));
  if (mla->q_lora_rank() == 0) Assume("q_lora_rank is null or absent: queries are not compressed");
  mla->set_kv_lora_rank(Needed({"kv_lora_rank"}, 1, kMaxWidth, 0, "rank of keys and values"));
  mla->set_qk_nope_head_dim(
      Needed({"qk_nope_head_dim"}, 1, kMaxWidth, 0, "size of a head without its rotary part"));
  mla->set_qk_rope_head_dim(
      Needed({"qk_rope_head_dim"}, 0, kMaxWidth, 0, "size of the rotary part of a head"));
  mla->set_v_head_dim(Needed({"v_head_dim"}, 1, kMaxWidth, 0, "size of a value head"));
  out_.set_kv_heads(out_.heads());
  out_.set_head_dim(mla->qk_nope_head_dim() + mla->qk_rope_head_dim());
}

void Importer::Options() {
  out_.set_tied_embeddings(Bool({"tie_word_embeddings"}, family_.tied));
  if (!Has({"tie_word_embeddings"})) {
    Assume(absl::StrCat("tie_word_embeddings is absent: ", family_.tied ? "true" : "false",
                        ", the default of ", std::string(family_.type)));
  }
  out_.set_norm_bias(family_.layer_norm);
  out_.set_parallel_block(Bool({"use_parallel_residual"}, family_.parallel));
  if (type_ == "falcon") {
    out_.set_parallel_block(Bool({"parallel_attn"}, true));
    // One norm for both branches; two in the newer architecture (modeling_falcon.py).
    out_.set_norms_per_layer(
        out_.parallel_block() && !Bool({"new_decoder_architecture"}, false) ? 1 : 2);
  } else if (out_.parallel_block() && (type_ == "gpt_neox" || type_ == "stablelm")) {
    out_.set_norms_per_layer(2);
  } else if (family_.norms != 2) {
    out_.set_norms_per_layer(family_.norms);
  }
  if (type_ == "olmo") out_.set_final_norm(false);
  out_.set_qk_norm(Bool({"use_qk_norm", "qk_layernorm"}, family_.qk_norm));
  out_.set_attention_sinks(family_.sinks);
  if (family_.learned_positions) {
    const int positions = Needed({"n_positions", "max_position_embeddings"}, 1, kMaxWide, 0,
                                 "number of learned positions");
    // OPT keeps two rows for padding (modeling_opt.py, OPTLearnedPositionalEmbedding).
    out_.set_position_embeddings(type_ == "opt" ? positions + 2 : positions);
  }
  const int mtp = Int({"num_nextn_predict_layers"}, 0, 64).value_or(0);
  out_.set_mtp_layers(mtp);
  if (mtp > 0) {
    Assume(absl::StrCat("num_nextn_predict_layers is ", mtp,
                        ": trained as well; set mtp_layers: 0 to leave it out"));
  }
  if (Has({"quantization_config"})) {
    Assume("quantization_config is not read; number formats are the plan's");
  }
}

void Importer::Biases() {
  const auto of = [this](Bias bias, Keys keys) {
    if (bias != Bias::kKey) return bias == Bias::kAlways;
    return Bool(keys, family_.bias_default);
  };
  out_.set_qkv_bias(
      of(family_.qkv_bias, {"attention_bias", "qkv_bias", "use_qkv_bias", "use_bias", "bias"}));
  out_.set_attention_output_bias(of(family_.output_bias, {"attention_bias", "use_bias", "bias"}));
  // The key of Qwen2-MoE speaks of attention alone.
  out_.set_mlp_bias(type_ == "qwen2_moe" ? false
                                         : of(family_.mlp_bias, {"mlp_bias", "use_bias", "bias"}));
  // GLM 4 has no bias after attention whatever attention_bias says.
  if (type_ == "glm4_moe") out_.set_attention_output_bias(false);
}

void Importer::Windows() {
  if (Has({"attention_chunk_size"})) {
    Assume("attention_chunk_size is left out: every layer attends to the whole sequence");
  }
  const auto types = text_.find("layer_types");
  const bool unused = family_.window == Window::kIfUsed && !Bool({"use_sliding_window"}, false);
  // An explicit null means no window; an absent key the default.
  const bool is_null = text_.contains("sliding_window") && text_["sliding_window"].is_null();
  const int window = is_null || family_.window == Window::kNever
                         ? 0
                         : Int({"sliding_window"}, 0, kMaxWide).value_or(family_.window_default);
  if (unused || window == 0) return;
  out_.set_sliding_window(window);
  if (!Has({"sliding_window"})) {
    Assume(absl::StrCat("sliding_window is absent: ", window, ", the default of ", type_));
  }
  if (types != text_.end() && types->is_array() && !types->empty()) {
    WindowsByLayer(*types);
  } else if (family_.window == Window::kPeriod) {
    const int period = Int({"sliding_window_pattern"}, 1, kMaxLayers).value_or(family_.period);
    out_.set_global_layer_period(period);
    if (period == 1) out_.clear_sliding_window(), out_.clear_global_layer_period();
  } else if (family_.window == Window::kIfUsed) {
    const int first = Int({"max_window_layers"}, 0, kMaxLayers).value_or(28);
    if (first == 0) return;
    out_.clear_sliding_window();
    if (first >= out_.layers()) return;
    Assume(absl::StrCat("the window of the layers from ", first, " on is left out"));
  }
}

// "full_attention" and "sliding_attention" per layer, as a period.
void Importer::WindowsByLayer(const Json& types) {
  std::vector<std::size_t> full;
  for (std::size_t i = 0; i < types.size(); ++i) {
    if (!types[i].is_string()) {
      Problem("layer_types", absl::StrCat("has ", Shown(types[i]), ", expected strings"));
      return;
    }
    if (types[i].get<std::string>() == "full_attention") full.push_back(i);
  }
  if (full.empty()) return;
  if (full.size() == types.size()) {
    out_.clear_sliding_window();
    return;
  }
  const auto period = static_cast<int>((types.size() + full.size() / 2) / full.size());
  out_.set_global_layer_period(std::max(2, period));
  bool exact = true;
  for (std::size_t i = 0; i < full.size(); ++i) {
    const std::size_t p = static_cast<std::size_t>(period);
    exact = exact && (full[i] == i * p + p - 1 || full[i] == i * p);
  }
  if (!exact) {
    Assume(absl::StrCat("layer_types has ", full.size(), " full layers of ", types.size(),
                        ": one in ", out_.global_layer_period(), " is taken"));
  }
}

void Importer::Experts() {
  const Keys experts = {"n_routed_experts", "num_local_experts", "num_experts", "moe_num_experts"};
  const int count = Int(experts, 0, kMaxExperts).value_or(0);
  if (count == 0) {
    if (family_.experts_in_ffn) Problem(*experts.begin(), "is absent, expected the experts");
    return;
  }
  v1::Moe* moe = out_.mutable_moe();
  moe->set_experts(count);
  moe->set_experts_per_token(
      Needed({"num_experts_per_tok", "num_experts_per_token", "experts_per_token", "moe_top_k"}, 1,
             count, 0, "number of experts that a token uses"));
  const auto own = Int({"moe_intermediate_size", "expert_intermediate_size"}, 1, kMaxWide);
  moe->set_expert_ffn(own ? *own
                          : Needed({"intermediate_size"}, 1, kMaxWide, 0, "width of an expert"));
  if (const auto width = Int({"shared_expert_intermediate_size"}, 0, kMaxWide); width && *width) {
    moe->set_shared_experts(1);
    moe->set_shared_expert_ffn(*width);
  } else if (const auto shared = Int({"n_shared_experts", "num_shared_experts"}, 0, kMaxExperts);
             shared && *shared) {
    moe->set_shared_experts(*shared);
    moe->set_shared_expert_ffn(moe->expert_ffn());
  }
  if (family_.shared_expert) {
    moe->set_shared_experts(1);
    moe->set_shared_expert_ffn(moe->expert_ffn());
  }
  moe->set_shared_expert_gate(family_.shared_gate && moe->shared_experts() > 0);
  moe->set_router_bias(family_.router_bias);
  const int groups = Int({"n_group"}, 0, kMaxExperts).value_or(0);
  std::string key;
  const Json* method = Find({"topk_method"}, &key);
  if (groups > 1 && (method == nullptr || *method != "greedy")) {
    moe->set_groups(groups);
    moe->set_groups_per_token(Int({"topk_group"}, 0, groups).value_or(groups));
  }
  DenseLayers(moe);
  // Without a dense layer intermediate_size is of nothing.
  if (moe->dense_layers() == 0 && moe->layer_period() <= 1) out_.clear_ffn();
}

void Importer::DenseLayers(v1::Moe* moe) {
  moe->set_dense_layers(
      Int({"first_k_dense_replace", "num_dense_layers"}, 0, out_.layers()).value_or(0));
  const int period =
      Int({"decoder_sparse_step", "moe_layer_freq", "interleave_moe_layer_step"}, 1, kMaxLayers)
          .value_or(1);
  if (period > 1) moe->set_layer_period(period);
  const auto only = text_.find("mlp_only_layers");
  if (only == text_.end() || !only->is_array() || only->empty()) return;
  std::vector<int> dense;
  for (const Json& layer : *only) {
    if (!layer.is_number_integer()) {
      Problem("mlp_only_layers", absl::StrCat("has ", Shown(layer), ", expected layer numbers"));
      return;
    }
    dense.push_back(layer.get<int>());
  }
  std::sort(dense.begin(), dense.end());
  moe->set_dense_layers(std::min<int>(static_cast<int>(dense.size()), out_.layers()));
  if (dense.front() != 0 || dense.back() + 1 != static_cast<int>(dense.size())) {
    Assume(absl::StrCat("mlp_only_layers names ", dense.size(),
                        " dense layers: as many of the first are taken"));
  }
}

void Importer::Import() {
  if (!ChooseFamily()) return;
  Name();
  Dimensions();
  Heads();
  Options();
  Biases();
  Windows();
  Experts();
  out_.add_sources("Hugging Face config.json, model_type " + type_);
}

}  // namespace

Status ParseHfConfig(const std::string& file, const std::string& content, v1::Model* model,
                     std::vector<std::string>* assumptions) {
  Json json;
  bool deep = false;
  try {
    json = Json::parse(content, [&deep](int depth, Json::parse_event_t, Json&) {
      deep = deep || depth > kMaxDepth;
      return depth <= kMaxDepth;
    });
  } catch (const Json::exception& e) {
    std::string what = e.what();
    std::replace(what.begin(), what.end(), '\n', ' ');
    const std::size_t bracket = what.find("] ");
    if (bracket != std::string::npos) what = what.substr(bracket + 2);
    return InvalidInput(absl::StrCat(file, ": is not JSON: ", what.substr(0, 300)));
  }
  if (deep) {
    return InvalidInput(absl::StrCat(file, ": is nested deeper than ", kMaxDepth, " levels"));
  }
  Diagnostics problems([&file](const std::string&) { return file; });
  model->Clear();
  Importer(json, &problems, assumptions, model).Import();
  return problems.status();
}

void ResolveHfConfig(const std::string& field, v1::Model* model, Diagnostics* diagnostics) {
  if (model->hf_config().empty()) return;
  const std::string path = model->hf_config();
  const std::string name = field + ".hf_config";
  if (!model->preset().empty()) {
    diagnostics->Error(name, absl::StrCat("is \"", path, "\" and preset is \"", model->preset(),
                                          "\", expected one of them"));
    return;
  }
  const StatusOr<std::string> content = ReadFile(path, kMaxBytes);
  if (!content.ok()) {
    diagnostics->Error(name, std::string(content.status().message()));
    return;
  }
  v1::Model merged;
  std::vector<std::string> assumptions;
  if (const Status status = ParseHfConfig(path, *content, &merged, &assumptions); !status.ok()) {
    diagnostics->Error(name, std::string(status.message()));
    return;
  }
  for (const std::string& text : assumptions) diagnostics->Note(path + ": " + text);
  merged.MergeFrom(*model);
  merged.clear_hf_config();
  *model = merged;
}

}  // namespace meshstep
