// Two matrices with an activation between them, or three with a gate (Shazeer, arXiv 2002.05202).

#include "strategies/model/layers/layer_parts.h"

namespace meshstep {

ArrayId Activate(const LayerParts& p, OpRole role, const std::string& name, ArrayId gate,
                 ArrayId in, const Dims& dims) {
  const ArrayId out = p.b.Activation(name, dims);
  const std::vector<ArrayId> inputs = gate >= 0 ? std::vector{gate, in} : std::vector{in};
  const double flops = gate >= 0 ? kGatedActivationFlops : kActivationFlops;
  p.b.Elementwise(role, name, inputs, {out}, flops).saved = inputs;
  return out;
}

ArrayId AddMlp(const LayerParts& p, ArrayId x, const std::string& name, const std::string& width) {
  p.b.SetPart(Op::Part::kMlp);
  const Dims inner = {"B", "T", width};
  std::vector<ParameterSpec> weights, biases;
  std::vector<ArrayId> outputs;
  if (p.model.gated_mlp) {
    weights.push_back({"W_gate_" + name, {"D", width}});
    if (p.model.mlp_bias) biases.push_back({"b_gate_" + name, {width}});
    outputs.push_back(p.b.Activation(name + "_gate", inner));
  }
  weights.push_back({"W_in_" + name, {"D", width}});
  if (p.model.mlp_bias) biases.push_back({"b_in_" + name, {width}});
  outputs.push_back(p.b.Activation(name + "_in", inner));
  p.b.Matmul(OpRole::kMlpIn, name + "_in", x, weights, outputs, biases).big_matmul = true;
  const ArrayId act =
      Activate(p, p.model.gated_mlp ? OpRole::kGatedActivation : OpRole::kActivation, name + "_act",
               p.model.gated_mlp ? outputs[0] : -1, outputs.back(), inner);
  const ArrayId out = p.b.Activation(name + "_branch", kTokens);
  biases.clear();
  if (p.model.mlp_bias) biases.push_back({"b_out_" + name, {"D"}});
  p.b.Matmul(OpRole::kMlpOut, name + "_out", act, {{"W_out_" + name, {width, "D"}}}, {out}, biases)
      .big_matmul = true;
  return out;
}

}  // namespace meshstep
