// What mixers with a state share: the short convolution before them and the gated norm after.

#include <memory>

#include "strategies/model/layers/layer_parts.h"

namespace meshstep {

std::vector<ArrayId> AddConvolution(const LayerParts& p, const std::vector<ArrayId>& inputs,
                                    bool bias) {
  const double products = 2 * static_cast<double>(DimSize(p.model, "W", 1, 1));
  auto mixer = std::make_shared<StateMixer>();
  MixerKernel forward{"causal_conv1d"}, backward{"causal_conv1d backward"};
  std::vector<ArrayId> outputs, weights;
  Dims tail = {"B", "W_t"};
  std::vector<ArrayId> tails;
  for (const ArrayId input : inputs) {
    const Dims dims = p.b.DimsOf(input);
    const std::string name = p.b.NameOf(input);
    const Dims channels(dims.begin() + 2, dims.end());
    Dims taps = channels;
    taps.emplace_back("W");
    outputs.push_back(p.b.Activation(name + "_mixed", dims));
    p.b.SetPlace(outputs.back(), Place::kChunked);
    weights.push_back(p.b.Parameter({"W_conv_" + name, taps}));
    if (bias) weights.push_back(p.b.Parameter({"b_conv_" + name, channels}));
    forward.work.push_back({input, products});
    forward.moves.insert(forward.moves.end(), {input, outputs.back()});
    // Gradients of the input and of the taps.
    backward.work.push_back({input, 2 * products});
    backward.moves.insert(backward.moves.end(), {input, outputs.back(), input});
    Dims kept = tail;
    kept.insert(kept.end(), channels.begin(), channels.end());
    mixer->state.push_back(p.b.Activation(name + "_tail", kept));
  }
  forward.hands_on = backward.hands_on = true;
  mixer->chained = false;
  mixer->model_work = forward.work;
  mixer->forward = {forward};
  mixer->backward = {backward};
  Op& op = p.b.Other(Op::Kind::kChunked, OpRole::kConvolution, "convolution", inputs, outputs);
  op.weights = weights;
  op.saved = inputs;
  op.mixer = std::move(mixer);
  return outputs;
}

ArrayId AddGatedNorm(const LayerParts& p, ArrayId y, ArrayId gate, const Dims& scale) {
  if (scale.empty() && gate < 0) return y;
  const ArrayId out = p.b.Activation("gated_norm", p.b.DimsOf(y));
  std::vector<ArrayId> inputs = {y}, weights;
  if (gate >= 0) inputs.push_back(gate);
  if (!scale.empty()) weights.push_back(p.b.Parameter({"gated_norm_scale", scale}));
  Op& op = p.b.Elementwise(OpRole::kGatedNorm, "gated_norm", inputs, {out}, kGatedActivationFlops);
  op.weights = weights;
  op.saved = inputs;
  return out;
}

}  // namespace meshstep
