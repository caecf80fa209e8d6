#include "strategies/framework/cuda_graphs.h"

#include "strategies/block/block_context.h"
#include "strategies/block/block_view.h"

namespace meshstep {

const char* GraphOf(const Op& op, const BlockView& pass) {
  const Kernels& kernels = pass.context().plan->kernels;
  switch (op.sublayer) {
    case Op::Sublayer::kNone:
      break;
    case Op::Sublayer::kAttention:
      return kernels.graphed_attention ? "attention" : nullptr;
    case Op::Sublayer::kRouter:
      return kernels.graphed_router ? "router" : nullptr;
    case Op::Sublayer::kFeed: {
      const bool of_every_token = op.kind == Op::Kind::kMatmul || op.kind == Op::Kind::kElementwise;
      const bool graphed = kernels.graphed_mlp && of_every_token && !pass.IsRouted(op.outputs[0]);
      return graphed ? "mlp" : nullptr;
    }
  }
  return nullptr;
}

}  // namespace meshstep
