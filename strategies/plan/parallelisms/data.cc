#include "strategies/plan/parallelisms/parallelism.h"

namespace meshstep {

void AddDataRules(AxisId axis, int zero_stage, Rules* rules) {
  rules->compute.push_back({"B", {axis}});
  rules->residual.push_back({"B", {axis}});
  if (zero_stage >= 1) AddStorageRules(axis, &rules->optimizer);
}

}  // namespace meshstep
