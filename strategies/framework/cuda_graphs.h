// Which parts of a layer CUDA graphs launch: one operation of the host where a graph begins, and none
// after.

#ifndef MESHSTEP_STRATEGIES_FRAMEWORK_CUDA_GRAPHS_H_
#define MESHSTEP_STRATEGIES_FRAMEWORK_CUDA_GRAPHS_H_

#include "strategies/block/block_view.h"

namespace meshstep {

// The part of a layer that one CUDA graph holds (Megatron-Core cuda_graph_scope attn, mlp,
// moe_router), of which `op` is one; nullptr: it is launched by itself.
const char* GraphOf(const Op& op, const BlockView& pass);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_FRAMEWORK_CUDA_GRAPHS_H_
