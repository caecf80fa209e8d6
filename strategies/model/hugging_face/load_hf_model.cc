#include "strategies/model/hugging_face/load_hf_model.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "meshstep/v1/model.pb.h"
#include "sim/base/nearest.h"
#include "strategies/model/hugging_face/hf_refused.h"

namespace meshstep {
namespace {

using Json = HfKeys::Json;
using Bias = HfFamily::Bias;
using QkNorm = HfFamily::QkNorm;

constexpr int kMaxRefused = 20;
constexpr const char* kTextConfigs[] = {"thinker_config", "text_config", "llm_config",
                                        "language_config"};

// A key of the file as an error names it: names of the outside come shortened and without control
// characters.
std::string Named(const std::string& key) {
  const auto plain = [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '-';
  };
  return key.size() <= 64 && std::ranges::all_of(key, plain) ? key : HfKeys::Shown(key);
}

std::string Nearest(const std::string& type) {
  std::vector<std::string> known;
  for (const HfFamily& family : HfFamilies()) known.emplace_back(family.type);
  std::vector<std::string> nearest = NearestNames(type.substr(0, 64), known, 3);
  for (std::string& name : nearest) name = absl::StrCat("\"", name, "\"");
  return absl::StrJoin(nearest, ", ");
}

}  // namespace

// The language model of a multimodal file, wherever it stands.
void HfImporter::TakeTextConfig() {
  std::string path;
  for (const char* key : kTextConfigs) {
    const auto it = text_.find(key);
    if (it == text_.end() || !it->is_object()) continue;
    Json inner = *it;
    for (const char* above : {"model_type", "tie_word_embeddings"}) {
      if (!inner.contains(above) && text_.contains(above)) inner[above] = text_[above];
    }
    absl::StrAppend(&path, path.empty() ? "" : ".", key);
    text_ = std::move(inner);
  }
  nested_ = !path.empty();
  if (nested_) {
    Assume(absl::StrCat("the language model is ", path, "; encoders of images and sound are not"));
  }
}

bool HfImporter::ReadType(std::string* type) {
  std::string key;
  const Json* value = Find({"model_type"}, &key);
  if (value == nullptr || !value->is_string()) {
    const std::string is = value == nullptr ? "is absent" : "is " + Shown(*value);
    Problem("model_type", is + ", expected a string such as \"llama\"");
    return false;
  }
  *type = value->get<std::string>();
  return true;
}

bool HfImporter::FindFamily(const std::string& type) {
  type_ = HfTypeOf(type);
  if (FindHfFamily(type_) == nullptr && !as_.empty()) {
    type_ = as_;
    if (FindHfFamily(type_) != nullptr) {
      Assume(absl::StrCat("model_type ", Shown(type), " is read as ", as_, ", as asked for"));
    }
  }
  const HfFamily* family = FindHfFamily(type_);
  if (family == nullptr) {
    Problem(as_.empty() ? "model_type" : "--as",
            absl::StrCat("is ", Shown(type_), ", which is not known; the nearest of ",
                         HfFamilies().size(), " are ", Nearest(type_),
                         "; --as=TYPE reads a model_type as one of them"));
    return false;
  }
  family_ = *family;
  return true;
}

bool HfImporter::ChooseFamily() {
  if (!file_.is_object()) {
    Problem("config", absl::StrCat("is ", file_.type_name(), ", expected an object"));
    return false;
  }
  TakeTextConfig();
  std::string type;
  if (!ReadType(&type)) return false;
  const auto outer = file_.find("model_type");
  for (const std::string& each :
       {type, outer != file_.end() && outer->is_string() ? outer->get<std::string>() : type}) {
    const std::string_view why = WhyHfTypeIsRefused(HfTypeOf(each));
    if (why.empty()) continue;
    Problem("model_type", absl::StrCat("is ", Shown(each), ", ", std::string(why),
                                       "; expected a decoder-only transformer"));
    return false;
  }
  if (!FindFamily(type)) return false;
  if (Bool({"is_encoder_decoder"}, false)) {
    Problem("is_encoder_decoder", "is true, expected a decoder-only transformer");
  }
  return true;
}

void HfImporter::Name() {
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

void HfImporter::Dimensions() {
  out_.set_layers(Needed({"num_hidden_layers", "n_layer", "num_layers", "n_layers"}, 1, kMaxLayers,
                         0, "number of layers"));
  out_.set_hidden(Needed({"hidden_size", "n_embd", "n_embed", "d_model", "dim"}, 1, kMaxWidth, 0,
                         "width of the residual stream"));
  // ChatGLM: the table has padded_vocab_size rows.
  const auto padded = Int({"padded_vocab_size"}, 1, kMaxWide);
  const auto vocab = Int({"vocab_size"}, 1, kMaxWide);
  out_.set_vocab(padded  ? *padded
                 : vocab ? *vocab
                         : Needed({"vocab_size"}, 1, kMaxWide, family_.vocab,
                                  "number of words of the vocabulary"));
  out_.set_gated_mlp(family_.gated);
  CheckActivation();
  if (!OnlyMamba()) MlpWidth();
}

// LFM2 (modeling_lfm2.py, Lfm2MLP): two thirds of block_ff_dim, up to a multiple.
int HfImporter::ShortConvolutionFfn(std::optional<int> ffn) {
  const auto block = Int({"block_ff_dim"}, 1, kMaxWide);
  const int multiple = Int({"block_multiple_of"}, 1, kMaxWidth).value_or(256);
  const bool adjust = Bool({"block_auto_adjust_ff_dim"}, type_ == "lfm2");
  const Json* factor = Find({"block_ffn_dim_multiplier"});
  if (factor != nullptr && *factor != 1) {
    Problem("block_ffn_dim_multiplier", absl::StrCat("is ", Shown(*factor), ", expected 1"));
  }
  if (!block && !ffn)
    Problem("intermediate_size", "is absent, expected the inner width of the MLP");
  const int width = block ? *block : ffn.value_or(1);
  if (!adjust) return width;
  return (2 * (width / 3) + 2 * (width % 3) / 3 + multiple - 1) / multiple * multiple;
}

void HfImporter::MlpWidth() {
  const auto dense = Int({"intermediate_size_mlp", "dense_intermediate_size"}, 1, kMaxWide);
  const auto ffn = Int(
      {"intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "ffn_config.ffn_hidden_size"},
      1, kMaxWide);
  if (family_.mixers == HfFamily::Mixers::kShortConvolution) {
    out_.set_ffn(ShortConvolutionFfn(ffn));
    return;
  }
  const int ratio = Int({"expansion_ratio"}, 1, 64).value_or(family_.ffn_per_hidden);
  if (dense) {
    out_.set_ffn(*dense);
  } else if (family_.experts_in_ffn && family_.experts == HfFamily::Experts::kNeeded) {
    return;
  } else if (ffn) {
    out_.set_ffn(family_.width_of_both_halves ? *ffn / 2 : *ffn);
  } else if (ratio > 0) {
    out_.set_ffn(ratio * out_.hidden());
    Assume(absl::StrCat("the inner width of the MLP is absent: ", ratio,
                        " times the width of the residual stream"));
  }
}

// Files whose layers are all routed may leave it out.
void HfImporter::CheckMlpWidth() {
  if (out_.ffn() > 0 || OnlyMamba()) return;
  const v1::Moe& moe = out_.moe();
  bool dense = !out_.has_moe() || moe.dense_layers() > 0 || moe.layer_period() > 1 ||
               (moe.shared_experts() > 0 && moe.shared_expert_ffn() == 0);
  for (const v1::LayerKind& kind : out_.layer_kinds()) {
    dense = dense || kind.mlp() == v1::LayerKind::DENSE;
  }
  if (dense) Problem("intermediate_size", "is absent, expected the inner width of the MLP");
}

// Some activations come with a gate or without one, whatever the family.
void HfImporter::CheckActivation() {
  std::string key;
  const Json* value = Find(
      {"hidden_act", "hidden_activation", "activation_function", "activation", "mlp_hidden_act"},
      &key);
  if (value == nullptr || !value->is_string()) return;
  const std::string name = value->get<std::string>();
  const bool without = name == "relu2" || name == "squared_relu" || name == "xielu";
  const bool with = name.ends_with("glu");
  if ((without && family_.gated) || (with && !family_.gated)) {
    Problem(key, absl::StrCat("is ", Shown(*value), ", which has ", with ? "a" : "no",
                              " gate, but the MLP of ", type_, " has ", with ? "none" : "one"));
  }
}

void HfImporter::Heads() {
  if (OnlyMamba()) return;
  out_.set_heads(Needed({"num_attention_heads", "n_head", "n_heads", "num_heads"}, 1, kMaxWidth,
                        family_.heads, "number of query heads"));
  if (Has({"kv_lora_rank"}) || (family_.latent && !text_.contains("kv_lora_rank"))) {
    LatentAttention();
    return;
  }
  Find({"q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim"});
  const auto value = Int({"v_head_dim"}, 1, kMaxWidth);
  if (value && family_.shapes == HfFamily::Shapes::kMimo) out_.set_v_head_dim(*value);
  out_.set_kv_heads(KvHeads());
  HeadSize();
  if (out_.heads() % out_.kv_heads() != 0) {
    Problem("num_key_value_heads",
            absl::StrCat("is ", out_.kv_heads(), ", expected a divisor of the ", out_.heads(),
                         " query heads"));
  }
}

int HfImporter::KvHeads() {
  const auto kv = Int({"num_key_value_heads", "n_head_kv", "num_kv_heads", "multi_query_group_num",
                       "num_query_groups", "attn_config.kv_n_heads", "num_attention_groups"},
                      1, kMaxWidth);
  const std::string kind = Text({"attn_config.attn_type"});
  if (kind == "multiquery_attention") return 1;
  // Falcon's first generation writes num_kv_heads: 71 beside multi_query: true, which counts.
  const bool grouped = type_ == "falcon" && Bool({"new_decoder_architecture"}, false);
  if (family_.multi_query && !grouped) return Bool({"multi_query"}, true) ? 1 : out_.heads();
  if (!Bool({"multi_query_attention"}, true)) return out_.heads();
  if (kv) return *kv;
  const bool by_class = nested_ && family_.kv_heads > 0;
  const int heads = by_class ? family_.kv_heads : out_.heads();
  // Families without a key for them have as many as query heads.
  if (family_.gated || family_.windows.where != HfFamily::Windows::Where::kNever) {
    Assume(absl::StrCat("num_key_value_heads is absent: ", heads,
                        by_class ? ", the default of " + type_ : ", as many as query heads"));
  }
  return heads;
}

void HfImporter::HeadSize() {
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
}

// The key head_dim of such files may mean the rotary part alone; it is not read.
void HfImporter::LatentAttention() {
  v1::Mla* mla = out_.mutable_mla();
  mla->set_q_lora_rank(Int({"q_lora_rank"}, 0, kMaxWidth).value_or(0));
  if (mla->q_lora_rank() == 0) Assume("q_lora_rank is null or absent: queries are not compressed");
  mla->set_kv_lora_rank(Needed({"kv_lora_rank"}, 1, kMaxWidth, 0, "rank of keys and values"));
  mla->set_qk_nope_head_dim(
      Needed({"qk_nope_head_dim"}, 1, kMaxWidth, 0, "size of a head without its rotary part"));
  mla->set_qk_rope_head_dim(
      Needed({"qk_rope_head_dim"}, 0, kMaxWidth, 0, "size of the rotary part of a head"));
  const auto v = Int({"v_head_dim"}, 1, kMaxWidth);
  if (!v && type_ == "minicpm3" && out_.hidden() >= out_.heads()) {
    mla->set_v_head_dim(out_.hidden() / out_.heads());  // configuration_minicpm.py
  } else {
    mla->set_v_head_dim(v ? *v : Needed({"v_head_dim"}, 1, kMaxWidth, 0, "size of a value head"));
  }
  Find({"head_dim", "qk_head_dim", "num_key_value_heads", "kv_channels"});
  out_.set_kv_heads(out_.heads());
  out_.set_head_dim(mla->qk_nope_head_dim() + mla->qk_rope_head_dim());
}

void HfImporter::Positions() {
  using Kind = HfFamily::Positions;
  Kind kind = family_.positions;
  if (type_ == "falcon" && Bool({"alibi"}, false)) kind = Kind::kAlibi;
  if (type_ == "mpt" && !Bool({"attn_config.alibi"}, true)) kind = Kind::kLearned;
  if (kind == Kind::kAlibi) out_.set_rotary(false);
  if (kind != Kind::kLearned) return;
  const int positions = Needed({"n_positions", "max_position_embeddings", "max_seq_len"}, 1,
                               kMaxWide, 0, "number of learned positions");
  // OPT keeps two rows for padding (modeling_opt.py, OPTLearnedPositionalEmbedding).
  out_.set_position_embeddings(type_ == "opt" ? positions + 2 : positions);
}

// OPT's table may be narrower than the stream: a projection after it and one before the head.
void HfImporter::Embedding() {
  out_.set_tied_embeddings(Bool({"tie_word_embeddings", "tie_embedding"}, family_.tied));
  if (!Has({"tie_word_embeddings", "tie_embedding"})) {
    Assume(absl::StrCat("tie_word_embeddings is absent: ", family_.tied ? "true" : "false",
                        ", the default of ", std::string(family_.type)));
  }
  if (type_ != "opt") return;
  const int width = Int({"word_embed_proj_dim"}, 1, kMaxWidth).value_or(out_.hidden());
  if (width != out_.hidden()) out_.set_embedding_dim(width);
  Find({"layer_norm_elementwise_affine"});
  // modeling_opt.py, OPTDecoder: norms after each half leave no final one.
  if (!Bool({"do_layer_norm_before"}, true) || Bool({"_remove_final_layer_norm"}, false)) {
    out_.set_final_norm(false);
  }
}

void HfImporter::Norms() {
  out_.set_norm_bias(family_.layer_norm);
  out_.set_parallel_block(Bool({"use_parallel_residual"}, family_.parallel));
  if (type_ == "falcon") {
    const bool grouped = Bool({"new_decoder_architecture"}, false);
    out_.set_parallel_block(Bool({"parallel_attn"}, true));
    // One norm for both branches; two in the newer architecture (modeling_falcon.py).
    const int norms = Int({"num_ln_in_parallel_attn"}, 1, 2).value_or(grouped ? 2 : 1);
    out_.set_norms_per_layer(out_.parallel_block() ? norms : 2);
  } else if (out_.parallel_block() && (type_ == "gpt_neox" || type_ == "stablelm")) {
    out_.set_norms_per_layer(2);
  } else if (family_.norms != 2) {
    out_.set_norms_per_layer(family_.norms);
  }
  if (family_.norms == 0) out_.set_final_norm(false);
  const bool there = Bool({"use_qk_norm", "qk_layernorm", "qk_norm", "attn_config.qk_ln"},
                          family_.qk_norm != QkNorm::kNone);
  Find({"qk_norm_type"});
  out_.set_qk_norm(there);
  const bool own_scales = type_ == "cohere" || type_ == "cohere2" || type_ == "stablelm";
  if (there && (own_scales || family_.qk_norm == QkNorm::kAllHeads)) {
    out_.set_qk_norm_all_heads(true);
  }
  out_.set_attention_sinks(family_.sinks);
}

void HfImporter::Prediction() {
  const int layers = Int({"num_nextn_predict_layers", "num_mtp_modules", "num_mtp_layers",
                          "mtp_num_layers", "mtp_num_hidden_layers"},
                         0, 64)
                         .value_or(0);
  Find({"mtp_transformer_layers"});
  const int mtp = Bool({"use_mtp"}, true) ? layers : 0;
  out_.set_mtp_layers(mtp);
  if (mtp > 0) {
    Assume(absl::StrCat("num_nextn_predict_layers is ", mtp,
                        ": trained as well; set mtp_layers: 0 to leave it out"));
  }
  if (Has({"quantization_config"})) {
    Assume("quantization_config is not read; number formats are the plan's");
  }
}

void HfImporter::Biases() {
  const bool absent = Has({"no_bias"}) ? !Bool({"no_bias"}, false) : family_.biases.absent;
  const auto of = [&](Bias bias, Keys keys) {
    const bool key = Bool(keys, absent);
    return bias == Bias::kKey ? key : bias == Bias::kAlways;
  };
  out_.set_qkv_bias(of(family_.biases.qkv, {"attention_bias", "qkv_bias", "use_qkv_bias",
                                            "add_qkv_bias", "use_bias", "bias", "enable_bias"}));
  out_.set_attention_output_bias(
      of(family_.biases.output, {"attention_out_bias", "attention_bias", "use_bias", "bias",
                                 "add_bias_linear", "enable_bias"}));
  out_.set_mlp_bias(
      of(family_.biases.mlp, {"mlp_bias", "use_bias", "bias", "add_bias_linear", "enable_bias"}));
}

// What nobody read is refused if it may decide what a layer holds.
void HfImporter::CheckUnread() {
  std::vector<std::string> encoders;
  const auto add_encoder = [&encoders](const std::string& key, const Json& value) {
    const bool tower = value.is_object() || key.find("tower") != std::string::npos;
    if (tower && UnreadHfKey(key, value) == HfUnread::kEncoder) encoders.push_back(Named(key));
  };
  int refused = 0;
  for (const auto& [key, value] : Unread()) {
    add_encoder(key, value);
    if (UnreadHfKey(key, value) != HfUnread::kStructure || ++refused > kMaxRefused) continue;
    const std::string what(WhatHfKeyDecides(key));
    Problem(Named(key),
            absl::StrCat("is ", Shown(value), what.empty() ? "" : " (" + what + ")",
                         ", which may decide what a layer holds and is not read for ", type_));
  }
  for (const auto& [key, value] : file_.items()) {
    if (nested_) add_encoder(key, value);
  }
  if (encoders.empty()) return;
  Assume(absl::StrCat("left out: the encoders of ", absl::StrJoin(encoders, ", ").substr(0, 300)));
}

void HfImporter::Import() {
  if (!ChooseFamily()) return;
  Name();
  Dimensions();
  Heads();
  Embedding();
  Positions();
  Norms();
  Prediction();
  Biases();
  const bool shapes = family_.shapes != HfFamily::Shapes::kOne;
  if (family_.mixers == HfFamily::Mixers::kNone && !shapes) Windows();
  Experts();
  Mixers();
  if (family_.shapes == HfFamily::Shapes::kCompressed) {
    CompressedLayers();
  } else if (shapes || !full_.empty()) {
    Shapes();
  }
  SparseAttention();
  CheckMlpWidth();
  CheckUnread();
  out_.add_sources("Hugging Face config.json, model_type " + type_);
}

}  // namespace meshstep
