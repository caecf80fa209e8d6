// Gated delta nets (arXiv 2412.06464 §3.3), S_t = S_{t-1} (a_t (I - b_t k_t k_t^T)) + b_t v_t k_t^T and
// o_t = S_t q_t, for each head a state S [M_v, M_k]; and Kimi delta attention (arXiv 2510.26692 §3),
// whose decay a_t is a vector over M_k. Convolutions before, a gated norm of each head after.
//
// In chunks of L by the kernels of fla-org/flash-linear-attention fla/ops/gated_delta_rule/chunk.py
// (and fla/ops/kda); FLOPs of one position and head, K = M_k, V = M_v:
//   l2norm                 of q and k, moves them
//   chunk_local_cumsum     sums of log decays
//   scaled_dot_kkt         beta K K^T within the chunk                2 L K (KDA: also Q K^T, 4 L K)
//   solve_tril             its inverse, by blocks of 16               L^2 / 3
//   recompute_w_u          inverse times k and v                      2 L (K + V)
//   chunk_h                v - w S and S + k^T v, one chunk after another   4 K V
//   chunk_o                q S, and (q k^T, decayed) v                2 K V + 2 L (K + V) (KDA: 2 L V)
// Backward keeps q, k, v, decays, beta and the inverse, makes w, u and the states again, then
//   chunk_bwd_dv 2 L (K + V) · chunk_bwd_dhu 6 K V · chunk_bwd_dqkwg 6 K V + 2 L (2 K + V) ·
//   prepare_wy_repr_bwd 4 L (K + V) + 4 L^2 + 2 L K · sums and l2norm backward.
//
// Counters of model FLOPs take 8 K V for a position and head (K K^T, V K^T, S (a (I - b K K^T)), S q;
// NVIDIA/Megatron-LM megatron/training/training.py, gdn_layer_flops).

#include <memory>

#include "sim/base/dtype.h"
#include "strategies/model/layers/layer_parts.h"

namespace meshstep {
namespace {

constexpr double kRecurrenceFlops = 8;

struct Projected {
  ArrayId q = -1, k = -1, v = -1, gate = -1, decay = -1, beta = -1;
};

// Kernels of the recurrence; `in` after the convolution.
class Recurrence {
 public:
  Recurrence(const LayerParts& p, const Projected& in, ArrayId o)
      : p_(p), in_(in), o_(o), kda_(p.model.delta_net->decay_rank > 0) {
    l_ = p.model.delta_net->chunk;
    keys_ = p.model.delta_net->key_dim;
    values_ = p.model.delta_net->value_dim;
    inverse_ = Inside("chunk_inverse", {"B", "T", "M", "L"});
    w_ = Inside("chunk_w", {"B", "T", "M", "M_k"});
    u_ = Inside("chunk_u", {"B", "T", "M", "M_v"});
    states_ = Inside("chunk_states", {"B", "T", "M", "S_c"});
  }

  std::shared_ptr<StateMixer> Make(ArrayId state) const;
  ArrayId inverse() const { return inverse_; }

 private:
  ArrayId Inside(const char* name, const Dims& dims) const {
    const ArrayId array = p_.b.Activation(name, dims);
    p_.b.SetPlace(array, Place::kChunked);
    return array;
  }
  // FLOPs of a position and head, over the elements of its values.
  std::vector<Work> PerHead(double flops) const { return {{in_.v, flops / values_}}; }
  std::vector<MixerKernel> States() const;
  std::vector<MixerKernel> Forward() const;
  std::vector<MixerKernel> Backward() const;

  const LayerParts& p_;
  const Projected in_;
  const ArrayId o_;
  const bool kda_;
  double l_ = 0, keys_ = 0, values_ = 0;
  ArrayId inverse_ = -1, w_ = -1, u_ = -1, states_ = -1;
};

// From the inverse to the states of the chunks and v - w S.
std::vector<MixerKernel> Recurrence::States() const {
  return {{"recompute_w_u",
           PerHead(2 * l_ * (keys_ + values_)),
           {in_.k, in_.v, in_.beta, inverse_, in_.decay, w_, u_}},
          {"chunk_h", PerHead(4 * keys_ * values_), {in_.k, w_, u_, in_.decay, states_, u_}, true}};
}

std::vector<MixerKernel> Recurrence::Forward() const {
  const double inside = kda_ ? 2 * l_ * values_ : 2 * l_ * (keys_ + values_);
  std::vector<MixerKernel> kernels = {
      {"l2norm", {}, {in_.q, in_.q, in_.k, in_.k}},
      {kda_ ? "kda_gate" : "chunk_local_cumsum", {}, {in_.decay, in_.decay}},
      {"scaled_dot_kkt",
       PerHead((kda_ ? 4 : 2) * l_ * keys_),
       {in_.k, in_.beta, in_.decay, inverse_}},
      {"solve_tril", PerHead(l_ * l_ / 3), {inverse_, inverse_}}};
  for (MixerKernel& kernel : States()) kernels.push_back(kernel);
  kernels.push_back({"chunk_o",
                     PerHead(2 * keys_ * values_ + inside),
                     {in_.q, in_.k, u_, states_, in_.decay, o_}});
  return kernels;
}

std::vector<MixerKernel> Recurrence::Backward() const {
  std::vector<MixerKernel> kernels = States();
  const double both = keys_ + values_;
  const std::vector<MixerKernel> own = {
      {"chunk_bwd_dv", PerHead(2 * l_ * both), {in_.q, in_.k, o_, in_.decay, u_}},
      {"chunk_bwd_dhu",
       PerHead(6 * keys_ * values_),
       {in_.q, in_.k, w_, in_.decay, o_, states_, u_, u_},
       true},
      {"chunk_bwd_dqkwg",
       PerHead(6 * keys_ * values_ + 2 * l_ * (both + keys_)),
       {in_.q, in_.k, u_, in_.decay, states_, states_, o_, u_, in_.q, in_.k, w_, in_.decay}},
      {"prepare_wy_repr_bwd",
       PerHead(4 * l_ * both + 4 * l_ * l_ + 2 * l_ * keys_),
       {in_.k, in_.v, in_.beta, in_.decay, inverse_, w_, u_, in_.k, in_.v, in_.beta, in_.decay}},
      {kda_ ? "kda_gate backward" : "chunk_local_cumsum backward", {}, {in_.decay, in_.decay}},
      {"l2norm backward", {}, {in_.q, in_.q, in_.q, in_.k, in_.k, in_.k}}};
  kernels.insert(kernels.end(), own.begin(), own.end());
  return kernels;
}

std::shared_ptr<StateMixer> Recurrence::Make(ArrayId state) const {
  auto mixer = std::make_shared<StateMixer>();
  mixer->forward = Forward();
  mixer->backward = Backward();
  mixer->state = {state};
  mixer->model_work = PerHead(kRecurrenceFlops * keys_ * values_);
  return mixer;
}

// Through a low rank where there is one, else whole.
ArrayId AddLowRank(const LayerParts& p, ArrayId low, const std::string& name,
                   const std::string& rank, const Dims& dims) {
  const ArrayId out = p.b.Activation(name, dims);
  p.b.Matmul(OpRole::kMixerLow, name, low, {{"W_" + name, {rank, dims[2], dims[3]}}}, {out})
      .big_matmul = true;
  return out;
}

const Dims kKeys = {"B", "T", "G", "M_k"}, kValues = {"B", "T", "M", "M_v"};

Projected Project(const LayerParts& p, ArrayId x) {
  const DeltaNet& d = *p.model.delta_net;
  Projected in{p.b.Activation("delta_q", kKeys), p.b.Activation("delta_k", kKeys),
               p.b.Activation("delta_v", kValues)};
  in.beta = p.b.Activation("delta_beta", {"B", "T", "M"});
  std::vector<ParameterSpec> weights = {{"W_delta_q", {"D", "G", "M_k"}},
                                        {"W_delta_k", {"D", "G", "M_k"}},
                                        {"W_delta_v", {"D", "M", "M_v"}},
                                        {"W_delta_beta", {"D", "M"}}};
  std::vector<ArrayId> outputs = {in.q, in.k, in.v, in.beta};
  if (d.gate_rank == 0) {
    in.gate = p.b.Activation("delta_gate", kValues);
    weights.push_back({"W_delta_gate", {"D", "M", "M_v"}});
    outputs.push_back(in.gate);
  }
  if (d.decay_rank == 0) {
    in.decay = p.b.Activation("delta_decay", {"B", "T", "M"});
    weights.push_back({"W_delta_decay", {"D", "M"}});
    outputs.push_back(in.decay);
  }
  p.b.Matmul(OpRole::kMixerIn, "delta_in", x, weights, outputs).big_matmul = true;
  std::vector<ParameterSpec> down;
  std::vector<ArrayId> low;
  const auto rank = [&](int size, const char* name, const char* dim) {
    if (size == 0) return -1;
    down.push_back({std::string("W_") + name, {"D", dim}});
    low.push_back(p.b.Stream(name, {"B", "T", dim}));
    return low.back();
  };
  const ArrayId decay = rank(d.decay_rank, "delta_decay_low", "R_d");
  const ArrayId gate = rank(d.gate_rank, "delta_gate_low", "R_g");
  if (!down.empty()) p.b.Matmul(OpRole::kMixerLow, "delta_down", x, down, low).big_matmul = true;
  if (decay >= 0) {
    in.decay = AddLowRank(p, decay, "delta_decay", "R_d", {"B", "T", "M", "M_k"});
  }
  if (gate >= 0) in.gate = AddLowRank(p, gate, "delta_gate", "R_g", kValues);
  return in;
}

}  // namespace

ArrayId AddDeltaNet(const LayerParts& p, ArrayId x) {
  p.b.SetPart(Op::Part::kAttention);
  Projected in = Project(p, x);
  const std::vector<ArrayId> mixed = AddConvolution(p, {in.q, in.k, in.v}, false);
  in.q = mixed[0];
  in.k = mixed[1];
  in.v = mixed[2];
  const ArrayId o = p.b.Activation("delta_out", kValues);
  const Recurrence recurrence(p, in, o);
  const bool kda = p.model.delta_net->decay_rank > 0;
  const std::vector<ArrayId> weights = {
      p.b.Parameter({"A_log", {"M"}}),
      p.b.Parameter({"b_decay", kda ? Dims{"M", "M_k"} : Dims{"M"}})};
  const ArrayId state = p.b.Activation("state", {"B", "M", "M_v", "M_k"}, kFp32Bytes);
  Op& op = p.b.Other(Op::Kind::kChunked, OpRole::kDeltaRule, "delta_rule",
                     {in.q, in.k, in.v, in.decay, in.beta}, {o, recurrence.inverse()});
  op.weights = weights;
  op.saved = {in.q, in.k, in.v, in.decay, in.beta, recurrence.inverse()};
  op.mixer = recurrence.Make(state);
  const ArrayId normed = AddGatedNorm(p, o, in.gate, {"M_v"});
  const ArrayId out = p.b.Activation("delta_branch", kTokens);
  p.b.Matmul(OpRole::kMixerOut, "delta_out", normed, {{"W_delta_out", {"M", "M_v", "D"}}}, {out})
      .big_matmul = true;
  return out;
}

}  // namespace meshstep
