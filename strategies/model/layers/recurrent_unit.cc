// Griffin's recurrent block (arXiv 2402.19427 §2.3) with its real-gated linear recurrent unit (§2.4):
//
//   r_t = sigmoid(W_a x_t + b_a), i_t = sigmoid(W_x x_t + b_x)    both matrices block diagonal
//   a_t = exp(-8 softplus(L) r_t)
//   h_t = a_t h_{t-1} + sqrt(1 - a_t^2) (i_t x_t)                 one number of state a channel
//
// x is a convolution over W positions of one projection; h times gelu of the other goes to the output
// projection. Kernels: the gates' products, of 2 · 2 M_v FLOPs a channel, and the scan, on vector units,
// which is taken to be bound by HBM (§4.2: a linear scan in one kernel). Backward runs the gates again
// and multiplies twice as much. Model FLOPs by the recurrence: 4 M_v and 6 a channel.

#include <memory>

#include "sim/base/dtype.h"
#include "strategies/model/layers/layer_parts.h"

namespace meshstep {
namespace {

constexpr double kRecurrenceFlops = 6;
const Dims kChannels = {"B", "T", "M", "M_v"};

// Of two matrices.
std::shared_ptr<StateMixer> Kernels(const LayerParts& p, ArrayId x, ArrayId h) {
  const double block =
      static_cast<double>(p.model.recurrent_unit->width) / p.model.recurrent_unit->heads;
  const ArrayId gates[] = {p.b.Activation("recurrent_gate", kChannels),
                           p.b.Activation("input_gate", kChannels)};
  for (const ArrayId gate : gates) p.b.SetPlace(gate, Place::kChunked);
  const MixerKernel open = {"gates", {{x, 4 * block}}, {x, gates[0], gates[1]}};
  auto mixer = std::make_shared<StateMixer>();
  mixer->forward = {open, {"linear_scan", {}, {x, gates[0], gates[1], h}}};
  mixer->backward = {
      open,
      {"linear_scan backward", {}, {x, gates[0], gates[1], h, h, x, gates[0], gates[1]}},
      {"gates backward", {{x, 8 * block}}, {x, gates[0], gates[1], x}}};
  mixer->model_work = {{x, 4 * block + kRecurrenceFlops}};
  mixer->state = {p.b.Activation("state", {"B", "M", "M_v"}, kFp32Bytes)};
  return mixer;
}

ArrayId AddUnit(const LayerParts& p, ArrayId x) {
  const ArrayId h = p.b.Activation("recurrent_h", kChannels);
  std::vector<ArrayId> weights = {p.b.Parameter({"recurrent_decay", {"M", "M_v"}})};
  for (const std::string name : {"recurrent_gate", "input_gate"}) {
    weights.push_back(p.b.Parameter({"W_" + name, {"M", "M_v", "M_k"}}));
    weights.push_back(p.b.Parameter({"b_" + name, {"M", "M_v"}}));
  }
  std::shared_ptr<StateMixer> mixer = Kernels(p, x, h);
  Op& op = p.b.Other(Op::Kind::kChunked, OpRole::kScan, "recurrent_unit", {x}, {h});
  op.weights = weights;
  op.saved = {x, h};
  op.mixer = std::move(mixer);
  return h;
}

}  // namespace

ArrayId AddRecurrentUnit(const LayerParts& p, ArrayId x) {
  p.b.SetPart(Op::Part::kAttention);
  const ArrayId in = p.b.Activation("recurrent_x", kChannels);
  const ArrayId side = p.b.Activation("recurrent_y", kChannels);
  p.b.Matmul(OpRole::kMixerIn, "recurrent_in", x,
             {{"W_recurrent_x", {"D", "M", "M_v"}}, {"W_recurrent_y", {"D", "M", "M_v"}}},
             {in, side}, {{"b_recurrent_x", {"M", "M_v"}}, {"b_recurrent_y", {"M", "M_v"}}})
      .big_matmul = true;
  const ArrayId h = AddUnit(p, AddConvolution(p, {in}, true)[0]);
  const ArrayId y = p.b.Activation("recurrent_out", kChannels);
  p.b.Elementwise(OpRole::kGatedNorm, "recurrent_gating", {h, side}, {y}, kGatedActivationFlops)
      .saved = {h, side};
  const ArrayId out = p.b.Activation("recurrent_branch", kTokens);
  p.b.Matmul(OpRole::kMixerOut, "recurrent_out", y, {{"W_recurrent_out", {"M", "M_v", "D"}}}, {out},
             {{"b_recurrent_out", {"D"}}})
      .big_matmul = true;
  return out;
}

}  // namespace meshstep
