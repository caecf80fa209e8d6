#include "strategies/passes/framework_kernels.h"

#include <algorithm>
#include <string>

#include "strategies/block/block_view.h"
#include "strategies/passes/pass_builder.h"

namespace meshstep {
namespace {

using Kind = Op::Kind;

bool IsQkv(const Op& op) { return op.role == OpRole::kQkv; }

// The joint product whose queries `op` reads; nullptr: it is another op.
const Op* JointProduct(const Op& op, const Block& block) {
  if (op.inputs.empty()) return nullptr;
  for (const Op& product : block.ops) {
    if (IsQkv(product) && product.outputs[0] == op.inputs[0]) return &product;
  }
  return nullptr;
}

int AddKernel(const std::string& name, double bytes, PassBuilder* pass) {
  return pass->Compute(name, pass->context().compute->Elementwise(Bytes(bytes)), Flops(), {}, false,
                       Bytes(bytes));
}

void CopyHeads(const Op& op, bool backward, PassBuilder* pass) {
  const Op* product = JointProduct(op, pass->block());
  if (product == nullptr) return;
  const double q = pass->StoredBytes(product->outputs[0]);
  const double k = pass->StoredBytes(product->outputs[1]);
  const double v = pass->StoredBytes(product->outputs[2]);
  const bool unfused = op.kind == Kind::kAttention;
  if (unfused && !pass->context().plan->unfused_attention) return;
  if (backward) {
    AddKernel("qkv gradient copy", 2 * (q + k + v), pass);
    return;
  }
  if (unfused) {
    AddKernel("attention output copy", 2 * pass->StoredBytes(op.outputs[0]), pass);
    return;
  }
  const Model& model = *pass->context().model;
  if (model.kv_heads < model.heads) AddKernel("q copy", 2 * q, pass);
  AddKernel("v copy", 2 * v, pass);
}

void SumBiasGradients(const Op& op, PassBuilder* pass) {
  if (op.kind != Kind::kMatmul || op.biases.empty()) return;
  const Kernels::BiasGradients how = pass->context().plan->kernels.bias_gradients;
  if (IsQkv(op) && how == Kernels::BiasGradients::kButQkv) return;
  double bytes = 0;
  for (const ArrayId output : op.outputs) bytes += pass->StoredBytes(output);
  pass->MarkForWeights(AddKernel(op.name + " bias gradient", bytes, pass));
}

}  // namespace

void AddFrameworkKernels(const Op& op, bool backward, PassBuilder* pass) {
  const Kernels& kernels = pass->context().plan->kernels;
  if (pass->context().workload->forward_only()) return;
  const int first = pass->steps();
  if (kernels.copied_heads) CopyHeads(op, backward, pass);
  if (backward && kernels.bias_gradients != Kernels::BiasGradients::kFused) {
    SumBiasGradients(op, pass);
  }
  if (pass->steps() > first) pass->LaunchAtOnce(first, false);
}

}  // namespace meshstep
