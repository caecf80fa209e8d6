// State-space layers. H_t = a_t H_{t-1} + d_t x_t B_t^T, y_t = H_t C_t + D x_t, for each head a state
// H [M_v, M_k]; a_t = exp(-d_t A). Between the projections: a convolution of x, B and C, and after
// the scan (Mamba-2) a norm gated by silu(z).
//
// Mamba-2 (arXiv 2405.21060 §6, §7) in chunks of L, by the kernels of state-spaces/mamba
// mamba_ssm/ops/triton/ssd_combined.py; FLOPs of one position and head, P = M_v, S = M_k:
//   chunk_cumsum    sums of the decays                                moves numbers of a head only
//   chunk_state     states of the chunks alone: x^T (decayed B)       2 P S
//   state_passing   through the chunks, in fp32                       reads and writes the states
//   bmm_chunk       C B^T within the chunk, causal; for each group    L S
//   chunk_scan      (C B^T, decayed) x, causal, and C times the state L P + 2 P S
// Backward makes the first four again from what is kept (the inputs of the convolution, which runs
// again too), then
//   chunk_scan dstates 2 P S · state_passing backward · chunk_scan chunk_state dx L P + 2 P S ·
//   chunk_state db 2 P S · chunk_scan dC 2 P S · chunk_scan dcb L P · bmm_chunk backward twice L S ·
//   ddAcs L P · chunk_cumsum backward.
//
// Mamba-1 (arXiv 2312.00752 §3.4) by one kernel of the same repository, csrc/selective_scan, whose
// work is on vector units: it is taken to be bound by HBM.
//
// Counters of model FLOPs take 7 M_v M_k for a position and head, the products of Mamba-1's
// recurrence (d A, its decay, d x B with two products, sum, C H with two):
// NVIDIA/Megatron-LM megatron/training/training.py, mamba_layer_flops.

#include <memory>

#include "sim/base/dtype.h"
#include "strategies/model/layers/layer_parts.h"

namespace meshstep {
namespace {

constexpr double kRecurrenceFlops = 7;

struct Projected {
  ArrayId x = -1, z = -1, keys = -1, queries = -1, steps = -1;  // keys B, queries C, steps d
};

// What the chunked kernels write between each other.
struct Scratch {
  ArrayId decays, states, scores;
};

Scratch AddScratch(const LayerParts& p) {
  const auto inside = [&](const char* name, const Dims& dims) {
    const ArrayId array = p.b.Activation(name, dims, kFp32Bytes);
    p.b.SetPlace(array, Place::kChunked);
    return array;
  };
  return {inside("decays", {"B", "T", "M"}), inside("chunk_states", {"B", "T", "M", "S_c"}),
          inside("chunk_scores", {"B", "T", "G", "L"})};
}

std::vector<MixerKernel> StatesOfChunks(const Projected& in, const Scratch& s, double chunk,
                                        double state) {
  return {{"chunk_cumsum", {}, {in.steps, s.decays}},
          {"chunk_state", {{in.x, 2 * state}}, {in.x, in.keys, s.decays, s.states}, true},
          {"state_passing", {}, {s.states, s.states}},
          {"bmm_chunk", {{in.keys, chunk}}, {in.queries, in.keys, s.scores}}};
}

std::shared_ptr<StateMixer> Mamba2(const LayerParts& p, const Projected& in, ArrayId y,
                                   const Projected& before_conv) {
  const double l = p.model.mamba->chunk, s = p.model.mamba->state;
  const Scratch t = AddScratch(p);
  auto mixer = std::make_shared<StateMixer>();
  mixer->forward = StatesOfChunks(in, t, l, s);
  mixer->forward.push_back(
      {"chunk_scan", {{in.x, l + 2 * s}}, {t.scores, in.x, t.decays, in.queries, t.states, y}});
  mixer->backward = {
      {"causal_conv1d",
       {},
       {before_conv.x, before_conv.keys, before_conv.queries, in.x, in.keys, in.queries}}};
  for (MixerKernel& again : StatesOfChunks(in, t, l, s)) mixer->backward.push_back(again);
  const std::vector<MixerKernel> own = {
      {"chunk_scan dstates", {{in.x, 2 * s}}, {in.queries, t.decays, y, t.states}, true},
      {"state_passing backward", {}, {t.states, t.states, t.states}},
      {"chunk_scan chunk_state dx",
       {{in.x, l + 2 * s}},
       {in.x, in.keys, t.decays, t.scores, y, t.states, in.x, in.steps}},
      {"chunk_state db", {{in.x, 2 * s}}, {in.x, t.decays, t.states, in.keys, t.decays}},
      {"chunk_scan dC", {{in.x, 2 * s}}, {t.states, t.decays, y, in.queries, t.decays}},
      {"chunk_scan dcb", {{in.x, l}}, {in.x, t.decays, y, t.scores}},
      {"bmm_chunk backward", {{in.keys, 2 * l}}, {t.scores, t.scores, in.keys, in.queries}},
      {"chunk_scan ddAcs", {{in.x, l}}, {in.x, t.decays, y, t.scores, t.decays}},
      {"chunk_cumsum backward", {}, {t.decays, in.steps, in.steps}}};
  mixer->backward.insert(mixer->backward.end(), own.begin(), own.end());
  return mixer;
}

std::shared_ptr<StateMixer> Mamba1(const Projected& in, ArrayId y, const Projected& before_conv) {
  auto mixer = std::make_shared<StateMixer>();
  mixer->forward = {{"selective_scan", {}, {in.x, in.steps, in.keys, in.queries, in.z, y}}};
  mixer->backward = {
      {"causal_conv1d", {}, {before_conv.x, in.x}},
      {"selective_scan backward",
       {},
       {in.x, in.steps, in.keys, in.queries, in.z, y, in.x, in.steps, in.keys, in.queries, in.z}}};
  return mixer;
}

ArrayId AddScan(const LayerParts& p, const Projected& in, const Projected& before_conv) {
  const bool second = p.model.mamba->dt_rank == 0;
  const ArrayId y = p.b.Activation("y", {"B", "T", "M", "M_v"});
  const Dims own = second ? Dims{"M"} : Dims{"M", "M_k"};
  std::vector<ArrayId> weights = {p.b.Parameter({"A_log", own}), p.b.Parameter({"D_skip", {"M"}})};
  // Mamba-1's is the bias of its projection.
  if (second) weights.push_back(p.b.Parameter({"b_steps", {"M"}}));
  const ArrayId state = p.b.Activation("state", {"B", "M", "M_v", "M_k"}, kFp32Bytes);
  std::shared_ptr<StateMixer> mixer =
      second ? Mamba2(p, in, y, before_conv) : Mamba1(in, y, before_conv);
  mixer->state = {state};
  mixer->model_work = {{in.x, kRecurrenceFlops * p.model.mamba->state}};
  std::vector<ArrayId> inputs = {in.x, in.keys, in.queries, in.steps};
  if (!second) inputs.push_back(in.z);
  Op& op = p.b.Other(Op::Kind::kChunked, OpRole::kScan, "scan", inputs, {y});
  op.weights = weights;
  op.saved = {in.steps};
  if (!second) op.saved.insert(op.saved.end(), {in.keys, in.queries, in.z});
  op.mixer = std::move(mixer);
  return y;
}

std::vector<ParameterSpec> Biases(const LayerParts& p, const std::vector<ParameterSpec>& weights) {
  std::vector<ParameterSpec> biases;
  if (!p.model.mamba->projection_bias) return biases;
  for (const ParameterSpec& w : weights) {
    biases.push_back({"b" + w.name.substr(1), Dims(w.dims.begin() + 1, w.dims.end())});
  }
  return biases;
}

ArrayId ProjectOut(const LayerParts& p, ArrayId y) {
  const ArrayId out = p.b.Activation("mamba_branch", kTokens);
  std::vector<ParameterSpec> biases;
  if (p.model.mamba->projection_bias) biases.push_back({"b_mamba_out", {"D"}});
  p.b.Matmul(OpRole::kMixerOut, "mamba_out", y, {{"W_mamba_out", {"M", "M_v", "D"}}}, {out}, biases)
      .big_matmul = true;
  return out;
}

const Dims kInner = {"B", "T", "M", "M_v"};

ArrayId AddMamba2(const LayerParts& p, ArrayId x) {
  const Dims group = {"B", "T", "G", "M_k"};
  Projected in{p.b.Activation("scan_x", kInner), p.b.Activation("scan_z", kInner),
               p.b.Activation("scan_b", group), p.b.Activation("scan_c", group),
               p.b.Activation("scan_steps", {"B", "T", "M"})};
  const std::vector<ParameterSpec> weights = {{"W_scan_z", {"D", "M", "M_v"}},
                                              {"W_scan_x", {"D", "M", "M_v"}},
                                              {"W_scan_b", {"D", "G", "M_k"}},
                                              {"W_scan_c", {"D", "G", "M_k"}},
                                              {"W_scan_steps", {"D", "M"}}};
  p.b.Matmul(OpRole::kMixerIn, "mamba_in", x, weights, {in.z, in.x, in.keys, in.queries, in.steps},
             Biases(p, weights))
      .big_matmul = true;
  const std::vector<ArrayId> mixed =
      AddConvolution(p, {in.x, in.keys, in.queries}, p.model.mamba->conv_bias);
  const ArrayId y = AddScan(p, {mixed[0], in.z, mixed[1], mixed[2], in.steps}, in);
  const Dims scale = p.model.mamba->norm ? Dims{"M", "M_v"} : Dims{};
  return ProjectOut(p, AddGatedNorm(p, y, in.z, scale));
}

// B, C and step sizes come from the channels after the convolution, all of a position together.
ArrayId AddMamba1(const LayerParts& p, ArrayId x) {
  Projected in{p.b.Activation("scan_x", kInner), p.b.Activation("scan_z", kInner)};
  const std::vector<ParameterSpec> weights = {{"W_scan_x", {"D", "M", "M_v"}},
                                              {"W_scan_z", {"D", "M", "M_v"}}};
  p.b.Matmul(OpRole::kMixerIn, "mamba_in", x, weights, {in.x, in.z}, Biases(p, weights))
      .big_matmul = true;
  Projected made = in;
  made.x = AddConvolution(p, {in.x}, p.model.mamba->conv_bias)[0];
  const ArrayId low = p.b.Activation("scan_rank", {"B", "T", "R_d"});
  made.keys = p.b.Activation("scan_b", {"B", "T", "M_k"});
  made.queries = p.b.Activation("scan_c", {"B", "T", "M_k"});
  p.b.Matmul(OpRole::kMixerLow, "scan_in", made.x,
             {{"W_scan_rank", {"M", "M_v", "R_d"}},
              {"W_scan_b", {"M", "M_v", "M_k"}},
              {"W_scan_c", {"M", "M_v", "M_k"}}},
             {low, made.keys, made.queries})
      .big_matmul = true;
  ArrayId rank = low;
  if (p.model.mamba->norm) {
    rank = p.b.Norm("scan_rank_norm", low, false);
    made.keys = p.b.Norm("scan_b_norm", made.keys, false);
    made.queries = p.b.Norm("scan_c_norm", made.queries, false);
  }
  made.steps = p.b.Activation("scan_steps", {"B", "T", "M"});
  p.b.Matmul(OpRole::kMixerLow, "scan_steps", rank, {{"W_scan_steps", {"R_d", "M"}}}, {made.steps},
             {{"b_scan_steps", {"M"}}})
      .big_matmul = true;
  return ProjectOut(p, AddScan(p, made, in));
}

}  // namespace

ArrayId AddMamba(const LayerParts& p, ArrayId x) {
  p.b.SetPart(Op::Part::kAttention);
  return p.model.mamba->dt_rank > 0 ? AddMamba1(p, x) : AddMamba2(p, x);
}

}  // namespace meshstep
