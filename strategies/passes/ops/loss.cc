#include "absl/strings/str_cat.h"
#include "sim/base/dtype.h"
#include "strategies/block/block_view.h"
#include "strategies/passes/ops/composite.h"
#include "strategies/passes/pass_builder.h"

namespace meshstep {
namespace {

constexpr double kOfferBytes = 8;  // fp32 value, int32 id

// Bytes per logit that a framework's kernels move on fp32 logits beyond what a fused kernel does
// (logits in, fp32 probabilities out, and back), and in how many kernels more.
struct LossKernels {
  double forward_bytes, backward_bytes;
  int forward, backward;
};
LossKernels ExtraOf(const Plan& plan) {
  const double logit = SizeOf(plan.precision.activations).value();
  const double read = kFp32Bytes, write = kFp32Bytes, cast = logit + write;
  const double fused = logit + write;
  switch (plan.kernels.loss) {
    case Kernels::Loss::kFused:
    case Kernels::Loss::kRecomputed:
      return {0, 0, 0, 0};
    case Kernels::Loss::kEager:
      // Log-softmax. Backward: the gradient is zeroed, then read with the output.
      return {cast + read + write - fused, write + read + read + write + cast - fused, 1, 2};
    case Kernels::Loss::kMegatron:
      // Maximum, difference, exponential, sum, quotient. Backward: product with the loss gradient.
      return {cast + read + 2 * (read + write) + read + read + write - fused,
              read + write + cast - fused, 5, 1};
    case Kernels::Loss::kMegatronCompiled:
      // Cast and maximum; difference, exponential and sum; quotient. Backward: one function.
      return {cast + read + 2 * write + read + write - fused, 0, 2, 0};
  }
  return {0, 0, 0, 0};
}

// `kernels` that move `bytes` per logit together, after `step`.
int AddKernels(const std::string& name, double bytes, int kernels, const Sharding& used,
               const Op& op, int step, PassBuilder* pass) {
  const double elements = pass->context().LocalElements(used);
  for (int i = 0; i < kernels; ++i) {
    const Bytes share(elements * bytes / kernels);
    step =
        pass->Compute(absl::StrCat(op.name, " ", name), pass->context().compute->Elementwise(share),
                      Flops(), {step}, false, share);
  }
  return step;
}

}  // namespace

bool KeepsLogits(const Plan& plan) { return plan.kernels.loss == Kernels::Loss::kRecomputed; }

// "eager", backward: PyTorch zeroes a gradient of the log-softmax's size, reads it with the
// log-softmax and writes one of fp32, of which the gradient of the logits is a cast. TorchInductor
// makes it in one kernel.
double LossBuffers(const Op& op, const BlockView& pass) {
  if (pass.context().workload->forward_only()) return 0;
  const Kernels& kernels = pass.context().plan->kernels;
  const double elements = pass.context().LocalElements(pass.Used(op.inputs[0]));
  if (kernels.loss == Kernels::Loss::kMegatronCompiled) return elements * kFp32Bytes;
  const bool eager = kernels.loss == Kernels::Loss::kEager &&
                     kernels.elementwise != Kernels::Elementwise::kInductor;
  return eager ? 2 * elements * kFp32Bytes : 0;
}

Status LossForward(const Op& op, PassBuilder* pass) {
  if (pass->context().workload->forward_only()) return SampleForward(op, pass);
  const ArrayId logits = op.inputs[0];
  const Sharding used = pass->Used(logits);
  ASSIGN_OR_RETURN(int step, pass->Bring({logits, false}, used));
  const LossKernels extra = ExtraOf(*pass->context().plan);
  step = AddKernels("kernel", extra.forward_bytes, extra.forward, used, op, step, pass);
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
  const LossKernels extra = ExtraOf(*pass->context().plan);
  const int last =
      AddKernels("backward kernel", extra.backward_bytes, extra.backward, used, op, step, pass);
  return pass->Finish({logits, true}, used, last);
}

}  // namespace meshstep
