#include "strategies/plan/parallelisms/parallelism.h"

namespace meshstep {

void AddTensorRules(AxisId axis, bool sequence_parallel, Rules* rules) {
  for (const char* dim : {"N", "K", "F", "V"}) {
    rules->compute.push_back({dim, {axis}});
    rules->parameters.push_back({dim, {axis}});
    rules->optimizer.push_back({dim, {axis}});
  }
  if (sequence_parallel) rules->residual.push_back({"T", {axis}});
}

}  // namespace meshstep
