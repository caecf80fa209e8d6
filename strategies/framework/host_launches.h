// How many operations the host of a framework issues for one op of a model.
//
// The problem. A framework that does not compile a step issues its kernels one by one from Python.
// Where that takes longer than the kernels, the host decides how long a step takes. The simulated
// steps of an op (strategies/block/lowered_block.h, BlockStep) are fewer than what the host issues:
// one may stand for several kernels, and some Python modules cost more than a plain call.
//
// Symbols.
//   operation  what PyTorch users call an op: the Python that calls it, its dispatch, autograd's
//              record of it and the launch
//   d          seconds of one operation: host_dispatch_ns of the plan's kernels, else of the chip
//   n          operations of an op in one direction: its simulated steps, and ExtraLaunches more
// The host is busy for d n (strategies/step/host_clock.h says when anybody waits for that).
//
// The invariant. Every count is of kernels and modules in a framework's code, at the file that its
// comment names; parts of an operation (a module, a bare launch, a loop) are ratios of two times
// measured on one host. None is fitted to a step. What a CUDA graph holds (GraphOf) is one
// operation where the graph begins, and none after.
//
// Complexity: constant for an op.
//
// Example: qkv with a bias in Megatron-LM v2.6 (megatron/mpu/layers.py): forward, the product and 1
// more that adds the bias; backward, beside the products, 2 more: the sum of the bias's gradient
// and its addition to the buffer of gradients.

#ifndef MESHSTEP_STRATEGIES_FRAMEWORK_HOST_LAUNCHES_H_
#define MESHSTEP_STRATEGIES_FRAMEWORK_HOST_LAUNCHES_H_

#include "strategies/block/block_view.h"

namespace meshstep {

double ExtraLaunches(const Op& op, bool backward, const BlockView& pass);

// The part of a layer that one CUDA graph holds (Megatron-Core cuda_graph_scope attn, mlp,
// moe_router), of which `op` is one; nullptr: it is launched by itself.
const char* GraphOf(const Op& op, const BlockView& pass);

// Of a checkpointed block: the states of the random number generators of host and device are read
// before forward and before recomputation, set for that, and set back after
// (torch/utils/checkpoint.py; megatron/mpu/random.py CheckpointFunction).
double CheckpointLaunches(const Plan& plan);

// Operations around a collective of FSDP: PyTorch copies parameters and gradients into and out of
// its flat buffers (torch/distributed/fsdp/_fully_shard/_fsdp_collectives.py: all_gather_copy_in,
// the gather, split_with_sizes_copy; chunk_cat, the reduce-scatter, a division).
double ShardedTransferLaunches(const Plan& plan);

// Of the optimizer, for a stage with that many parameters as the framework stores them.
double OptimizerLaunches(const Plan& plan, double parameters);
// Parameters of one op: projections of the same input are one, their biases another.
double ParametersOf(const Op& op);

// The host waits for the device before every forward and backward of a micro-batch.
// Megatron-LM 2 and 3: its timers around both synchronise (megatron/timers.py _Timer.start and
// stop, megatron/schedules.py forward_step and backward_step), and so does p2p_communication.py
// _communicate. Megatron-Core: p2p_communication.py does after a batched send and receive, which
// its 1F1B without virtual stages uses. DeepSpeed's pipeline engine does not (runtime/pipe/p2p.py).
bool WaitsBetweenActions(const Plan& plan);

// Tokens per expert go to the host before the all-to-all of dropless dispatch: Megatron-Core
// transformer/moe/token_dispatcher.py MoEAlltoAllTokenDispatcher, cuda_sync_point
// "before_ep_alltoall". With a capacity factor the sizes are known.
bool ReadsTokensPerExpert(const Plan& plan);

// Before a clamped activation of experts Megatron-Core copies a number of Python to the device
// (fused_bias_geglu.py, weighted_bias_quick_geglu_impl: torch.tensor(linear_offset, device=...)),
// and the host waits for the stream: a copy from memory that is not pinned.
bool CopiesNumberBefore(const Op& op, const BlockView& pass);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_FRAMEWORK_HOST_LAUNCHES_H_
