#include "strategies/framework/host_launches.h"

#include <algorithm>
#include <cmath>

#include "strategies/block/block_context.h"
#include "strategies/block/block_view.h"
#include "strategies/framework/eager_elementwise.h"
#include "strategies/framework/expert_kernels.h"

namespace meshstep {
namespace {

using Kind = Op::Kind;
using Part = Op::Part;
using Launches = Kernels::Launches;

// A Transformer Engine module's Python beside its kernels, in operations: te.Linear takes 99.7 us
// of host time for its one kernel where torch.nn.Linear takes 37.1 us on GB200, 90.5 and 33.2 us on
// GH200 (NVIDIA/TransformerEngine issue 2053, 2025-08).
constexpr double kModule = 1.7;
// A kernel launched from C++ inside an operation, as TE's loop of cuBLAS calls over experts: 5 us
// (4 to 6 us: pegainfer) of the 13.5 us of an operation on the same kind of host (that issue).
constexpr double kBareLaunch = 0.37;
// An operation on tensors in a loop that does nothing else, without autograd: 8 us on A100
// (flagos-ai/Torch-FL pull request 27, 2026-07) of the 30.6 us of one in a model.
constexpr double kLoop = 0.26;
// Megatron-LM forks its random number generator around dropout of what is sharded: the states of
// two are read and written (megatron/mpu/random.py CudaRNGStatesTracker.fork).
constexpr double kForkGenerator = 4 * kLoop;
// Of a micro-batch: its tokens to the device and to the ranks of a tensor group, sizes first; masks
// and positions (megatron/mpu/data.py broadcast_data, megatron/utils.py
// get_ltor_masks_and_position_ids).
constexpr double kBatch = 15 * kLoop;

struct Extra {
  double forward = 0, backward = 0;
};

bool IsQkv(const Op& op) { return op.role == OpRole::kQkv; }

bool RepeatsKeys(const BlockView& pass) {
  const Model& model = *pass.context().model;
  return !model.mla && model.kv_heads < model.heads;
}

// Kernels of eager elementwise work but for the simulated one.
double EagerExtra(const Op& op, bool backward, const BlockView& pass) {
  return std::max(0, EagerElementwise(op, backward, pass).kernels - 1);
}

// torch.nn modules: torchtitan models/llama/model.py, llm-foundry models/layers. One nn.Linear for
// each weight; autograd adds their gradients to x.
Extra PyTorch(const Op& op, const BlockView& pass) {
  const double others = static_cast<double>(op.weights.size()) - 1;
  const Kernels& kernels = pass.context().plan->kernels;
  switch (op.kind) {
    case Kind::kMatmul: {
      const auto biases = static_cast<double>(op.biases.size());
      // Products and sums that are simulated stand for themselves.
      if (kernels.separate_projections) return {0, (kernels.separate_sums ? 0 : others) + biases};
      return {others, 3 * others + biases};
    }
    case Kind::kAttention: {
      // repeat_kv of k and v, the output made contiguous; flash backward runs three kernels.
      const double repeats = RepeatsKeys(pass) && !kernels.repeated_heads ? 2 : 0;
      return {1 + repeats, 2 + repeats};
    }
    case Kind::kElementwise:
      return {EagerExtra(op, false, pass), EagerExtra(op, true, pass)};
    case Kind::kEmbedding:
      return {0, 3};  // sorts the ids first
    case Kind::kExperts:
    case Kind::kLoss:
    case Kind::kDispatch:
    case Kind::kCombine:
    case Kind::kChunked:
    case Kind::kIndex:
      break;
  }
  return {};
}

// Without its fused softmax kernel Megatron-LM casts, scales, masks and casts back in kernels of
// their own (megatron/model/fused_softmax.py is_kernel_available: the local heads of a micro-batch
// are not a multiple of 4, or the sequence is longer than 2048).
double SoftmaxExtra(const Op& op, const BlockView& pass) {
  const BlockContext& context = pass.context();
  Sharding q = pass.Used(op.inputs[0]);
  std::erase_if(q.dims, [](const ShardedDim& d) { return d.name != "B" && d.name != "N"; });
  const double batches = context.LocalElements(q);
  const bool fused = std::fmod(batches, 4) == 0 && context.DimSize("T") <= 2048;
  return fused ? 0 : 4;
}

// Attention as four kernels in one simulated: two batched matmuls, softmax and dropout, and a copy
// of the result. Backward: four batched matmuls, of which those of q and k are scaled in a kernel
// each, dropout, softmax, and the concatenation of q, k and v.
Extra UnfusedKernels(const Op& op, const BlockView& pass) {
  const double dropout = pass.context().plan->dropout ? 1 : 0;
  const double softmax = SoftmaxExtra(op, pass);
  return {3 + dropout * (1 + kForkGenerator) + softmax, 7 + dropout + softmax};
}

// megatron/model/transformer.py, megatron/mpu/layers.py and megatron/model/distributed.py of v2.6
// (2021): bias and GELU, and bias, dropout and sum, are each one kernel; only the bias of qkv is
// added by itself. Each parameter's gradient is added to a buffer by a hook; that of matmuls'
// weights is simulated.
Extra MegatronLm(const Op& op, const BlockView& pass) {
  switch (op.kind) {
    case Kind::kMatmul: {
      const double biases = op.biases.empty() ? 0 : 1;
      // The sum of the bias's gradient is qkv's own, else in the backward of what adds it.
      return IsQkv(op) ? Extra{biases, 2 * biases} : Extra{0, biases};
    }
    case Kind::kAttention:
      return pass.context().plan->unfused_attention ? UnfusedKernels(op, pass) : Extra{1, 3};
    case Kind::kElementwise: {
      const bool norm = IsNorm(op.role);
      // megatron/fused_kernels/layer_norm_cuda_kernel.cu: three kernels; two parameters.
      if (norm) return {0, 2 + static_cast<double>(op.weights.size())};
      // The bias's gradient; after a residual sum also that of the two branches.
      const double bias = pass.context().model->mlp_bias ? 1 : 0;
      const double sum = pass.context().plan->kernels.separate_sums ? 0 : 1;
      return {0, op.part == Part::kResidual ? bias + sum : op.part == Part::kMlp ? bias : 0};
    }
    case Kind::kEmbedding: {
      // mpu/layers.py VocabParallelEmbedding masks ids and rows where the table is split; then
      // positions are looked up and added.
      const Sharding table = pass.Used(op.weights[0]);
      const int rows = table.Find("V");
      const bool split = rows >= 0 && !table.dims[static_cast<std::size_t>(rows)].axes.empty();
      return {kBatch + (split ? 8.0 : 3.0), 4};
    }
    case Kind::kLoss:
      return {6, 2};  // mask, sum, division, mean over the replicas
    case Kind::kExperts:
    case Kind::kDispatch:
    case Kind::kCombine:
    case Kind::kChunked:
    case Kind::kIndex:
      break;
  }
  return {};
}

Extra CoreElementwise(const Op& op, const BlockView& pass) {
  switch (op.part) {
    case Part::kNorm:
      return {0, 1};
    case Part::kAttention:
      // A fused kernel for each of q and k, and before it a norm module for each.
      if (op.weights.empty()) return {1, 1};
      return {3 + 2 * kModule, 5 + 2 * kModule};
    case Part::kRouter:
      // transformer/moe/router.py and moe_utils.py: gating in fp32 (two casts), softmax, top-k,
      // two scatters into zeros, the auxiliary loss; backward the same without the routing map.
      return {13, 11};
    case Part::kMlp: {
      const double clamps = ClampBytes(op, false, pass) > 0 ? kClampKernels : 0;
      return {clamps, (pass.context().model->mlp_bias ? 1.0 : 0) + clamps};
    }
    case Part::kResidual:
      // The gradients of the two branches.
      return {0, pass.context().plan->kernels.separate_sums ? 0.0 : 1.0};
    case Part::kEmbedding:
    case Part::kHead:
      break;
  }
  return {};
}

// Megatron-Core 0.8 to 0.12 with Transformer Engine: core/transformer/transformer_layer.py,
// attention.py, mlp.py; extensions/transformer_engine.py; transformer/moe.
Extra MegatronCore(const Op& op, const BlockView& pass) {
  switch (op.kind) {
    case Kind::kMatmul:
      return op.big_matmul ? Extra{kModule, kModule} : Extra{};
    case Kind::kAttention: {
      if (pass.context().plan->unfused_attention) return UnfusedKernels(op, pass);
      // The module, q made contiguous; backward three kernels and the concatenation of q, k, v.
      return {kModule + 1, kModule + 3};
    }
    case Kind::kElementwise:
      return CoreElementwise(op, pass);
    case Kind::kExperts: {
      // module/grouped_linear.py: a matmul for each expert of the rank, and its casts.
      const bool casts = pass.context().plan->precision.quantised();
      const double launches =
          kModule + kBareLaunch * (LocalExperts(pass) + (casts ? pass.CastsOf(op) - 1 : 0));
      // One kernel of what adds biases is simulated.
      return {launches - 1 + std::max(0.0, ExpertBiasKernels(op, false, pass) - 1),
              launches + kBareLaunch * LocalExperts(pass) - 2 +
                  std::max(0.0, ExpertBiasKernels(op, true, pass) - 1)};
    }
    case Kind::kDispatch:
      // token_dispatcher.py preprocess (counts, their gather, four copies to the host), the row map
      // of the fused permutation, probabilities in an all-to-all of their own, sort by expert.
      return {17, 5};
    case Kind::kCombine:
      return {2, 2};
    case Kind::kEmbedding:
      return {3, 4};
    case Kind::kLoss:
      return {6, 2};
    case Kind::kChunked:
    case Kind::kIndex:
      break;
  }
  return {};
}

}  // namespace

double ExtraLaunches(const Op& op, bool backward, const BlockView& pass) {
  Extra extra;
  switch (pass.context().plan->kernels.launches) {
    case Launches::kNone:
    case Launches::kKernels:
      break;
    case Launches::kPyTorch:
      extra = PyTorch(op, pass);
      break;
    case Launches::kMegatronLm:
    case Launches::kMegatronDeepSpeed:
      extra = MegatronLm(op, pass);
      break;
    case Launches::kMegatronCore:
      extra = MegatronCore(op, pass);
      break;
  }
  return std::max(0.0, backward ? extra.backward : extra.forward);
}

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
      const bool of_every_token = op.kind == Kind::kMatmul || op.kind == Kind::kElementwise;
      const bool graphed = kernels.graphed_mlp && of_every_token && !pass.IsRouted(op.outputs[0]);
      return graphed ? "mlp" : nullptr;
    }
  }
  return nullptr;
}

double CheckpointLaunches(const Plan& plan) {
  const Launches launches = plan.kernels.launches;
  return launches == Launches::kNone || launches == Launches::kKernels ? 0 : 8 * kLoop;
}

double ShardedTransferLaunches(const Plan& plan) {
  return plan.kernels.launches == Launches::kPyTorch ? 4 : 1;
}

double OptimizerLaunches(const Plan& plan, double parameters) {
  // Megatron-LM optimizer/optimizer.py _copy_model_grads_to_main_grads: a cast for each parameter.
  // Updates, norms and copies back are a few multi-tensor kernels.
  return plan.kernels.launches == Launches::kMegatronLm ? 1 + kLoop * parameters : 1;
}

double ParametersOf(const Op& op) {
  const bool matmul = op.kind == Kind::kMatmul || op.kind == Kind::kExperts;
  if (matmul) return op.biases.empty() ? 1 : 2;
  return static_cast<double>(op.weights.size());
}

bool WaitsBetweenActions(const Plan& plan) {
  switch (plan.kernels.launches) {
    case Launches::kMegatronLm:
      return true;
    case Launches::kMegatronCore:
      return plan.stages > 1 && plan.virtual_stages == 1;
    case Launches::kNone:
    case Launches::kKernels:
    case Launches::kPyTorch:
    case Launches::kMegatronDeepSpeed:
      break;
  }
  return false;
}

bool CopiesNumberBefore(const Op& op, const BlockView& pass) {
  return pass.context().plan->kernels.launches == Launches::kMegatronCore &&
         ClampBytes(op, false, pass) > 0;
}

bool ReadsTokensPerExpert(const Plan& plan) {
  return plan.kernels.launches == Launches::kMegatronCore && plan.capacity_factor == 0;
}

}  // namespace meshstep
