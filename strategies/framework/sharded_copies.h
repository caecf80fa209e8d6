// What kernels move around the transfers of fully sharded parameters, on the stream of the matmuls.
//
// FSDP2 (torch/distributed/fsdp/_fully_shard/_fsdp_collectives.py) gathers into one buffer and,
// once that has arrived, copies each parameter out of it (foreach_all_gather_copy_out: every
// gathered element is read and written); before a reduce-scatter it lays the gradients of a layer
// out by rank in one buffer of the type in which they are reduced (foreach_reduce_scatter_copy_in,
// chunk_cat). Both run on the current stream. The copies of a rank's own shard before a gather are
// 1/n of that, on another stream, and are left out. FSDP1 computes with views of one flat
// parameter, which the gather fills in place; the gradient of a split is one concatenation
// (torch/distributed/fsdp/_flat_param.py _get_unflat_views_unaligned; derivatives.yaml
// split_with_sizes): gradients are read and written once, in their type.

#ifndef MESHSTEP_STRATEGIES_FRAMEWORK_SHARDED_COPIES_H_
#define MESHSTEP_STRATEGIES_FRAMEWORK_SHARDED_COPIES_H_

#include "strategies/block/block_view.h"

namespace meshstep {

// Of one parameter; 0 where it is stored as it is used.
double GatherCopyBytes(const BlockView& pass, ArrayId parameter);
double ReduceCopyBytes(const BlockView& pass, ArrayId parameter);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_FRAMEWORK_SHARDED_COPIES_H_
