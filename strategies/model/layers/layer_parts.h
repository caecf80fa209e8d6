// What a layer is put together from: mixers of positions and MLPs, one file each beside this one.
// Each takes the normed stream x [B,T,D] and returns the branch [B,T,D] that is added to it.

#ifndef MESHSTEP_STRATEGIES_MODEL_LAYERS_LAYER_PARTS_H_
#define MESHSTEP_STRATEGIES_MODEL_LAYERS_LAYER_PARTS_H_

#include <string>
#include <vector>

#include "strategies/model/block_builder.h"
#include "strategies/model/model.h"

namespace meshstep {

struct LayerParts {
  const Model& model;  // its own layer is the one that is built
  const TransformerOptions& options;
  BlockBuilder& b;
};

// Full attention, or within a window or a chunk: softmax(q k^T) v for each head.
ArrayId AddAttention(const LayerParts& p, ArrayId x);
// Multi-head latent attention, arXiv 2405.04434 §2.1: queries and keys-values through low ranks,
// one rotary key for all heads. With Layer::indexer over the keys that it chooses.
ArrayId AddLatentAttention(const LayerParts& p, ArrayId x);
// Attention over a window and over compressed keys (DeepSeek-V4).
ArrayId AddCompressedAttention(const LayerParts& p, ArrayId x);
// The lightning indexer (DeepSeek-V3.2, arXiv 2512.02556 §2.1, eq. 1): I_{t,s} = sum over heads j of
// w_{t,j} relu(q_{t,j} · k_s); the top_k keys of each query [B,T,Z]. `queries`: what its queries are
// projected from, the compressed queries [B,T,R_q] or x. With compressed keys s is an entry.
ArrayId AddIndexer(const LayerParts& p, ArrayId x, ArrayId queries);
// A state-space layer: Mamba-2, or Mamba-1 where step sizes have a rank.
ArrayId AddMamba(const LayerParts& p, ArrayId x);
// A gated delta net; with a rank of decays Kimi delta attention.
ArrayId AddDeltaNet(const LayerParts& p, ArrayId x);
// Linear attention with a decay for each head.
ArrayId AddLinearAttention(const LayerParts& p, ArrayId x);
// A gated short convolution.
ArrayId AddShortConvolution(const LayerParts& p, ArrayId x);
// A convolution and a real-gated linear recurrent unit, times a second branch.
ArrayId AddRecurrentUnit(const LayerParts& p, ArrayId x);

// An MLP with inner width `width`; ops and arrays are called after `name`.
ArrayId AddMlp(const LayerParts& p, ArrayId x, const std::string& name, const std::string& width);
// Router, the experts of each token, and those that every token uses.
ArrayId AddExperts(const LayerParts& p, ArrayId x);

// Residual streams side by side: J copies of x; their sum; what one half of a layer reads, with the
// weights of all; the streams with its branch. `half` names ops and arrays.
struct StreamWeights {
  ArrayId x = -1, weights = -1;
};
ArrayId AddStreams(ArrayId x, BlockBuilder* b);
ArrayId SumStreams(ArrayId streams, BlockBuilder* b);
StreamWeights ReadStreams(const std::string& half, ArrayId streams, BlockBuilder* b);
ArrayId WriteStreams(const std::string& half, ArrayId streams, ArrayId weights, ArrayId branch,
                     BlockBuilder* b);

// Shared by the above.

// The kernel from projected heads to their outputs [B,T,N,head_out]; keys: of each query, -1: all.
ArrayId AddAttentionKernel(const LayerParts& p, ArrayId q, ArrayId k, ArrayId v,
                           const std::string& head_out, ArrayId keys = -1);
ArrayId ProjectHeads(const LayerParts& p, ArrayId heads, const std::string& head_out);
// Entries of compressed keys [B,T,out], as x is projected to [B,T,in] and gated over Q positions; ops
// and arrays are called after `name`, "" or "index_".
ArrayId AddCompressor(const LayerParts& p, ArrayId x, const std::string& name,
                      const std::string& in, const std::string& out);
// An activation function, times `in` where there is a gate; gate < 0: there is none.
ArrayId Activate(const LayerParts& p, OpRole role, const std::string& name, ArrayId gate,
                 ArrayId in, const Dims& dims);
// A causal convolution of each channel over W positions and silu (causal_conv1d of
// github.com/Dao-AILab/causal-conv1d): `inputs` in one kernel, whose results come back in the same
// order. heads[i]: dimensions of the channels of input i.
std::vector<ArrayId> AddConvolution(const LayerParts& p, const std::vector<ArrayId>& inputs,
                                    bool bias);
// The norm of a mixer's output before its projection, times a gate. scale: dimensions of its
// parameter, none without a norm; gate < 0: there is none.
ArrayId AddGatedNorm(const LayerParts& p, ArrayId y, ArrayId gate, const Dims& scale);

// Arithmetic per element on the vector unit.
inline constexpr double kAddFlops = 1, kDropoutAddFlops = 3, kRotaryFlops = 3;
inline constexpr double kGatedActivationFlops = 6, kActivationFlops = 8, kRoutingFlops = 6;
inline constexpr double kMaskBytes = 1, kInt32Bytes = 4;

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_MODEL_LAYERS_LAYER_PARTS_H_
