#include "strategies/plan/parallelisms/parallelism.h"

namespace meshstep {

void AddStorageRules(AxisId axis, std::vector<Rule>* rules) {
  for (const char* dim : {"D", "V", "F", "N", "K", "H", "E"}) rules->push_back({dim, {axis}});
}

void AddFsdpRules(AxisId axis, Rules* rules) {
  rules->compute.push_back({"B", {axis}});
  rules->residual.push_back({"B", {axis}});
  AddStorageRules(axis, &rules->parameters);
  AddStorageRules(axis, &rules->optimizer);
}

}  // namespace meshstep
