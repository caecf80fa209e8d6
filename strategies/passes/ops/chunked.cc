// Mixers with a state (strategies/model/model.h, StateMixer), on a sequence that c ranks share.
//
// Every rank runs the kernels on its own positions; what it must know of those before is one state
// of each sequence, M heads of M_v x M_k numbers in fp32, whatever the length:
//
//   ring        from rank to rank, each of which first adds what its positions leave: c - 1 hops of
//               one state (LASP, arXiv 2404.02882 §3); with balanced chunks there and back again,
//               2 (c - 1).
//   all-gather  every rank gets the states of all and sums those before it: c states, 2 c balanced
//               (LASP-2, arXiv 2502.07563 §3).
//   ulysses     instead of states, all-to-alls of the operands: heads take the place of the
//               sequence (NVIDIA/Megatron-LM megatron/core/ssm/mamba_context_parallel.py). The
//               algebra emits them: BlockView::Chunked.
//
// Then the kernels keep their operands as shards of the heads: backward exchanges gradients only.
//
// A convolution needs the W - 1 positions before its own: one hop. Backward hands the gradients of
// the states on the other way. Decode keeps the states and updates them with one position.

#include <set>
#include <string>
#include <vector>

#include "sim/base/dtype.h"
#include "strategies/block/block_context.h"
#include "strategies/block/block_view.h"
#include "strategies/passes/ops/composite.h"
#include "strategies/passes/pass_builder.h"

namespace meshstep {
namespace {

std::vector<AxisId> AxesOf(const Sharding& sharding, const char* dim) {
  const int at = sharding.Find(dim);
  return at < 0 ? std::vector<AxisId>{} : sharding.dims[static_cast<std::size_t>(at)].axes;
}

double RanksOf(const std::vector<AxisId>& axes, const BlockView& pass) {
  double ranks = 1;
  for (const AxisId axis : axes) ranks *= pass.context().plan->axis_size(axis);
  return ranks;
}

double ChunkedBytes(ArrayId array, const BlockView& pass) {
  return pass.LocalBytes(array, pass.Chunked(array));
}

// Of one state of every sequence on this device.
double StateOnce(const Op& op, const BlockView& pass) {
  double bytes = 0;
  for (const ArrayId state : op.mixer->state) bytes += pass.LocalBytes(state, pass.Used(state));
  return bytes;
}

Flops FlopsOf(const std::vector<Work>& list, const BlockView& pass) {
  Flops flops;
  for (const Work& work : list) {
    flops += Flops(work.flops * pass.context().LocalElements(pass.Chunked(work.of)));
  }
  return flops;
}

int Kernel(const std::string& name, Flops flops, Bytes bytes, const std::vector<int>& after,
           bool parameters, PassBuilder* pass) {
  const ComputeModel& compute = *pass->context().compute;
  const Dtype dtype = pass->context().plan->precision.activations;
  const Time time =
      flops.value() > 0 ? compute.Fused(flops, bytes, dtype) : compute.Elementwise(bytes);
  return pass->Compute(name, time, flops, after, parameters, bytes);
}

// The states of the ranks before this one; returns the step after which they are there.
int HandOn(const Op& op, int step, PassBuilder* pass) {
  const std::vector<AxisId> axes = AxesOf(pass->Chunked(op.inputs[0]), "T");
  const Plan& plan = *pass->context().plan;
  const double ranks = RanksOf(axes, *pass), parts = plan.context_balanced ? 2 : 1;
  if (ranks == 1) return step;
  const double state = StateOnce(op, *pass);
  if (!op.mixer->chained) {
    return pass->Transfer("last positions", Collective::kPermute, axes, Bytes(parts * state),
                          {step});
  }
  const bool gathers = plan.context_method == ContextMethod::kAllGather ||
                       plan.context_method == ContextMethod::kGatheredRing;
  if (gathers) {
    const Bytes all(ranks * parts * state);
    step = pass->Transfer("state", Collective::kAllGather, axes, all, {step});
    return Kernel("sum of states", Flops(), all + Bytes(parts * state), {step}, false, pass);
  }
  for (int hop = 0; hop < static_cast<int>(parts * (ranks - 1)); ++hop) {
    step = pass->Transfer("state", Collective::kPermute, axes, Bytes(state), {step});
    step = Kernel("add state", Flops(), Bytes(3 * state), {step}, false, pass);
  }
  return step;
}

int RunKernels(const Op& op, const std::vector<MixerKernel>& kernels, std::vector<int> after,
               PassBuilder* pass) {
  int step = after.front();
  for (const MixerKernel& kernel : kernels) {
    // The positions before come first; states are made first.
    if (kernel.hands_on && !op.mixer->chained) after.push_back(HandOn(op, step, pass));
    double bytes = 0;
    for (const ArrayId array : kernel.moves) bytes += ChunkedBytes(array, *pass);
    step = Kernel(kernel.name, FlopsOf(kernel.work, *pass), Bytes(bytes), after,
                  !op.weights.empty(), pass);
    if (kernel.hands_on && op.mixer->chained) step = HandOn(op, step, pass);
    after = {step};
  }
  return step;
}

// One position more: the states are read, updated and written.
int Update(const Op& op, const std::vector<int>& after, PassBuilder* pass) {
  double bytes = 2 * StateOnce(op, *pass);
  for (const auto* list : {&op.inputs, &op.outputs}) {
    for (const ArrayId array : *list) bytes += ChunkedBytes(array, *pass);
  }
  return Kernel(op.name + " update", FlopsOf(op.mixer->model_work, *pass), Bytes(bytes), after,
                !op.weights.empty(), pass);
}

}  // namespace

double ChunkedBuffers(const Op& op, const BlockView& pass) {
  std::set<ArrayId> inside;
  for (const auto* list : {&op.mixer->forward, &op.mixer->backward}) {
    for (const MixerKernel& kernel : *list) inside.insert(kernel.moves.begin(), kernel.moves.end());
  }
  for (const auto* list : {&op.inputs, &op.outputs}) {
    for (const ArrayId array : *list) inside.erase(array);
  }
  double bytes = 0;
  for (const ArrayId array : inside) bytes += ChunkedBytes(array, pass);
  return bytes;
}

double StateBytes(const Op& op, const BlockView& pass) {
  return StateOnce(op, pass) * static_cast<double>(pass.context().plan->micro_batches);
}

Status ChunkedForward(const Op& op, PassBuilder* pass) {
  std::vector<int> after;
  for (const ArrayId input : op.inputs) {
    ASSIGN_OR_RETURN(const int step, pass->Bring({input, false}, pass->Chunked(input)));
    after.push_back(step);
  }
  const Workload::Mode mode = pass->context().workload->mode;
  int step = -1;
  if (mode == Workload::Mode::kDecode) {
    step = Update(op, after, pass);
  } else {
    step = RunKernels(op, op.mixer->forward, after, pass);
    if (mode == Workload::Mode::kPrefill) {
      const Bytes kept(StateOnce(op, *pass));
      step = Kernel(op.name + " state", Flops(), kept, {step}, false, pass);
    }
  }
  for (const ArrayId output : op.outputs) {
    RETURN_IF_ERROR(pass->Finish({output, false}, pass->Chunked(output), step));
  }
  return absl::OkStatus();
}

Status ChunkedBackward(const Op& op, PassBuilder* pass) {
  std::vector<int> after;
  for (const ArrayId output : op.outputs) {
    if (!pass->IsDefined({output, true})) continue;
    ASSIGN_OR_RETURN(const int step, pass->Bring({output, true}, pass->Chunked(output)));
    after.push_back(step);
  }
  const int step = RunKernels(op, op.mixer->backward, after, pass);
  for (const ArrayId input : op.inputs) {
    // Keys that all ranks of the sequence have get a part of their gradient from the heads of each.
    Sharding natural = pass->Chunked(input);
    for (const AxisId axis : AxesOf(pass->Used(input), "T")) {
      if (op.mixer->chained && !natural.Uses(axis)) natural.unreduced.push_back(axis);
    }
    RETURN_IF_ERROR(pass->Finish({input, true}, natural, step));
  }
  return absl::OkStatus();
}

}  // namespace meshstep
