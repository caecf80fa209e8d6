#include "absl/strings/str_cat.h"
#include "sim/base/dtype.h"
#include "strategies/block/block_view.h"
#include "strategies/passes/ops/composite.h"
#include "strategies/passes/pass_builder.h"

namespace meshstep {
namespace {

constexpr double kOfferBytes = 8;  // fp32 value, int32 id

}  // namespace

bool KeepsLogits(const Plan& plan) { return plan.kernels.loss == Kernels::Loss::kRecomputed; }

Status LossForward(const Op& op, PassBuilder* pass) {
  if (pass->context().workload->forward_only()) return SampleForward(op, pass);
  const ArrayId logits = op.inputs[0];
  const Sharding used = pass->Used(logits);
  ASSIGN_OR_RETURN(int step, pass->Bring({logits, false}, used));
  const ComputeModel& compute = *pass->context().compute;
  const Bytes read(pass->LocalBytes(logits, used));
  // Probabilities that backward makes again are not written.
  const bool written = !KeepsLogits(*pass->context().plan);
  const Bytes write(written ? pass->LocalBytes(op.outputs[0], used) : 0);
  const int v = used.Find("V");
  CHECK_GE(v, 0) << "logits without a vocabulary ";
  const std::vector<AxisId>& axes = used.dims[static_cast<std::size_t>(v)].axes;
  if (axes.empty()) {
    pass->Compute(op.name, compute.Elementwise(read + write), Flops(), {step}, false, read + write);
    return absl::OkStatus();
  }
  // Row maxima and sums of one's own shard, then the probabilities from everybody's.
  step = pass->Compute(op.name, compute.Elementwise(read), Flops(), {step}, false, read);
  Sharding rows = used;
  rows.dims.erase(rows.dims.begin() + v);
  const double row_bytes = pass->context().LocalElements(rows) * kFp32Bytes;
  for (const char* what : {"row maximum", "row sum", "target logit"}) {
    step = pass->Transfer(what, Collective::kAllReduce, axes, Bytes(row_bytes), {step});
  }
  pass->Compute("softmax", compute.Elementwise(read + write), Flops(), {step}, false, read + write);
  return absl::OkStatus();
}

Status SampleForward(const Op& op, PassBuilder* pass) {
  const ArrayId logits = op.inputs[0];
  Sharding used = pass->Used(logits);
  ASSIGN_OR_RETURN(const int step, pass->Bring({logits, false}, used));
  const Bytes read(pass->LocalBytes(logits, used));
  const int best = pass->Compute("sample", pass->context().compute->Elementwise(read), Flops(),
                                 {step}, false, read);
  const int v = used.Find("V");
  CHECK_GE(v, 0) << "logits without a vocabulary ";
  const std::vector<AxisId> axes = used.dims[static_cast<std::size_t>(v)].axes;
  if (axes.empty()) return absl::OkStatus();
  double offers = 1;
  for (const AxisId axis : axes) offers *= pass->context().plan->axis_size(axis);
  used.dims.erase(used.dims.begin() + v);
  pass->Transfer("best tokens", Collective::kAllGather, axes,
                 Bytes(offers * pass->context().LocalElements(used) * kOfferBytes), {best});
  return absl::OkStatus();
}

Status LossBackward(const Op& op, PassBuilder* pass) {
  const ArrayId logits = op.inputs[0];
  const Sharding used = pass->Used(logits);
  const ArrayId read = KeepsLogits(*pass->context().plan) ? logits : op.outputs[0];
  const Bytes bytes(pass->LocalBytes(logits, used) + pass->LocalBytes(read, used));
  const int step = pass->Compute(op.name + " backward", pass->context().compute->Elementwise(bytes),
                                 Flops(), {PassBuilder::kInput}, false, bytes);
  return pass->Finish({logits, true}, used, step);
}

}  // namespace meshstep
