// Plan.kernels: read with checks, and written back.

#ifndef MESHSTEP_STRATEGIES_PLAN_LOAD_PLAN_KERNELS_H_
#define MESHSTEP_STRATEGIES_PLAN_LOAD_PLAN_KERNELS_H_

#include <string>

#include "sim/base/diagnostics.h"
#include "strategies/plan/plan.h"

namespace meshstep::v1 {
class Kernels;
class MemoryReserve;
class Plan;
}  // namespace meshstep::v1

namespace meshstep {

// `field` names the message in errors ("plan.kernels").
Kernels LoadKernels(const v1::Kernels& proto, const std::string& field, Diagnostics* diagnostics);

// Plan.memory_reserve; `field` names the plan.
MemoryReserve LoadMemoryReserve(const v1::MemoryReserve& proto, const std::string& field,
                                Diagnostics* diagnostics);
void ExpandMemoryReserve(const MemoryReserve& reserve, v1::Plan* proto);

// Plan.attention_kernel; `field` names the plan.
// `field` names the plan.
MemoryReserve LoadMemoryReserve(const v1::MemoryReserve& proto, const std::string& field,
                                Diagnostics* diagnostics);
void ExpandMemoryReserve(const MemoryReserve& reserve, v1::Plan* proto);

void LoadAttentionKernel(const std::string& kernel, const std::string& field, const Chip& chip,
                         Plan* plan, Diagnostics* diagnostics);
std::string AttentionKernelOf(const Plan& plan);

// `of_framework`: a framework's defaults stand below the message, so that every field is written out.
void ExpandKernels(const Kernels& kernels, bool of_framework, v1::Kernels* proto);

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PLAN_LOAD_PLAN_KERNELS_H_
