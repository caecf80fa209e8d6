#include "strategies/plan/parallelisms/parallelism.h"

namespace meshstep {
namespace {

// For every rule of `from` one of `to`.
void CopyRules(const char* from, const char* to, std::vector<Rule>* rules) {
  std::vector<Rule> copies;
  for (const Rule& rule : *rules) {
    if (rule.dim == from) copies.push_back({to, rule.axes});
  }
  rules->insert(rules->end(), copies.begin(), copies.end());
}

// The axes of `all` that store expert parameters where `dense` stores the others.
std::vector<AxisId> StorageAxes(const std::vector<AxisId>& all, const std::vector<Rule>& dense,
                                const std::vector<Rule>& compute) {
  const Sharding hidden = Apply(dense, {"D"}), batch = Apply(compute, {"B"});
  std::vector<AxisId> others;
  bool any = false;
  for (const AxisId axis : all) {
    any |= hidden.Uses(axis);
    if (hidden.Uses(axis) || !batch.Uses(axis)) others.push_back(axis);
  }
  return any ? others : std::vector<AxisId>{};
}

}  // namespace

void AddExpertRules(const ExpertAxes& axes, Rules* rules) {
  std::vector<AxisId> tokens = axes.data;
  tokens.insert(tokens.end(), axes.expert.begin(), axes.expert.end());
  rules->experts.push_back({"B", tokens});
  for (auto* list : {&rules->experts, &rules->expert_parameters, &rules->expert_optimizer}) {
    list->push_back({"E", axes.expert});
    list->push_back({"F_e", axes.tensor});
  }
  const std::vector<AxisId> stored = StorageAxes(axes.data, rules->parameters, rules->compute);
  for (const AxisId axis : stored) {
    AddStorageRules(axis, &rules->expert_parameters);
    AddStorageRules(axis, &rules->expert_optimizer);
  }
  // What only the optimizer shards is minor: it leaves by a gather of its own.
  for (const AxisId axis : StorageAxes(axes.data, rules->optimizer, rules->compute)) {
    AddStorageRules(axis, &rules->expert_optimizer);
  }
  for (auto* list : {&rules->compute, &rules->parameters, &rules->optimizer}) {
    CopyRules("F", "F_s", list);
  }
}

void AddLatentRules(Rules* rules) {
  for (auto* list : {&rules->parameters, &rules->optimizer}) {
    for (const char* width : {"R_q", "R_kv", "R_o", "D_e"}) CopyRules("D", width, list);
  }
  // Groups of heads are where their heads are.
  for (auto* list : {&rules->compute, &rules->parameters, &rules->optimizer}) {
    CopyRules("N", "O", list);
  }
}

void AddStateRules(Rules* rules) {
  for (auto* list : {&rules->compute, &rules->parameters, &rules->optimizer}) {
    for (const char* heads : {"M", "G"}) CopyRules("N", heads, list);
  }
}

}  // namespace meshstep
