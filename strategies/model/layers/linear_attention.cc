// Lightning attention (arXiv 2401.04658; MiniMax-01, arXiv 2501.08313 §2.2.1): S_t = r S_{t-1} + v_t
// k_t^T and o_t = S_t q_t with a fixed decay r for each head; q, k and v through silu, a norm over
// all heads and a sigmoid gate after.
//
// In blocks of L by the kernels of OpenNLPLab/lightning-attention (lightning_attn2.py); FLOPs of one
// position and head of size H:
//   fwd_diag       (Q K^T, decayed, causal) V within the block          2 L H
//   fwd_kv         K^T V of each block                                   2 H^2
//   fwd_kv_reduce  through the blocks, in fp32                           reads and writes the states
//   fwd_none_diag  Q times the state, added                              2 H^2
// Backward: the states again, bwd_diag 5 L H, bwd_kv 2 H^2, its reduction, bwd_none_diag 6 H^2.
// Model FLOPs by the recurrence: decay, v k^T with its sum, S q: 5 H^2.

#include <memory>

#include "sim/base/dtype.h"
#include "strategies/model/layers/layer_parts.h"

namespace meshstep {
namespace {

constexpr double kRecurrenceFlops = 5;
const Dims kHeads = {"B", "T", "M", "M_v"};

std::shared_ptr<StateMixer> Lightning(const LayerParts& p, ArrayId q, ArrayId k, ArrayId v,
                                      ArrayId o) {
  const double l = p.model.linear_attention->chunk, h = p.model.linear_attention->head_dim;
  const ArrayId states = p.b.Activation("chunk_states", {"B", "T", "M", "S_c"}, kFp32Bytes);
  p.b.SetPlace(states, Place::kChunked);
  // Over the elements of the values, of which a head has H.
  const auto work = [&](double flops) { return std::vector<Work>{{v, flops / h}}; };
  const std::vector<MixerKernel> again = {{"fwd_kv", work(2 * h * h), {k, v, states}, true},
                                          {"fwd_kv_reduce", {}, {states, states}}};
  auto mixer = std::make_shared<StateMixer>();
  mixer->forward = {{"fwd_diag", work(2 * l * h), {q, k, v, o}}};
  mixer->forward.insert(mixer->forward.end(), again.begin(), again.end());
  mixer->forward.push_back({"fwd_none_diag", work(2 * h * h), {q, states, o, o}});
  mixer->backward = again;
  mixer->backward.push_back({"bwd_diag", work(5 * l * h), {q, k, v, o, q, k, v}});
  mixer->backward.push_back({"bwd_kv", work(2 * h * h), {q, o, states}, true});
  mixer->backward.push_back({"bwd_kv_reduce", {}, {states, states}});
  mixer->backward.push_back(
      {"bwd_none_diag", work(6 * h * h), {q, k, v, o, states, states, q, k, v, q, k, v}});
  mixer->model_work = work(kRecurrenceFlops * h * h);
  return mixer;
}

}  // namespace

ArrayId AddLinearAttention(const LayerParts& p, ArrayId x) {
  p.b.SetPart(Op::Part::kAttention);
  const LinearAttention& l = *p.model.linear_attention;
  std::vector<ArrayId> projected, active;
  std::vector<ParameterSpec> weights;
  for (const std::string name : {"linear_q", "linear_k", "linear_v"}) {
    weights.push_back({"W_" + name, {"D", "M", "M_v"}});
    projected.push_back(p.b.Activation(name + "_in", kHeads));
    active.push_back(p.b.Activation(name, kHeads));
  }
  std::vector<ArrayId> outputs = projected;
  if (l.gate) {
    weights.push_back({"W_linear_gate", {"D", "M", "M_v"}});
    outputs.push_back(p.b.Activation("linear_gate", kHeads));
  }
  p.b.Matmul(OpRole::kMixerIn, "linear_in", x, weights, outputs).big_matmul = true;
  p.b.Elementwise(OpRole::kMixerActivation, "linear_act", projected, active, kActivationFlops)
      .saved = projected;
  const ArrayId o = p.b.Activation("linear_out", kHeads);
  std::shared_ptr<StateMixer> mixer = Lightning(p, active[0], active[1], active[2], o);
  mixer->state = {p.b.Activation("state", {"B", "M", "M_v", "M_k"}, kFp32Bytes)};
  Op& op = p.b.Other(Op::Kind::kChunked, OpRole::kLightning, "lightning", active, {o});
  op.saved = active;
  op.mixer = std::move(mixer);
  const ArrayId normed = AddGatedNorm(p, o, l.gate ? outputs[3] : -1, {"M", "M_v"});
  const ArrayId out = p.b.Activation("linear_branch", kTokens);
  p.b.Matmul(OpRole::kMixerOut, "linear_out", normed, {{"W_linear_out", {"M", "M_v", "D"}}}, {out})
      .big_matmul = true;
  return out;
}

}  // namespace meshstep
