// The op lists of transformer blocks. What each op saves for backward is that of Korthikanti et al.
// §4 (fused where every framework fuses): inputs of matmuls, norms and activation functions, q, k,
// v, softmax, dropout masks; a fused attention kernel keeps q, k, v, its output and the log-sum-exp
// of each row (Dao, arXiv 2307.08691 §3.1) instead of anything quadratic.

#include <map>

#include "sim/base/check.h"
#include "sim/base/dtype.h"
#include "strategies/model/block_builder.h"

namespace meshstep {
namespace {

constexpr double kMaskBytes = 1;
// Arithmetic per element on the vector unit.
constexpr double kAddFlops = 1, kDropoutAddFlops = 3, kRotaryFlops = 3;
constexpr double kGatedActivationFlops = 6, kActivationFlops = 8, kRoutingFlops = 6;

const Dims kTokens = {"B", "T", "D"};

class LayerBuilder {
 public:
  LayerBuilder(const Model& model, const TransformerOptions& options, const std::string& name,
               bool routed, int window)
      : m_(model), options_(options), b_(name), routed_(routed), window_(window) {}

  Block Layer(bool predicts_ahead);

 private:
  // Each returns the branch that is added to the residual stream.
  ArrayId Attention(ArrayId x);
  ArrayId LatentAttention(ArrayId x);
  ArrayId AttentionKernel(ArrayId q, ArrayId k, ArrayId v, const std::string& head_out);
  ArrayId Project(ArrayId heads, const std::string& head_out);
  ArrayId Mlp(ArrayId x, const std::string& name, const std::string& width);
  ArrayId Experts(ArrayId x);
  ArrayId RoutedMlp(ArrayId x);
  // An activation without D that is sharded as the residual stream is: it is made from each rank's
  // own positions.
  ArrayId Stream(const std::string& name, const Dims& dims, double element_bytes = 0);
  ArrayId Activate(OpRole role, const std::string& name, ArrayId gate, ArrayId in,
                   const Dims& dims);
  ArrayId AddBranch(Op::Sublayer sublayer, const std::string& name, ArrayId x, ArrayId branch);
  ArrayId ProjectStreams(ArrayId x);
  ArrayId Feed(ArrayId x) { return routed_ ? Experts(x) : Mlp(x, "mlp", "F"); }
  bool HasAttention() const { return m_.heads > 0; }
  bool HasFeed() const { return routed_ || m_.ffn > 0; }

  const Model& m_;
  const TransformerOptions options_;
  BlockBuilder b_;
  const bool routed_;
  const int window_;
};

// The kernel from projected heads to their outputs [B,T,N,head_out].
ArrayId LayerBuilder::AttentionKernel(ArrayId q, ArrayId k, ArrayId v,
                                      const std::string& head_out) {
  const ArrayId out = b_.Activation("attention_out", {"B", "T", "N", head_out});
  std::vector<ArrayId> outputs = {out}, saved = {q, k, v};
  if (options_.unfused_attention) {
    const Dims square = {"B", "N", "T", "S"};
    outputs.push_back(b_.Activation("softmax", square));
    if (options_.dropout) {
      outputs.push_back(b_.Activation("softmax_mask", square, kMaskBytes));
      outputs.push_back(b_.Activation("softmax_dropped", square));
    }
    saved.insert(saved.end(), outputs.begin() + 1, outputs.end());
  } else {
    outputs.push_back(b_.Activation("log_sum_exp", {"B", "T", "N"}, kFp32Bytes));
    saved.insert(saved.end(), outputs.begin(), outputs.end());
  }
  std::vector<ArrayId> weights;
  if (m_.attention_sinks) weights = {b_.Parameter({"attention_sinks", {"N"}})};
  Op& op = b_.Other(Op::Kind::kAttention, OpRole::kAttention, "attention", {q, k, v}, outputs);
  op.weights = weights;
  op.saved = saved;
  op.selective = options_.unfused_attention;
  op.window = window_;
  op.causal = !m_.bidirectional;
  return out;
}

ArrayId LayerBuilder::Project(ArrayId heads, const std::string& head_out) {
  const ArrayId out = b_.Activation("attention_branch", kTokens);
  std::vector<ParameterSpec> biases;
  if (m_.attention_output_bias) biases.push_back({"b_o", {"D"}});
  b_.Matmul(OpRole::kAttentionOutput, "attention_out", heads, {{"W_o", {"N", head_out, "D"}}},
            {out}, biases)
      .big_matmul = true;
  return out;
}

ArrayId LayerBuilder::Attention(ArrayId x) {
  b_.SetPart(Op::Part::kAttention);
  const Dims q_dims = {"B", "T", "N", "H"}, k_dims = {"B", "T", "K", "H"};
  // Without rotary positions and norms q and k are the projections themselves.
  const bool rotary = m_.rotary;
  const bool after = rotary || m_.qk_norm;
  ArrayId q = b_.Activation(after ? "q_projected" : "q", q_dims);
  ArrayId k = b_.Activation(after ? "k_projected" : "k", k_dims);
  const ArrayId v = b_.Activation("v", k_dims);
  std::vector<ParameterSpec> biases;
  if (m_.qkv_bias) biases = {{"b_q", {"N", "H"}}, {"b_k", {"K", "H"}}, {"b_v", {"K", "H"}}};
  b_.Matmul(OpRole::kQkv, "qkv", x,
            {{"W_q", {"D", "N", "H"}}, {"W_k", {"D", "K", "H"}}, {"W_v", {"D", "K", "H"}}},
            {q, k, v}, biases)
      .big_matmul = true;
  if (after) {
    const ArrayId q_in = q, k_in = k;
    q = b_.Activation("q", q_dims);
    k = b_.Activation("k", k_dims);
    std::vector<ArrayId> scales;
    if (m_.qk_norm_all_heads) {
      scales = {b_.Parameter({"q_scale", {"N", "H"}}), b_.Parameter({"k_scale", {"K", "H"}})};
    } else if (m_.qk_norm) {
      scales = {b_.Parameter({"q_scale", {"H"}}), b_.Parameter({"k_scale", {"H"}})};
    }
    const OpRole role = !m_.qk_norm ? OpRole::kRotary
                        : rotary    ? OpRole::kHeadNormRotary
                                    : OpRole::kHeadNorm;
    const std::string name = !m_.qk_norm ? "rotary" : rotary ? "qk_norm_rotary" : "qk_norm";
    Op& op = b_.Elementwise(role, name, {q_in, k_in}, {q, k}, kRotaryFlops + (m_.qk_norm ? 4 : 0));
    op.weights = scales;
    if (m_.qk_norm) op.saved = {q_in, k_in};
  }
  return Project(AttentionKernel(q, k, v, "H"), "H");
}

// Multi-head latent attention, arXiv 2405.04434 §2.1: queries and keys-values through low ranks,
// one rotary key for all heads.
ArrayId LayerBuilder::LatentAttention(ArrayId x) {
  b_.SetPart(Op::Part::kAttention);
  const Mla& mla = *m_.mla;
  const Dims heads = {"B", "T", "N", "H"};
  const ArrayId q_in = b_.Activation("q_projected", heads);
  const ArrayId c_kv = Stream("c_kv", {"B", "T", "R_kv"});
  const ArrayId k_rotary = Stream("k_rotary", {"B", "T", "H_r"});
  std::vector<ParameterSpec> down = {{"W_kv_down", {"D", "R_kv"}}, {"W_k_rotary", {"D", "H_r"}}};
  std::vector<ArrayId> down_out = {c_kv, k_rotary};
  if (mla.q_lora_rank > 0) {
    const ArrayId c_q = Stream("c_q", {"B", "T", "R_q"});
    down.push_back({"W_q_down", {"D", "R_q"}});
    down_out.push_back(c_q);
    b_.Matmul(OpRole::kLatentDown, "qkv_down", x, down, down_out).big_matmul = true;
    const ArrayId normed = b_.Norm("q_latent_norm", c_q, false);
    b_.Matmul(OpRole::kLatentUp, "q_up", normed, {{"W_q_up", {"R_q", "N", "H"}}}, {q_in})
        .big_matmul = true;
  } else {
    b_.Matmul(OpRole::kLatentDown, "kv_down", x, down, down_out).big_matmul = true;
    b_.Matmul(OpRole::kLatentUp, "q", x, {{"W_q", {"D", "N", "H"}}}, {q_in}).big_matmul = true;
  }
  const ArrayId k_plain = b_.Activation("k_plain", {"B", "T", "N", "H_n"});
  const ArrayId v = b_.Activation("v", {"B", "T", "N", "H_v"});
  const ArrayId normed = b_.Norm("kv_latent_norm", c_kv, false);
  b_.Matmul(OpRole::kLatentUp, "kv_up", normed,
            {{"W_k_up", {"R_kv", "N", "H_n"}}, {"W_v_up", {"R_kv", "N", "H_v"}}}, {k_plain, v})
      .big_matmul = true;
  const ArrayId q = b_.Activation("q", heads), k = b_.Activation("k", heads);
  b_.Elementwise(OpRole::kLatentRotary, "rotary", {q_in, k_plain, k_rotary}, {q, k}, kRotaryFlops);
  return Project(AttentionKernel(q, k, v, "H_v"), "H_v");
}

ArrayId LayerBuilder::Stream(const std::string& name, const Dims& dims, double element_bytes) {
  const ArrayId array = b_.Activation(name, dims, element_bytes);
  b_.SetPlace(array, Place::kResidual);
  return array;
}

// gate < 0: the MLP has none.
ArrayId LayerBuilder::Activate(OpRole role, const std::string& name, ArrayId gate, ArrayId in,
                               const Dims& dims) {
  const ArrayId out = b_.Activation(name, dims);
  const std::vector<ArrayId> inputs = gate >= 0 ? std::vector{gate, in} : std::vector{in};
  b_.Elementwise(role, name, inputs, {out}, gate >= 0 ? kGatedActivationFlops : kActivationFlops)
      .saved = inputs;
  return out;
}

ArrayId LayerBuilder::Mlp(ArrayId x, const std::string& name, const std::string& width) {
  b_.SetPart(Op::Part::kMlp);
  const Dims inner = {"B", "T", width};
  std::vector<ParameterSpec> weights, biases;
  std::vector<ArrayId> outputs;
  if (m_.gated_mlp) {
    weights.push_back({"W_gate_" + name, {"D", width}});
    if (m_.mlp_bias) biases.push_back({"b_gate_" + name, {width}});
    outputs.push_back(b_.Activation(name + "_gate", inner));
  }
  weights.push_back({"W_in_" + name, {"D", width}});
  if (m_.mlp_bias) biases.push_back({"b_in_" + name, {width}});
  outputs.push_back(b_.Activation(name + "_in", inner));
  b_.Matmul(OpRole::kMlpIn, name + "_in", x, weights, outputs, biases).big_matmul = true;
  const ArrayId act =
      Activate(m_.gated_mlp ? OpRole::kGatedActivation : OpRole::kActivation, name + "_act",
               m_.gated_mlp ? outputs[0] : -1, outputs.back(), inner);
  const ArrayId out = b_.Activation(name + "_branch", kTokens);
  biases.clear();
  if (m_.mlp_bias) biases.push_back({"b_out_" + name, {"D"}});
  b_.Matmul(OpRole::kMlpOut, name + "_out", act, {{"W_out_" + name, {width, "D"}}}, {out}, biases)
      .big_matmul = true;
  return out;
}

// Tokens at their experts, through the experts' MLPs: [B,T,A,D] to be combined.
ArrayId LayerBuilder::RoutedMlp(ArrayId x) {
  b_.SetPart(Op::Part::kMlp);
  b_.SetRouted(true);
  const Dims routed = {"B", "T", "A", "D"}, inner = {"B", "T", "A", "F_e"};
  const ArrayId sent = b_.Activation("x_routed", routed);
  b_.Other(Op::Kind::kDispatch, OpRole::kDispatch, "dispatch", {x}, {sent});
  std::vector<ParameterSpec> weights, biases;
  std::vector<ArrayId> outputs;
  if (m_.gated_mlp) {
    weights.push_back({"W_gate_experts", {"E", "D", "F_e"}});
    if (m_.mlp_bias) biases.push_back({"b_gate_experts", {"E", "F_e"}});
    outputs.push_back(b_.Activation("experts_gate", inner));
  }
  weights.push_back({"W_in_experts", {"E", "D", "F_e"}});
  if (m_.mlp_bias) biases.push_back({"b_in_experts", {"E", "F_e"}});
  outputs.push_back(b_.Activation("experts_in", inner));
  Op& in = b_.Matmul(OpRole::kExpertsIn, "experts_in", sent, weights, outputs, biases);
  in.kind = Op::Kind::kExperts;
  in.big_matmul = true;
  const ArrayId act =
      Activate(m_.gated_mlp ? OpRole::kExpertGatedActivation : OpRole::kExpertActivation,
               "experts_act", m_.gated_mlp ? outputs[0] : -1, outputs.back(), inner);
  biases.clear();
  if (m_.mlp_bias) biases.push_back({"b_out_experts", {"E", "D"}});
  const ArrayId back = b_.Activation("y_routed", routed);
  Op& out = b_.Matmul(OpRole::kExpertsOut, "experts_out", act,
                      {{"W_out_experts", {"E", "F_e", "D"}}}, {back}, biases);
  out.kind = Op::Kind::kExperts;
  out.big_matmul = true;
  b_.SetRouted(false);
  return back;
}

// Router, the experts of each token, and those that every token uses.
ArrayId LayerBuilder::Experts(ArrayId x) {
  b_.SetPart(Op::Part::kRouter);
  b_.SetSublayer(Op::Sublayer::kRouter);
  const ArrayId logits = Stream("router_logits", {"B", "T", "E"}, kFp32Bytes);
  b_.Matmul(OpRole::kRouter, "router", x, {{"W_router", {"D", "E"}}}, {logits});
  const ArrayId scores = Stream("router_scores", {"B", "T", "E"}, kFp32Bytes);
  const ArrayId gates = Stream("gates", {"B", "T", "A"}, kFp32Bytes);
  std::vector<ArrayId> bias;
  if (m_.moe->router_bias) bias.push_back(b_.Parameter({"b_router", {"E"}}));
  Op& routing =
      b_.Elementwise(OpRole::kRouting, "routing", {logits}, {scores, gates}, kRoutingFlops);
  routing.weights = bias;
  routing.saved = {scores, gates};

  b_.SetSublayer(Op::Sublayer::kFeed);
  const ArrayId back = RoutedMlp(x);
  const ArrayId combined = b_.Activation("experts_branch", kTokens);
  b_.Other(Op::Kind::kCombine, OpRole::kCombine, "combine", {back, gates}, {combined}).saved = {
      back, gates};
  if (m_.moe->shared_experts == 0) return combined;

  ArrayId shared = Mlp(x, "shared", "F_s");
  if (m_.moe->shared_expert_gate) {
    const ArrayId gate = Stream("shared_gate", {"B", "T"});
    b_.Matmul(OpRole::kSharedGate, "shared_gate", x, {{"W_shared_gate", {"D"}}}, {gate});
    const ArrayId gated = b_.Activation("shared_gated", kTokens);
    b_.Elementwise(OpRole::kSharedGating, "shared_gating", {shared, gate}, {gated}, kAddFlops)
        .saved = {shared, gate};
    shared = gated;
  }
  const ArrayId sum = b_.Activation("moe_branch", kTokens);
  b_.Elementwise(OpRole::kSharedAdd, "shared_add", {combined, shared}, {sum}, kAddFlops);
  return sum;
}

ArrayId LayerBuilder::AddBranch(Op::Sublayer sublayer, const std::string& name, ArrayId x,
                                ArrayId branch) {
  b_.SetPart(Op::Part::kResidual);
  b_.SetSublayer(sublayer);
  const ArrayId out = b_.Activation("x_after_" + name, kTokens);
  if (!options_.dropout) {
    b_.Elementwise(OpRole::kResidualAdd, name + "_add", {x, branch}, {out}, kAddFlops);
    return out;
  }
  const ArrayId mask = b_.Activation(name + "_mask", kTokens, kMaskBytes);
  b_.Elementwise(OpRole::kDropoutAdd, name + "_dropout_add", {x, branch}, {out, mask},
                 kDropoutAddFlops)
      .saved = {mask};
  return out;
}

// Multi-token prediction, arXiv 2412.19437 §2.2: the layer sees the stream and the embedding of the
// next token (by the model's own table) side by side, each normed, projected back to D.
ArrayId LayerBuilder::ProjectStreams(ArrayId x) {
  b_.SetPart(Op::Part::kEmbedding);
  const ArrayId next = b_.Activation("next_embedding", kTokens);
  const ArrayId table = b_.Parameter({"W_embedding", {"V", "D"}});
  b_.SetShared(table);
  b_.Other(Op::Kind::kEmbedding, OpRole::kEmbedding, "mtp_embedding", {}, {next}).weights = {table};
  const ArrayId x_normed = b_.Norm("mtp_stream_norm", x, m_.norm_bias);
  const ArrayId next_normed = b_.Norm("mtp_embedding_norm", next, m_.norm_bias);
  const ArrayId both = Stream("mtp_streams", {"B", "T", "C"});
  b_.Elementwise(OpRole::kConcatenate, "mtp_concatenate", {x_normed, next_normed}, {both}, 0);
  const ArrayId out = b_.Activation("mtp_x", kTokens);
  b_.Matmul(OpRole::kStreamProjection, "mtp_projection", both, {{"W_mtp", {"C", "D"}}}, {out})
      .big_matmul = true;
  return out;
}

Block LayerBuilder::Layer(bool predicts_ahead) {
  const ArrayId input = b_.Activation("x", kTokens);
  ArrayId x = predicts_ahead ? ProjectStreams(input) : input;
  const int norms = m_.norms_per_layer;
  using Sublayer = Op::Sublayer;
  const Sublayer before_feed = routed_ ? Sublayer::kRouter : Sublayer::kFeed;
  const auto norm = [&](Sublayer sublayer, const std::string& name, ArrayId a, bool there) {
    b_.SetSublayer(sublayer);
    return there ? b_.Norm(name, a, m_.norm_bias) : a;
  };
  const auto attention = [&](ArrayId a) {
    b_.SetSublayer(Sublayer::kAttention);
    return m_.mla ? LatentAttention(a) : Attention(a);
  };
  const auto feed = [&](ArrayId a) {
    b_.SetSublayer(Sublayer::kFeed);
    return Feed(a);
  };
  if (m_.parallel_block && HasAttention() && HasFeed()) {
    const ArrayId a = norm(Sublayer::kNone, "norm", x, norms >= 1);
    const ArrayId f = norms == 2 ? norm(before_feed, "mlp_norm", x, true) : a;
    const ArrayId attended = attention(a);
    const ArrayId fed = feed(f);
    x = AddBranch(Sublayer::kAttention, "attention", x, attended);
    x = AddBranch(Sublayer::kFeed, "mlp", x, fed);
  } else {
    if (HasAttention()) {
      ArrayId branch = attention(norm(Sublayer::kAttention, "attention_norm", x, norms >= 1));
      branch = norm(Sublayer::kAttention, "attention_post_norm", branch, norms == 4);
      x = AddBranch(Sublayer::kAttention, "attention", x, branch);
    }
    if (HasFeed()) {
      ArrayId branch = feed(norm(before_feed, "mlp_norm", x, norms >= 1));
      branch = norm(Sublayer::kFeed, "mlp_post_norm", branch, norms == 4);
      x = AddBranch(Sublayer::kFeed, "mlp", x, branch);
    }
  }
  b_.SetEnds(input, x);
  return b_.Take();
}

// A table of D_e columns and a projection to D; learned positions are as wide as the stream
// (OPT-350m, arXiv 2205.01068; modeling_opt.py of Hugging Face transformers).
ArrayId NarrowEmbedding(const Model& model, BlockBuilder* b) {
  const ArrayId narrow = b->Activation("x_narrow", {"B", "T", "D_e"});
  b->SetPlace(narrow, Place::kResidual);
  b->Other(Op::Kind::kEmbedding, OpRole::kEmbedding, "embedding", {}, {narrow}).weights = {
      b->Parameter({"W_embedding", {"V", "D_e"}})};
  b->SetPart(Op::Part::kHead);
  ArrayId x = b->Activation("x", kTokens);
  b->Matmul(OpRole::kEmbeddingProjection, "embedding_in", narrow,
            {{"W_embedding_in", {"D_e", "D"}}}, {x})
      .big_matmul = true;
  b->SetPart(Op::Part::kEmbedding);
  if (model.position_embeddings == 0) return x;
  const ArrayId position = b->Activation("position", kTokens);
  b->Other(Op::Kind::kEmbedding, OpRole::kPositionEmbedding, "position_embedding", {}, {position})
      .weights = {b->Parameter({"W_position", {"P", "D"}})};
  const ArrayId sum = b->Activation("x_positioned", kTokens);
  b->Elementwise(OpRole::kPositionAdd, "position_add", {x, position}, {sum}, kAddFlops);
  return sum;
}

Block EmbeddingBlock(const Model& model, const TransformerOptions& options) {
  BlockBuilder b("embedding");
  b.SetPart(Op::Part::kEmbedding);
  ArrayId x = -1;
  if (model.embedding_dim > 0) {
    x = NarrowEmbedding(model, &b);
  } else {
    x = b.Activation("x", kTokens);
    std::vector<ArrayId> tables = {b.Parameter({"W_embedding", {"V", "D"}})};
    if (model.position_embeddings > 0) tables.push_back(b.Parameter({"W_position", {"P", "D"}}));
    b.Other(Op::Kind::kEmbedding, OpRole::kEmbedding, "embedding", {}, {x}).weights = tables;
  }
  if (options.dropout) {
    const ArrayId in = x, mask = b.Activation("embedding_mask", kTokens, kMaskBytes);
    x = b.Activation("x_dropped", kTokens);
    b.Elementwise(OpRole::kDropout, "embedding_dropout", {in}, {x, mask}, 2).saved = {mask};
  }
  b.SetEnds(-1, x);
  return b.Take();
}

Block HeadBlock(const Model& model) {
  BlockBuilder b("head");
  b.SetPart(Op::Part::kHead);
  const ArrayId input = b.Activation("x", kTokens);
  ArrayId x = model.final_norm ? b.Norm("final_norm", input, model.norm_bias) : input;
  b.SetEnds(input, -1);
  if (model.vocab == 0) return b.Take();
  const Dims vocab = {"B", "T", "V"};
  const ArrayId logits = b.Activation("logits", vocab);
  std::string width = "D";
  if (model.embedding_dim > 0) {
    width = "D_e";
    const ArrayId narrow = b.Activation("x_out", {"B", "T", width});
    b.SetPlace(narrow, Place::kResidual);
    b.Matmul(OpRole::kEmbeddingProjection, "embedding_out", x, {{"W_embedding_out", {"D", width}}},
             {narrow})
        .big_matmul = true;
    x = narrow;
  }
  const Dims table = model.tied_embeddings ? Dims{"V", width} : Dims{width, "V"};
  const Op& op = b.Matmul(OpRole::kLogits, "logits", x, {{"W_head", table}}, {logits});
  if (model.tied_embeddings) b.SetShared(op.weights[0]);
  const ArrayId softmax = b.Activation("token_softmax", vocab, kFp32Bytes);
  Op& loss = b.Other(Op::Kind::kLoss, OpRole::kLoss, "loss", {logits}, {softmax});
  loss.saved = {softmax};
  loss.flops_per_element = kActivationFlops;
  return b.Take();
}

bool IsRouted(const Model& model, int layer) {
  if (!model.moe || layer < model.moe->dense_layers) return false;
  const int after = layer - model.moe->dense_layers;
  return after % model.moe->layer_period == model.moe->layer_period - 1;
}

// One layer in `global_layer_period` sees everything: the last of each group (Gemma 2, gpt-oss).
int WindowOf(const Model& model, int layer) {
  const int period = model.global_layer_period;
  return period > 0 && (layer + 1) % period == 0 ? 0 : model.sliding_window;
}

}  // namespace

Transformer BuildTransformer(const Model& model, const TransformerOptions& options) {
  Transformer t;
  t.embedding = EmbeddingBlock(model, options);
  t.head = HeadBlock(model);
  std::map<std::pair<bool, int>, int> kinds;
  for (int layer = 0; layer < model.layers; ++layer) {
    const bool routed = IsRouted(model, layer);
    const int window = WindowOf(model, layer);
    const auto [it, added] = kinds.emplace(std::pair(routed, window), t.kinds.size());
    if (added) {
      const std::string name = std::string(routed ? "experts" : "dense") +
                               (window > 0 ? ", window " + std::to_string(window) : "");
      t.kinds.push_back(LayerBuilder(model, options, name, routed, window).Layer(false));
    }
    t.layer_kind.push_back(it->second);
  }
  if (model.mtp_layers > 0) {
    const int window = WindowOf(model, model.layers - 1);
    t.mtp_kind = static_cast<int>(t.kinds.size());
    LayerBuilder builder(model, options, "multi-token prediction", model.moe.has_value(), window);
    t.kinds.push_back(builder.Layer(true));
  }
  return t;
}

std::int64_t DimSize(const Model& model, const std::string& dim, std::int64_t batch,
                     std::int64_t sequence) {
  const Moe moe = model.moe.value_or(Moe());
  const Mla mla = model.mla.value_or(Mla());
  if (dim == "B") return batch;
  if (dim == "T" || dim == "S") return sequence;
  if (dim == "D") return model.hidden;
  if (dim == "D_e") return model.embedding_dim;
  if (dim == "N") return model.heads;
  if (dim == "K") return model.kv_heads;
  if (dim == "H") return model.head_dim;
  if (dim == "F") return model.ffn;
  if (dim == "V") return model.vocab;
  if (dim == "P") return model.position_embeddings;
  if (dim == "E") return moe.experts;
  if (dim == "A") return moe.experts_per_token;
  if (dim == "F_e") return moe.expert_ffn;
  if (dim == "F_s") return std::int64_t{moe.shared_experts} * moe.shared_expert_ffn;
  if (dim == "R_q") return mla.q_lora_rank;
  if (dim == "R_kv") return mla.kv_lora_rank;
  if (dim == "H_r") return mla.qk_rope_head_dim;
  if (dim == "H_n") return mla.qk_nope_head_dim;
  if (dim == "H_v") return mla.v_head_dim;
  CHECK(dim == "C") << "dimension " << dim << " ";
  return std::int64_t{2} * model.hidden;
}

}  // namespace meshstep
