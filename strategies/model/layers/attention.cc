// Attention over all positions, a window or a chunk of them. What is saved is that of Korthikanti et
// al. §4; a fused kernel keeps q, k, v, its output and the log-sum-exp of each row (Dao, arXiv
// 2307.08691 §3.1) instead of anything quadratic.

#include "sim/base/dtype.h"
#include "strategies/model/layers/layer_parts.h"

namespace meshstep {
namespace {

constexpr double kGateFlops = 5;

// Norms of the heads and rotary positions, in one kernel; with v >= 0 values are the same keys,
// normed (without a scale), and are written by it too.
void AddPositions(const LayerParts& p, const Dims& q_dims, const Dims& k_dims, ArrayId* q,
                  ArrayId* k, ArrayId v) {
  const ArrayId q_in = *q, k_in = *k;
  *q = p.b.Activation("q", q_dims);
  *k = p.b.Activation("k", k_dims);
  std::vector<ArrayId> scales;
  if (p.model.qk_norm_all_heads) {
    scales = {p.b.Parameter({"q_scale", {"N", "H"}}), p.b.Parameter({"k_scale", {"K", "H"}})};
  } else if (p.model.qk_norm) {
    scales = {p.b.Parameter({"q_scale", {"H"}}), p.b.Parameter({"k_scale", {"H"}})};
  }
  const bool norm = p.model.qk_norm;
  const OpRole role = !norm            ? OpRole::kRotary
                      : p.model.rotary ? OpRole::kHeadNormRotary
                                       : OpRole::kHeadNorm;
  const std::string name = !norm ? "rotary" : p.model.rotary ? "qk_norm_rotary" : "qk_norm";
  std::vector<ArrayId> outputs = {*q, *k};
  if (v >= 0) outputs.push_back(v);
  Op& op = p.b.Elementwise(role, name, {q_in, k_in}, outputs, kRotaryFlops + (norm ? 4 : 0));
  op.weights = scales;
  if (norm) op.saved = {q_in, k_in};
}

ArrayId AddGate(const LayerParts& p, ArrayId out, ArrayId gate, const Dims& dims) {
  const ArrayId gated = p.b.Activation("attention_gated", dims);
  p.b.Elementwise(OpRole::kAttentionGating, "attention_gating", {out, gate}, {gated}, kGateFlops)
      .saved = {out, gate};
  return gated;
}

}  // namespace

ArrayId AddAttentionKernel(const LayerParts& p, ArrayId q, ArrayId k, ArrayId v,
                           const std::string& head_out, ArrayId keys) {
  const ArrayId out = p.b.Activation("attention_out", {"B", "T", "N", head_out});
  std::vector<ArrayId> inputs = {q, k, v}, outputs = {out};
  if (keys >= 0) inputs.push_back(keys);
  std::vector<ArrayId> saved = inputs;
  if (p.options.unfused_attention) {
    const Dims square = {"B", "N", "T", "S"};
    outputs.push_back(p.b.Activation("softmax", square));
    if (p.options.dropout) {
      outputs.push_back(p.b.Activation("softmax_mask", square, kMaskBytes));
      outputs.push_back(p.b.Activation("softmax_dropped", square));
    }
    saved.insert(saved.end(), outputs.begin() + 1, outputs.end());
  } else {
    outputs.push_back(p.b.Activation("log_sum_exp", {"B", "T", "N"}, kFp32Bytes));
    saved.insert(saved.end(), outputs.begin(), outputs.end());
  }
  std::vector<ArrayId> weights;
  if (p.model.attention_sinks) weights = {p.b.Parameter({"attention_sinks", {"N"}})};
  Op& op = p.b.Other(Op::Kind::kAttention, OpRole::kAttention, "attention", inputs, outputs);
  op.weights = weights;
  op.saved = saved;
  op.selective = p.options.unfused_attention;
  op.window = p.model.sliding_window;
  op.chunk = p.model.attention_chunk;
  op.top_k = keys >= 0 ? p.model.indexer->top_k : 0;
  op.causal = !p.model.bidirectional;
  return out;
}

ArrayId ProjectHeads(const LayerParts& p, ArrayId heads, const std::string& head_out) {
  const ArrayId out = p.b.Activation("attention_branch", kTokens);
  std::vector<ParameterSpec> biases;
  if (p.model.attention_output_bias) biases.push_back({"b_o", {"D"}});
  p.b.Matmul(OpRole::kAttentionOutput, "attention_out", heads, {{"W_o", {"N", head_out, "D"}}},
             {out}, biases)
      .big_matmul = true;
  return out;
}

ArrayId AddAttention(const LayerParts& p, ArrayId x) {
  p.b.SetPart(Op::Part::kAttention);
  const std::string value = p.model.v_head_dim > 0 ? "H_v" : "H";
  const Dims q_dims = {"B", "T", "N", "H"}, k_dims = {"B", "T", "K", "H"};
  // Without rotary positions and norms q and k are the projections themselves.
  const bool after = p.model.rotary || p.model.qk_norm;
  ArrayId q = p.b.Activation(after ? "q_projected" : "q", q_dims);
  ArrayId k = p.b.Activation(after ? "k_projected" : "k", k_dims);
  const bool shared = p.model.keys_as_values;
  const ArrayId v = shared && !after ? k : p.b.Activation("v", {"B", "T", "K", value});
  std::vector<ParameterSpec> weights = {{"W_q", {"D", "N", "H"}}, {"W_k", {"D", "K", "H"}}};
  std::vector<ParameterSpec> biases;
  if (p.model.qkv_bias) biases = {{"b_q", {"N", "H"}}, {"b_k", {"K", "H"}}};
  std::vector<ArrayId> outputs = {q, k};
  if (!shared) {
    weights.push_back({"W_v", {"D", "K", value}});
    if (p.model.qkv_bias) biases.push_back({"b_v", {"K", value}});
    outputs.push_back(v);
  }
  const Dims out_dims = {"B", "T", "N", value};
  const bool gated = p.model.attention_gate || p.model.attention_head_gate;
  if (gated) {
    Dims of_gate = out_dims;
    if (p.model.attention_head_gate) of_gate.pop_back();
    weights.push_back({"W_attention_gate", Dims{"D"}});
    weights.back().dims.insert(weights.back().dims.end(), of_gate.begin() + 2, of_gate.end());
    outputs.push_back(p.b.Activation("attention_gate", of_gate));
  }
  p.b.Matmul(OpRole::kQkv, "qkv", x, weights, outputs, biases).big_matmul = true;
  if (after) AddPositions(p, q_dims, k_dims, &q, &k, shared ? v : -1);
  ArrayId out = AddAttentionKernel(p, q, k, v, value);
  if (gated) out = AddGate(p, out, outputs.back(), out_dims);
  return ProjectHeads(p, out, value);
}

}  // namespace meshstep
