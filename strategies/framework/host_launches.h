// How many operations the host of a framework issues for one op of a model, beyond one for each
// kernel and collective that is simulated: kernels that a simulated one stands for, and Python
// modules that cost more than a plain call. Counted from the frameworks' code.
//
// An operation is what PyTorch users call an op: the Python that calls it, its dispatch, autograd's
// record of it and the launch. What it costs is in the chip file (host_dispatch_ns).

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
