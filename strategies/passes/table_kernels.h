// The rows of a plan's kernel table (strategies/plan/kernel_table.h) around an op, as steps of a
// pass, and the operations of the host that its steps stand for.

#ifndef MESHSTEP_STRATEGIES_PASSES_TABLE_KERNELS_H_
#define MESHSTEP_STRATEGIES_PASSES_TABLE_KERNELS_H_

#include "strategies/passes/pass_builder.h"

namespace meshstep {

// Emits a step for every row of `op` whose kernels run before or after it.
void AddTableKernels(const Op& op, bool backward, KernelRow::Place place, PassBuilder* pass);

// The steps of the pass from `first` on are those of `op`: adds what the host issues beside their
// kernels. graph: the part of the layer that the op before was captured with; becomes this op's.
void CountHostOps(const Op& op, bool backward, int first, const char** graph, PassBuilder* pass);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PASSES_TABLE_KERNELS_H_
