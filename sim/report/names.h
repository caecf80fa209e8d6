// What things of a step are called in traces and charts.

#ifndef MESHSTEP_SIM_REPORT_NAMES_H_
#define MESHSTEP_SIM_REPORT_NAMES_H_

#include <span>
#include <string>
#include <string_view>

#include "strategies/lowering.h"

namespace meshstep {

// "forward", "recompute", "backward", "update".
std::string_view NameOf(Pass pass);
// "parameters", "gradients", "optimizer", "activations", "logits", "buffers", "unsharded",
// "workspace": names of styles as well.
std::string_view NameOf(MemoryBucket bucket);

// Axes joined by "+", major first.
std::string AxisNames(const StepGraph& step, std::span<const AxisId> axes);

// What the bytes of a collective over `ranks` are multiplied by for its bus bandwidth. Source:
// nccl-tests, doc/PERFORMANCE.md.
double BusFactor(Collective collective, double ranks);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_NAMES_H_
