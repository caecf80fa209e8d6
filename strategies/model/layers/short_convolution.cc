// A gated short convolution: y = W_out (c * conv(b * x)), where b, c and x are one projection of the
// stream and conv spans W positions of each channel (LFM2, arXiv 2511.23404; Hugging Face transformers
// modeling_lfm2.py, Lfm2ShortConv). The kernel of the convolution is causal_conv1d without an
// activation; both products are kernels of their own. Decode keeps W - 1 positions of b * x.
//
// FLOPs of a position and channel: 2 D · 3, 2 W, 2, 2 D.

#include "strategies/model/layers/layer_parts.h"

namespace meshstep {
namespace {

const Dims kChannels = {"B", "T", "M"};

ArrayId Times(const LayerParts& p, const std::string& name, ArrayId a, ArrayId gate) {
  const ArrayId out = p.b.Activation(name, kChannels);
  p.b.Elementwise(OpRole::kAttentionGating, name, {a, gate}, {out}, 1).saved = {a, gate};
  return out;
}

}  // namespace

ArrayId AddShortConvolution(const LayerParts& p, ArrayId x) {
  p.b.SetPart(Op::Part::kAttention);
  const bool bias = p.model.short_convolution->bias;
  std::vector<ParameterSpec> weights, biases;
  std::vector<ArrayId> streams;
  for (const std::string name : {"conv_b", "conv_c", "conv_x"}) {
    weights.push_back({"W_" + name, {"D", "M"}});
    if (bias) biases.push_back({"b_" + name, {"M"}});
    streams.push_back(p.b.Activation(name, kChannels));
  }
  p.b.Matmul(OpRole::kMixerIn, "conv_in", x, weights, streams, biases).big_matmul = true;
  const ArrayId gated = Times(p, "conv_gated", streams[2], streams[0]);
  const ArrayId mixed = AddConvolution(p, {gated}, bias)[0];
  const ArrayId y = Times(p, "conv_y", mixed, streams[1]);
  const ArrayId out = p.b.Activation("conv_branch", kTokens);
  std::vector<ParameterSpec> out_bias;
  if (bias) out_bias.push_back({"b_conv_out", {"D"}});
  p.b.Matmul(OpRole::kMixerOut, "conv_out", y, {{"W_conv_out", {"M", "D"}}}, {out}, out_bias)
      .big_matmul = true;
  return out;
}

}  // namespace meshstep
