#include "strategies/passes/table_kernels.h"

#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "strategies/framework/cuda_graphs.h"
#include "strategies/framework/kernel_sums.h"
#include "strategies/passes/pass_builder.h"

namespace meshstep {
namespace {

// The steps that made those of `arrays` that there are.
std::vector<int> Makers(const std::vector<ArrayId>& arrays, bool gradient,
                        const PassBuilder& pass) {
  std::vector<int> steps;
  for (const ArrayId array : arrays) {
    if (pass.IsDefined({array, gradient})) steps.push_back(pass.StepOf({array, gradient}));
  }
  return steps;
}

void AddKernel(const std::string& name, const KernelSum& kernel, bool backward, bool before,
               const Op& op, PassBuilder* pass) {
  const bool of_results = backward ? before : !before && kernel.makes_results;
  std::vector<int> after;
  if (of_results) after = Makers(op.outputs, backward, *pass);
  if (!backward && before) after = Makers(op.inputs, false, *pass);
  const int step = pass->Compute(name, TimeOf(kernel, *pass->context().compute), Flops(), after,
                                 false, Bytes(kernel.bytes));
  pass->SetHostOps(step, kernel.host_ops);
  if (kernel.for_weights) pass->MarkForWeights(step);
  if (backward || before || !kernel.makes_results) return;
  for (const ArrayId output : op.outputs) pass->Rewrite({output, false}, step);
}

}  // namespace

void AddTableKernels(const Op& op, bool backward, KernelRow::Place place, PassBuilder* pass) {
  const BlockContext& context = pass->context();
  if (context.workload->forward_only()) return;
  for (const KernelRow* row : RowsOf(op, backward, *pass)) {
    if (row->place != place) continue;
    const std::string name = absl::StrCat(op.name, " ", row->name.empty() ? row->label : row->name);
    for (const KernelSum& kernel : KernelsOf(*row, op, *pass)) {
      AddKernel(name, kernel, backward, place == KernelRow::Place::kBefore, op, pass);
    }
  }
}

void CountHostOps(const Op& op, bool backward, int first, const char** graph, PassBuilder* pass) {
  const char* before = *graph;
  *graph = GraphOf(op, *pass);
  if (*graph == nullptr) {
    pass->CountLaunches(first, ExtraHostOps(op, backward, *pass));
    return;
  }
  pass->LaunchAtOnce(first, before == nullptr || std::strcmp(before, *graph) != 0);
}

}  // namespace meshstep
