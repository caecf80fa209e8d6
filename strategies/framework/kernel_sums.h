// What an op costs beside its product, attention or collective: sums over the rows of the plan's
// kernel table (strategies/plan/kernel_table.h) that speak of it.
//
// Symbols: a bytes of an activation's element, n elements of an array on one device. A kernel moves
// the sum over its operands of n times the bytes of their type; kernels of a row run one after
// another: Elementwise(their bytes together), and a launch more for each but one.
//
// Example: "rms-norm" of eager PyTorch, forward: six kernels over the rows' elements, 28 + 4a bytes
// each element, and two on one number per row.

#ifndef MESHSTEP_STRATEGIES_FRAMEWORK_KERNEL_SUMS_H_
#define MESHSTEP_STRATEGIES_FRAMEWORK_KERNEL_SUMS_H_

#include <vector>

#include "strategies/block/block_view.h"

namespace meshstep {

struct KernelSum {
  double bytes = 0, kernels = 0;
  double strided_bytes = 0, strided_elements = 0;  // of kernels that compute where elements lie
  Seconds fixed = {};                              // beside bytes and launches
  double host_ops = 0;
  bool for_weights = false;  // nothing but gradients of parameters is written
  bool makes_results = false;
};

// In the order of the table.
std::vector<const KernelRow*> RowsOf(const Op& op, bool backward, const BlockView& pass);

// One for each kernel of the row that runs, over all units; the host's operations of a row that
// counts them itself come with the first.
std::vector<KernelSum> KernelsOf(const KernelRow& row, const Op& op, const BlockView& pass);
KernelSum SumOf(const KernelRow& row, const Op& op, const BlockView& pass);
// Over the rows whose kernels run instead of the op's fused one; 0 kernels: that one runs.
KernelSum KernelsInstead(const Op& op, bool backward, const BlockView& pass);
// Operations that the host issues beside those of kernels.
double ExtraHostOps(const Op& op, bool backward, const BlockView& pass);
// Bytes that the op holds beside its operands.
double HeldBytes(const Op& op, const BlockView& pass);
// The host waits for the device before it issues the op in forward.
bool HostWaitsBefore(const Op& op, const BlockView& pass);

// Of a role that is no op of a block: kernels over an array of `elements`, of `element_bytes` where
// a row says no type.
KernelSum SumOf(const Plan& plan, OpRole role, double elements, double element_bytes);
// Operations of the host for a role that is no op; `parameters`: the units of per PARAMETER.
double HostOpsOf(const Plan& plan, OpRole role, double parameters = 0);
bool HostWaitsBefore(const Plan& plan, OpRole role);

Time TimeOf(const KernelSum& sum, const ComputeModel& compute);

// Experts that one device holds.
double LocalExperts(const BlockView& pass);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_FRAMEWORK_KERNEL_SUMS_H_
