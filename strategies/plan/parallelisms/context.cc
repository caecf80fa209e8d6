#include "strategies/plan/parallelisms/parallelism.h"

namespace meshstep {

void AddContextRules(AxisId axis, Rules* rules) {
  rules->compute.push_back({"T", {axis}});
  rules->residual.push_back({"T", {axis}});
}

void AddContextStorageRules(AxisId axis, bool shards_parameters, int zero_stage, Rules* rules) {
  if (shards_parameters) AddStorageRules(axis, &rules->parameters);
  if (shards_parameters || zero_stage >= 1) AddStorageRules(axis, &rules->optimizer);
}

}  // namespace meshstep
