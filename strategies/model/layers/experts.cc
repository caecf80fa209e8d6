// Routed experts (Shazeer et al., arXiv 1701.06538), and beside them an MLP of every token (arXiv
// 2401.06066 §3.2). Latent experts: the stream is projected to D_l before tokens go to their experts
// and back after they are summed, while router and shared experts work on the whole stream
// (NVIDIA-Nemotron-3-Super; NVIDIA/Megatron-LM megatron/core/transformer/moe/moe_layer.py,
// fc1_latent_proj and fc2_latent_proj).

#include "sim/base/dtype.h"
#include "strategies/model/layers/layer_parts.h"

namespace meshstep {
namespace {

// Tokens [B,T,width] at their experts, through the experts' MLPs: [B,T,A,width] to be combined.
ArrayId RoutedMlp(const LayerParts& p, ArrayId x, const std::string& width) {
  p.b.SetPart(Op::Part::kMlp);
  p.b.SetRouted(true);
  const Dims routed = {"B", "T", "A", width}, inner = {"B", "T", "A", "F_e"};
  const ArrayId sent = p.b.Activation("x_routed", routed);
  p.b.Other(Op::Kind::kDispatch, OpRole::kDispatch, "dispatch", {x}, {sent});
  std::vector<ParameterSpec> weights, biases;
  std::vector<ArrayId> outputs;
  if (p.model.gated_mlp) {
    weights.push_back({"W_gate_experts", {"E", width, "F_e"}});
    if (p.model.mlp_bias) biases.push_back({"b_gate_experts", {"E", "F_e"}});
    outputs.push_back(p.b.Activation("experts_gate", inner));
  }
  weights.push_back({"W_in_experts", {"E", width, "F_e"}});
  if (p.model.mlp_bias) biases.push_back({"b_in_experts", {"E", "F_e"}});
  outputs.push_back(p.b.Activation("experts_in", inner));
  Op& in = p.b.Matmul(OpRole::kExpertsIn, "experts_in", sent, weights, outputs, biases);
  in.kind = Op::Kind::kExperts;
  in.big_matmul = true;
  const ArrayId act =
      Activate(p, p.model.gated_mlp ? OpRole::kExpertGatedActivation : OpRole::kExpertActivation,
               "experts_act", p.model.gated_mlp ? outputs[0] : -1, outputs.back(), inner);
  biases.clear();
  if (p.model.mlp_bias) biases.push_back({"b_out_experts", {"E", width}});
  const ArrayId back = p.b.Activation("y_routed", routed);
  Op& out = p.b.Matmul(OpRole::kExpertsOut, "experts_out", act,
                       {{"W_out_experts", {"E", "F_e", width}}}, {back}, biases);
  out.kind = Op::Kind::kExperts;
  out.big_matmul = true;
  p.b.SetRouted(false);
  return back;
}

// The router's weight for each expert of a token.
ArrayId AddRouter(const LayerParts& p, ArrayId x) {
  p.b.SetPart(Op::Part::kRouter);
  p.b.SetSublayer(Op::Sublayer::kRouter);
  const ArrayId logits = p.b.Stream("router_logits", {"B", "T", "E"}, kFp32Bytes);
  p.b.Matmul(OpRole::kRouter, "router", x, {{"W_router", {"D", "E"}}}, {logits});
  const ArrayId scores = p.b.Stream("router_scores", {"B", "T", "E"}, kFp32Bytes);
  const ArrayId gates = p.b.Stream("gates", {"B", "T", "A"}, kFp32Bytes);
  std::vector<ArrayId> bias;
  if (p.model.moe->router_bias) bias.push_back(p.b.Parameter({"b_router", {"E"}}));
  Op& routing =
      p.b.Elementwise(OpRole::kRouting, "routing", {logits}, {scores, gates}, kRoutingFlops);
  routing.weights = bias;
  routing.saved = {scores, gates};
  return gates;
}

ArrayId AddSharedExperts(const LayerParts& p, ArrayId x) {
  const ArrayId shared = AddMlp(p, x, "shared", "F_s");
  if (!p.model.moe->shared_expert_gate) return shared;
  const ArrayId gate = p.b.Stream("shared_gate", {"B", "T"});
  p.b.Matmul(OpRole::kSharedGate, "shared_gate", x, {{"W_shared_gate", {"D"}}}, {gate});
  const ArrayId gated = p.b.Activation("shared_gated", kTokens);
  p.b.Elementwise(OpRole::kSharedGating, "shared_gating", {shared, gate}, {gated}, kAddFlops)
      .saved = {shared, gate};
  return gated;
}

}  // namespace

ArrayId AddExperts(const LayerParts& p, ArrayId x) {
  const ArrayId gates = AddRouter(p, x);
  p.b.SetSublayer(Op::Sublayer::kFeed);
  const bool latent = p.model.moe->latent > 0;
  const std::string width = latent ? "D_l" : "D";
  const Dims tokens = {"B", "T", width};
  ArrayId sent = x;
  if (latent) {
    p.b.SetPart(Op::Part::kMlp);
    sent = p.b.Stream("x_latent", tokens);
    p.b.Matmul(OpRole::kExpertLatent, "latent_in", x, {{"W_latent_in", {"D", "D_l"}}}, {sent})
        .big_matmul = true;
  }
  const ArrayId back = RoutedMlp(p, sent, width);
  ArrayId combined = p.b.Stream(latent ? "latent_branch" : "experts_branch", tokens);
  p.b.Other(Op::Kind::kCombine, OpRole::kCombine, "combine", {back, gates}, {combined}).saved = {
      back, gates};
  if (latent) {
    const ArrayId narrow = combined;
    combined = p.b.Activation("experts_branch", kTokens);
    p.b.Matmul(OpRole::kExpertLatent, "latent_out", narrow, {{"W_latent_out", {"D_l", "D"}}},
               {combined})
        .big_matmul = true;
  }
  if (p.model.moe->shared_experts == 0) return combined;
  const ArrayId shared = AddSharedExperts(p, x);
  const ArrayId sum = p.b.Activation("moe_branch", kTokens);
  p.b.Elementwise(OpRole::kSharedAdd, "shared_add", {combined, shared}, {sum}, kAddFlops);
  return sum;
}

}  // namespace meshstep
