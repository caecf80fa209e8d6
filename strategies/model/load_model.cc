#include "strategies/model/load_model.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "meshstep/v1/model.pb.h"

namespace meshstep {
namespace {

// Bounds far above any model that exists; products of a few of them stay exact in a double's 2^53
// or at least finite.
constexpr int kMaxLayers = 10000;
constexpr int kMaxWidth = 1 << 20;
constexpr int kMaxWide = 1 << 27;  // F, V, rows of the position table
constexpr int kMaxExperts = 1 << 16;

class Loader {
 public:
  Loader(const v1::Model& message, const std::string& field, Diagnostics* diagnostics)
      : in_(message), field_(field), diagnostics_(*diagnostics) {}

  Model Load();

 private:
  void Problem(const std::string& name, const std::string& problem) {
    diagnostics_.Error(field_ + "." + name, problem);
    ok_ = false;
  }
  int Range(const std::string& name, int value, int low, int high) {
    if (value < low || value > high) {
      Problem(name, absl::StrCat("is ", value, ", expected ", low, " to ", high));
      return low;
    }
    return value;
  }
  int Needed(const std::string& name, bool there, int value, int low, int high,
             const std::string& what) {
    if (!there) {
      Problem(name, absl::StrCat("is not set, expected the ", what));
      return 0;
    }
    return Range(name, value, low, high);
  }

  void Dimensions();
  void Heads();
  void Options();
  void EmbeddingWidth();
  void Norms();
  void Window();
  void RoutedExperts();
  void LatentAttention();

  const v1::Model& in_;
  const std::string field_;
  Diagnostics& diagnostics_;
  Model out_;
  bool ok_ = true;
};

void Loader::Dimensions() {
  out_.name = in_.name().empty() ? "unnamed model" : in_.name();
  out_.layers = Needed("layers", in_.has_layers(), in_.layers(), 1, kMaxLayers, "number of layers");
  out_.hidden = Needed("hidden", in_.has_hidden(), in_.hidden(), 1, kMaxWidth,
                       "width of the residual stream");
  out_.heads = Needed("heads", in_.has_heads(), in_.heads(), 0, kMaxWidth, "number of query heads");
  out_.vocab = Needed("vocab", in_.has_vocab(), in_.vocab(), 0, kMaxWide, "size of the vocabulary");
  const bool all_routed =
      in_.has_moe() && in_.moe().dense_layers() == 0 && in_.moe().layer_period() <= 1;
  if (in_.has_ffn() || !all_routed) {
    out_.ffn = Needed("ffn", in_.has_ffn(), in_.ffn(), 0, kMaxWide, "inner width of the MLP");
  }
}

void Loader::Heads() {
  out_.kv_heads = in_.has_kv_heads() ? Range("kv_heads", in_.kv_heads(), 0, kMaxWidth) : out_.heads;
  const bool divides = out_.kv_heads > 0 ? out_.heads % out_.kv_heads == 0 : out_.heads == 0;
  if (ok_ && !divides) {
    Problem("kv_heads", absl::StrCat("is ", out_.kv_heads, ", expected a divisor of the ",
                                     out_.heads, " query heads"));
  }
  if (in_.has_mla()) return;
  if (in_.has_head_dim()) {
    out_.head_dim = Range("head_dim", in_.head_dim(), 1, kMaxWidth);
  } else if (ok_ && out_.heads > 0) {
    if (out_.hidden % out_.heads != 0) {
      Problem("head_dim", absl::StrCat("is not set, and hidden ", out_.hidden,
                                       " is not a multiple of the ", out_.heads, " heads"));
    }
    out_.head_dim = out_.hidden / out_.heads;
  }
}

void Loader::Options() {
  out_.gated_mlp = in_.gated_mlp();
  out_.tied_embeddings = in_.tied_embeddings();
  out_.norm_bias = in_.norm_bias();
  out_.qkv_bias = in_.qkv_bias();
  out_.attention_output_bias = in_.attention_output_bias();
  out_.mlp_bias = in_.mlp_bias();
  out_.position_embeddings = Range("position_embeddings", in_.position_embeddings(), 0, kMaxWide);
  out_.parallel_block = in_.parallel_block();
  out_.rotary = in_.has_rotary() ? in_.rotary() : out_.position_embeddings == 0;
  out_.qk_norm = in_.qk_norm();
  out_.qk_norm_all_heads = in_.qk_norm_all_heads();
  if (out_.qk_norm_all_heads && !out_.qk_norm) {
    Problem("qk_norm_all_heads", "is true, which needs qk_norm to be true");
  }
  out_.attention_sinks = in_.attention_sinks();
  out_.bidirectional = in_.bidirectional();
  out_.final_norm = !in_.has_final_norm() || in_.final_norm();
  out_.mtp_layers = Range("mtp_layers", in_.mtp_layers(), 0, 64);
}

void Loader::EmbeddingWidth() {
  if (!in_.has_embedding_dim()) return;
  const int width = Range("embedding_dim", in_.embedding_dim(), 1, kMaxWidth);
  if (width == out_.hidden) return;
  out_.embedding_dim = width;
  if (out_.mtp_layers > 0) {
    Problem("embedding_dim", absl::StrCat("is ", width, ", but mtp_layers needs a table as wide ",
                                          "as the stream, ", out_.hidden));
  }
}

// A parallel block has one norm for both halves or one each; a sequential one has a norm before
// each half and, with four, one after each too.
void Loader::Norms() {
  const int usual = out_.parallel_block ? 1 : 2;
  out_.norms_per_layer = in_.has_norms_per_layer() ? in_.norms_per_layer() : usual;
  const int n = out_.norms_per_layer;
  if (out_.parallel_block && n != 0 && n != 1 && n != 2) {
    Problem("norms_per_layer", absl::StrCat("is ", n, ", expected 0, 1 or 2 in a parallel block"));
  } else if (!out_.parallel_block && n != 0 && n != 2 && n != 4) {
    Problem("norms_per_layer", absl::StrCat("is ", n, ", expected 0, 2 or 4"));
  }
}

void Loader::Window() {
  out_.sliding_window = Range("sliding_window", in_.sliding_window(), 0, kMaxWide);
  out_.global_layer_period = Range("global_layer_period", in_.global_layer_period(), 0, kMaxLayers);
  if (out_.global_layer_period > 0 && out_.sliding_window == 0) {
    Problem("global_layer_period", absl::StrCat("is ", out_.global_layer_period,
                                                ", which needs sliding_window to be set"));
  }
}

void Loader::RoutedExperts() {
  if (!in_.has_moe()) return;
  const v1::Moe& in = in_.moe();
  Moe moe;
  moe.experts = Range("moe.experts", in.experts(), 1, kMaxExperts);
  moe.experts_per_token =
      Range("moe.experts_per_token", in.experts_per_token(), 1, std::max(1, moe.experts));
  moe.expert_ffn = Range("moe.expert_ffn", in.expert_ffn(), 1, kMaxWide);
  moe.shared_experts = Range("moe.shared_experts", in.shared_experts(), 0, kMaxExperts);
  moe.shared_expert_ffn = Range("moe.shared_expert_ffn", in.shared_expert_ffn(), 0, kMaxWide);
  if (moe.shared_expert_ffn == 0) moe.shared_expert_ffn = moe.expert_ffn;
  moe.dense_layers = Range("moe.dense_layers", in.dense_layers(), 0, std::max(0, out_.layers));
  moe.layer_period = Range("moe.layer_period", std::max(1, in.layer_period()), 1, kMaxLayers);
  moe.groups = Range("moe.groups", in.groups(), 0, kMaxExperts);
  moe.groups_per_token = Range("moe.groups_per_token", in.groups_per_token(), 0, moe.groups);
  if (moe.groups > 0 && moe.experts % moe.groups != 0) {
    Problem("moe.groups", absl::StrCat("is ", moe.groups, ", expected a divisor of the ",
                                       moe.experts, " experts"));
  }
  moe.router_bias = in.router_bias();
  moe.shared_expert_gate = in.shared_expert_gate();
  if (out_.parallel_block) {
    Problem("parallel_block", "is true, but a block with routed experts is sequential");
  }
  out_.moe = moe;
}

void Loader::LatentAttention() {
  if (!in_.has_mla()) return;
  const v1::Mla& in = in_.mla();
  Mla mla;
  mla.q_lora_rank = Range("mla.q_lora_rank", in.q_lora_rank(), 0, kMaxWidth);
  mla.kv_lora_rank = Range("mla.kv_lora_rank", in.kv_lora_rank(), 1, kMaxWidth);
  mla.qk_nope_head_dim = Range("mla.qk_nope_head_dim", in.qk_nope_head_dim(), 1, kMaxWidth);
  mla.qk_rope_head_dim = Range("mla.qk_rope_head_dim", in.qk_rope_head_dim(), 0, kMaxWidth);
  mla.v_head_dim = Range("mla.v_head_dim", in.v_head_dim(), 1, kMaxWidth);
  if (ok_ && out_.kv_heads != out_.heads) {
    Problem("kv_heads", absl::StrCat("is ", out_.kv_heads, ", but latent attention has as many as ",
                                     "query heads, ", out_.heads));
  }
  out_.head_dim = mla.qk_nope_head_dim + mla.qk_rope_head_dim;
  out_.mla = mla;
}

Model Loader::Load() {
  Dimensions();
  Heads();
  Options();
  EmbeddingWidth();
  Norms();
  Window();
  RoutedExperts();
  LatentAttention();
  return out_;
}

}  // namespace

Model LoadModel(const v1::Model& message, const std::string& field, Diagnostics* diagnostics) {
  return Loader(message, field, diagnostics).Load();
}

}  // namespace meshstep
