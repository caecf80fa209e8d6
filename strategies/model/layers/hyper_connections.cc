// Hyper-connections (arXiv 2409.19606), as DeepSeek constrains them (mHC, arXiv 2512.24880 §4): J
// residual streams X [B,T,J,D]. Each half of a layer reads one stream, a weighted sum of the J, and
// writes a mixture of them plus its branch; the weights, J to read, J to write and J^2 to mix, come
// from all J D numbers of a position.

#include "sim/base/dtype.h"
#include "strategies/model/layers/layer_parts.h"

namespace meshstep {
namespace {

constexpr double kMixFlops = 2;
const Dims kStreams = {"B", "T", "J", "D"};

}  // namespace

ArrayId AddStreams(ArrayId x, BlockBuilder* b) {
  const ArrayId streams = b->Activation("streams", kStreams);
  b->Elementwise(OpRole::kStreamsIn, "streams_in", {x}, {streams}, 0);
  return streams;
}

ArrayId SumStreams(ArrayId streams, BlockBuilder* b) {
  const ArrayId x = b->Activation("x_summed", kTokens);
  b->Elementwise(OpRole::kStreamsOut, "streams_out", {streams}, {x}, kMixFlops);
  return x;
}

StreamWeights ReadStreams(const std::string& half, ArrayId streams, BlockBuilder* b) {
  b->SetPart(Op::Part::kResidual);
  StreamWeights read;
  read.weights = b->Stream(half + "_stream_weights", {"B", "T", "J_w"}, kFp32Bytes);
  b->Matmul(OpRole::kStreamWeights, half + "_stream_weights", streams,
            {{"W_" + half + "_streams", {"J", "D", "J_w"}}}, {read.weights},
            {{"b_" + half + "_streams", {"J_w"}}});
  read.x = b->Activation(half + "_stream", kTokens);
  b->Elementwise(OpRole::kStreamRead, half + "_stream_read", {streams, read.weights}, {read.x},
                 kMixFlops)
      .saved = {streams, read.weights};
  return read;
}

ArrayId WriteStreams(const std::string& half, ArrayId streams, ArrayId weights, ArrayId branch,
                     BlockBuilder* b) {
  b->SetPart(Op::Part::kResidual);
  const ArrayId out = b->Activation("streams_after_" + half, kStreams);
  b->Elementwise(OpRole::kStreamWrite, half + "_stream_write", {streams, branch, weights}, {out},
                 kMixFlops)
      .saved = {streams, branch, weights};
  return out;
}

}  // namespace meshstep
