// Rows of a kernel table from the files of frameworks, with checks.

#ifndef MESHSTEP_STRATEGIES_PLAN_LOAD_KERNEL_TABLE_H_
#define MESHSTEP_STRATEGIES_PLAN_LOAD_KERNEL_TABLE_H_

#include "sim/base/catalog.h"
#include "sim/base/diagnostics.h"
#include "sim/base/status.h"
#include "strategies/plan/kernel_table.h"
#include "strategies/plan/plan.h"

namespace meshstep {

namespace v1 {
class OpRow;
class Plan;
}  // namespace v1

// Error: an unknown role, operand or type.
StatusOr<KernelRow> LoadKernelRow(const v1::OpRow& proto);

// The rows that hold for a loaded plan; `merged` is the message that it was loaded from, with the
// defaults of its framework. Rows of the framework `ideal` come first, for every plan.
KernelTable LoadKernelTable(const v1::Plan& merged, const Plan& plan, const Model& model,
                            const Cluster& cluster, const Catalog& catalog,
                            Diagnostics* diagnostics);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PLAN_LOAD_KERNEL_TABLE_H_
