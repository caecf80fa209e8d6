#include "strategies/model/load_layer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "meshstep/v1/model.pb.h"
#include "strategies/model/load_fields.h"

namespace meshstep {
namespace {

class LayerLoader : private FieldLoader {
 public:
  LayerLoader(const v1::Model& message, const LayerHalves& halves, const std::string& field,
              Diagnostics* diagnostics, Layer* layer)
      : FieldLoader(field, diagnostics), in_(message), halves_(halves), out_(*layer) {}

  bool Load();

 private:
  bool Attends() const {
    return halves_.mixer == Mixer::kAttention || halves_.mixer == Mixer::kAttentionAndMamba;
  }
  void Sizes();
  void Heads();
  void Options();
  void Norms();
  void Window();
  void RoutedExperts();
  void LatentAttention();
  void SparseAttention();
  void CompressedKeys();
  void StateSpace();
  void Delta();
  void Linear();
  void Convolution();
  void Recurrent();

  const v1::Model& in_;
  const LayerHalves halves_;
  Layer& out_;
};

void LayerLoader::Sizes() {
  out_.mixer = halves_.mixer;
  if (Attends()) {
    out_.heads =
        Needed("heads", in_.has_heads(), in_.heads(), 0, kMaxWidth, "number of query heads");
  }
  if (halves_.feed != Feed::kNone && (in_.has_ffn() || halves_.needs_ffn)) {
    out_.ffn = Needed("ffn", in_.has_ffn(), in_.ffn(), 0, kMaxWide, "inner width of the MLP");
  }
}

void LayerLoader::Heads() {
  if (!Attends()) return;
  out_.kv_heads = in_.has_kv_heads() ? Range("kv_heads", in_.kv_heads(), 0, kMaxWidth) : out_.heads;
  const bool divides = out_.kv_heads > 0 ? out_.heads % out_.kv_heads == 0 : out_.heads == 0;
  if (ok() && !divides) {
    Problem("kv_heads", absl::StrCat("is ", out_.kv_heads, ", expected a divisor of the ",
                                     out_.heads, " query heads"));
  }
  if (in_.has_mla()) return;
  if (in_.has_head_dim()) {
    out_.head_dim = Range("head_dim", in_.head_dim(), 1, kMaxWidth);
  } else if (ok() && out_.heads > 0 && in_.hidden() > 0 && in_.hidden() <= kMaxWidth) {
    if (in_.hidden() % out_.heads != 0) {
      Problem("head_dim", absl::StrCat("is not set, and hidden ", in_.hidden(),
                                       " is not a multiple of the ", out_.heads, " heads"));
    }
    out_.head_dim = in_.hidden() / out_.heads;
  }
  if (!in_.has_v_head_dim()) return;
  const int value = Range("v_head_dim", in_.v_head_dim(), 1, kMaxWidth);
  if (value != out_.head_dim) out_.v_head_dim = value;
}

void LayerLoader::Options() {
  out_.gated_mlp = in_.gated_mlp();
  out_.norm_bias = in_.norm_bias();
  out_.qkv_bias = in_.qkv_bias();
  out_.attention_output_bias = in_.attention_output_bias();
  out_.mlp_bias = in_.mlp_bias();
  out_.parallel_block = in_.parallel_block();
  out_.rotary = in_.has_rotary() ? in_.rotary() : in_.position_embeddings() == 0;
  out_.qk_norm = in_.qk_norm();
  out_.qk_norm_all_heads = in_.qk_norm_all_heads();
  if (out_.qk_norm_all_heads && !out_.qk_norm) {
    Problem("qk_norm_all_heads", "is true, which needs qk_norm to be true");
  }
  out_.attention_sinks = in_.attention_sinks();
  out_.attention_gate = in_.attention_gate();
  out_.attention_head_gate = in_.attention_head_gate();
  if (out_.attention_head_gate && (out_.attention_gate || in_.has_mla())) {
    Problem("attention_head_gate",
            absl::StrCat("is set beside ", in_.has_mla() ? "mla" : "attention_gate",
                         ", expected one of them"));
  }
  out_.keys_as_values = in_.keys_as_values();
  if (out_.keys_as_values && (in_.has_mla() || out_.v_head_dim > 0)) {
    Problem("keys_as_values",
            absl::StrCat("is set beside ", in_.has_mla() ? "mla" : "another v_head_dim",
                         ", expected one of them"));
  }
  out_.bidirectional = in_.bidirectional();
}

// A parallel block has one norm for both halves or one each; a sequential one has a norm before
// each half and, with four, one after each too.
void LayerLoader::Norms() {
  const int usual = out_.parallel_block ? 1 : 2;
  out_.norms_per_layer = in_.has_norms_per_layer() ? in_.norms_per_layer() : usual;
  const int n = out_.norms_per_layer;
  if (out_.parallel_block && n != 0 && n != 1 && n != 2) {
    Problem("norms_per_layer", absl::StrCat("is ", n, ", expected 0, 1 or 2 in a parallel block"));
  } else if (!out_.parallel_block && n != 0 && n != 2 && n != 4) {
    Problem("norms_per_layer", absl::StrCat("is ", n, ", expected 0, 2 or 4"));
  }
}

void LayerLoader::Window() {
  out_.sliding_window = Range("sliding_window", in_.sliding_window(), 0, kMaxWide);
  out_.attention_chunk = Range("attention_chunk", in_.attention_chunk(), 0, kMaxWide);
  if (out_.attention_chunk > 0 && out_.sliding_window > 0) {
    Problem("attention_chunk", absl::StrCat("is ", out_.attention_chunk, " beside sliding_window ",
                                            out_.sliding_window, ", expected one of them"));
  }
  if (out_.attention_chunk > 0 && out_.bidirectional) {
    Problem("attention_chunk", "is set beside bidirectional, expected causal attention");
  }
}

void LayerLoader::RoutedExperts() {
  if (halves_.feed != Feed::kRouted) return;
  if (!in_.has_moe()) {
    Problem("mlp", "is ROUTED, which needs moe to be set");
    return;
  }
  const v1::Moe& in = in_.moe();
  Moe moe;
  moe.experts = Range("moe.experts", in.experts(), 1, kMaxExperts);
  moe.experts_per_token =
      Range("moe.experts_per_token", in.experts_per_token(), 1, std::max(1, moe.experts));
  moe.expert_ffn = Range("moe.expert_ffn", in.expert_ffn(), 1, kMaxWide);
  moe.shared_experts = Range("moe.shared_experts", in.shared_experts(), 0, kMaxExperts);
  moe.shared_expert_ffn = Range("moe.shared_expert_ffn", in.shared_expert_ffn(), 0, kMaxWide);
  if (moe.shared_expert_ffn == 0) moe.shared_expert_ffn = moe.expert_ffn;
  moe.groups = Range("moe.groups", in.groups(), 0, kMaxExperts);
  moe.groups_per_token = Range("moe.groups_per_token", in.groups_per_token(), 0, moe.groups);
  if (moe.groups > 0 && moe.experts % moe.groups != 0) {
    Problem("moe.groups", absl::StrCat("is ", moe.groups, ", expected a divisor of the ",
                                       moe.experts, " experts"));
  }
  moe.router_bias = in.router_bias();
  moe.shared_expert_gate = in.shared_expert_gate();
  moe.latent = Range("moe.latent", in.latent(), 0, kMaxWidth);
  if (out_.parallel_block) {
    Problem("parallel_block", "is true, but a block with routed experts is sequential");
  }
  out_.moe = moe;
}

void LayerLoader::LatentAttention() {
  if (!in_.has_mla() || !Attends()) return;
  const v1::Mla& in = in_.mla();
  Mla mla;
  mla.q_lora_rank = Range("mla.q_lora_rank", in.q_lora_rank(), 0, kMaxWidth);
  mla.kv_lora_rank = Range("mla.kv_lora_rank", in.kv_lora_rank(), 1, kMaxWidth);
  mla.qk_nope_head_dim = Range("mla.qk_nope_head_dim", in.qk_nope_head_dim(), 1, kMaxWidth);
  mla.qk_rope_head_dim = Range("mla.qk_rope_head_dim", in.qk_rope_head_dim(), 0, kMaxWidth);
  mla.v_head_dim = Range("mla.v_head_dim", in.v_head_dim(), 1, kMaxWidth);
  if (ok() && out_.kv_heads != out_.heads) {
    Problem("kv_heads", absl::StrCat("is ", out_.kv_heads, ", but latent attention has as many as ",
                                     "query heads, ", out_.heads));
  }
  out_.head_dim = mla.qk_nope_head_dim + mla.qk_rope_head_dim;
  out_.mla = mla;
}

void LayerLoader::SparseAttention() {
  if (!in_.has_indexer() || !Attends()) return;
  const v1::Indexer& in = in_.indexer();
  Indexer indexer;
  indexer.heads = Range("indexer.heads", in.heads(), 1, kMaxWidth);
  indexer.head_dim = Range("indexer.head_dim", in.head_dim(), 1, kMaxWidth);
  indexer.top_k = Range("indexer.top_k", in.top_k(), 1, kMaxWide);
  if (!in_.has_mla() && in_.compressed().rate() == 0) {
    Problem("indexer", "is set, which needs mla or compressed.rate to be set");
  }
  if (!out_.compressed && (out_.sliding_window > 0 || out_.attention_chunk > 0)) {
    Problem("indexer", "is set beside a window or a chunk, expected one of them");
  }
  const int rate = std::max(1, out_.compressed ? out_.compressed->rate : 1);
  if (indexer.head_dim % rate != 0) {
    Problem(
        "compressed.rate",
        absl::StrCat("is ", rate, ", expected a divisor of indexer.head_dim, ", indexer.head_dim));
  }
  out_.indexer = indexer;
}

// What it says of heads, norms and biases is the kind's own.
void LayerLoader::CompressedKeys() {
  if (!in_.has_compressed() || !Attends()) return;
  const v1::CompressedAttention& in = in_.compressed();
  CompressedAttention c;
  c.q_lora_rank = Range("compressed.q_lora_rank", in.q_lora_rank(), 1, kMaxWidth);
  c.output_groups = Range("compressed.output_groups", in.output_groups(), 1, kMaxWidth);
  c.output_rank = Range("compressed.output_rank", in.output_rank(), 1, kMaxWidth);
  c.rate = Range("compressed.rate", in.rate(), 0, kMaxWidth);
  c.overlap = in.overlap();
  const auto divides = [&](const char* field, int part, const char* what, int whole) {
    if (!ok() || part <= 0 || whole % part == 0) return;
    Problem(field, absl::StrCat("is ", part, ", expected a divisor of ", what, ", ", whole));
  };
  divides("compressed.output_groups", c.output_groups, "the query heads", out_.heads);
  divides("compressed.rate", c.rate, "head_dim", out_.head_dim);
  if (out_.heads == 0) Problem("heads", "is 0 beside compressed, expected 1 or more");
  if (out_.kv_heads != 1) {
    Problem("kv_heads", absl::StrCat("is ", out_.kv_heads, " beside compressed, expected 1"));
  }
  if (out_.sliding_window == 0) {
    Problem("sliding_window", "is not set beside compressed, expected the positions of its window");
  }
  const std::pair<const char*, bool> others[] = {
      {"mla", in_.has_mla()},
      {"v_head_dim", out_.v_head_dim > 0},
      {"qkv_bias", out_.qkv_bias},
      {"attention_output_bias", out_.attention_output_bias},
      {"qk_norm", out_.qk_norm},
      {"attention_gate", out_.attention_gate},
      {"attention_head_gate", out_.attention_head_gate},
      {"keys_as_values", out_.keys_as_values},
      {"bidirectional", out_.bidirectional}};
  for (const auto& [field, set] : others) {
    if (set) Problem(field, "is set beside compressed, which has none");
  }
  out_.compressed = c;
}

void LayerLoader::StateSpace() {
  if (halves_.mixer != Mixer::kMamba && halves_.mixer != Mixer::kAttentionAndMamba) return;
  if (!in_.has_mamba()) {
    Problem("mamba", "is not set, expected what state-space layers hold");
    return;
  }
  const v1::Mamba& in = in_.mamba();
  Mamba m;
  m.heads = Range("mamba.heads", in.heads(), 1, kMaxWide);
  m.dt_rank = Range("mamba.dt_rank", in.dt_rank(), 0, kMaxWidth);
  m.head_dim = Range("mamba.head_dim", m.dt_rank > 0 ? std::max(1, in.head_dim()) : in.head_dim(),
                     1, m.dt_rank > 0 ? 1 : kMaxWidth);
  m.groups = Range("mamba.groups", std::max(1, in.groups()), 1, kMaxWidth);
  m.state = Range("mamba.state", in.state(), 1, kMaxWidth);
  m.conv = Range("mamba.conv", in.conv() == 0 ? m.conv : in.conv(), 1, 1024);
  m.chunk = Range("mamba.chunk", in.chunk() == 0 ? m.chunk : in.chunk(), 1, kMaxWidth);
  if (ok() && m.heads % m.groups != 0) {
    Problem("mamba.groups",
            absl::StrCat("is ", m.groups, ", expected a divisor of the ", m.heads, " heads"));
  }
  m.conv_bias = !in.has_conv_bias() || in.conv_bias();
  m.projection_bias = in.projection_bias();
  m.norm = !in.has_norm() || in.norm();
  out_.mamba = m;
}

void LayerLoader::Delta() {
  if (halves_.mixer != Mixer::kDeltaNet) return;
  if (!in_.has_delta_net()) {
    Problem("delta_net", "is not set, expected what gated delta nets hold");
    return;
  }
  const v1::DeltaNet& in = in_.delta_net();
  DeltaNet d;
  d.key_heads = Range("delta_net.key_heads", in.key_heads(), 1, kMaxWidth);
  d.value_heads = in.value_heads() == 0
                      ? d.key_heads
                      : Range("delta_net.value_heads", in.value_heads(), 1, kMaxWidth);
  d.key_dim = Range("delta_net.key_dim", in.key_dim(), 1, kMaxWidth);
  d.value_dim =
      in.value_dim() == 0 ? d.key_dim : Range("delta_net.value_dim", in.value_dim(), 1, kMaxWidth);
  d.conv = Range("delta_net.conv", in.conv() == 0 ? d.conv : in.conv(), 1, 1024);
  d.chunk = Range("delta_net.chunk", in.chunk() == 0 ? d.chunk : in.chunk(), 1, kMaxWidth);
  d.decay_rank = Range("delta_net.decay_rank", in.decay_rank(), 0, kMaxWidth);
  d.gate_rank = Range("delta_net.gate_rank", in.gate_rank(), 0, kMaxWidth);
  if (ok() && d.value_heads % d.key_heads != 0) {
    Problem("delta_net.value_heads", absl::StrCat("is ", d.value_heads, ", expected a multiple of ",
                                                  "the ", d.key_heads, " key heads"));
  }
  out_.delta_net = d;
}

void LayerLoader::Linear() {
  if (halves_.mixer != Mixer::kLinearAttention) return;
  if (!in_.has_linear_attention()) {
    Problem("linear_attention", "is not set, expected what layers of linear attention hold");
    return;
  }
  const v1::LinearAttention& in = in_.linear_attention();
  LinearAttention l;
  l.heads = Range("linear_attention.heads", in.heads(), 1, kMaxWidth);
  l.head_dim = Range("linear_attention.head_dim", in.head_dim(), 1, kMaxWidth);
  l.chunk = Range("linear_attention.chunk", in.chunk() == 0 ? l.chunk : in.chunk(), 1, kMaxWidth);
  l.gate = !in.has_gate() || in.gate();
  out_.linear_attention = l;
}

void LayerLoader::Convolution() {
  if (halves_.mixer != Mixer::kShortConvolution) return;
  const v1::ShortConvolution& in = in_.short_convolution();
  ShortConvolution c;
  c.conv = Range("short_convolution.conv", in.conv() == 0 ? c.conv : in.conv(), 1, 1024);
  c.bias = in.bias();
  out_.short_convolution = c;
}

void LayerLoader::Recurrent() {
  if (halves_.mixer != Mixer::kRecurrentUnit) return;
  if (!in_.has_recurrent_unit()) {
    Problem("recurrent_unit", "is not set, expected what recurrent blocks hold");
    return;
  }
  const v1::RecurrentUnit& in = in_.recurrent_unit();
  RecurrentUnit r;
  r.width = Range("recurrent_unit.width", in.width(), 1, kMaxWidth);
  r.heads = Range("recurrent_unit.heads", in.heads(), 1, kMaxWidth);
  r.conv = Range("recurrent_unit.conv", in.conv() == 0 ? r.conv : in.conv(), 1, 1024);
  if (ok() && r.width % r.heads != 0) {
    Problem("recurrent_unit.width",
            absl::StrCat("is ", r.width, ", expected a multiple of the ", r.heads, " heads"));
  }
  out_.recurrent_unit = r;
}

bool LayerLoader::Load() {
  Sizes();
  Heads();
  Options();
  Norms();
  Window();
  RoutedExperts();
  LatentAttention();
  CompressedKeys();
  SparseAttention();
  StateSpace();
  Delta();
  Linear();
  Convolution();
  Recurrent();
  return ok();
}

}  // namespace

bool LoadLayer(const v1::Model& message, const LayerHalves& halves, const std::string& field,
               Diagnostics* diagnostics, Layer* layer) {
  return LayerLoader(message, halves, field, diagnostics, layer).Load();
}

}  // namespace meshstep
