// The parts of a layer that Plan::recompute_modules may name.

#ifndef MESHSTEP_STRATEGIES_PLAN_RECOMPUTE_MODULES_H_
#define MESHSTEP_STRATEGIES_PLAN_RECOMPUTE_MODULES_H_

#include <string>
#include <string_view>
#include <vector>

namespace meshstep {

// Ops of a module by Megatron-Core's name for it (recompute_modules in transformer_config.py); a
// name that ends in * stands for all that begin so.
struct RecomputeModule {
  const char* name;
  std::vector<std::string_view> ops;
  std::vector<std::string_view> only_with = {};  // blocks with this module have one of these ops
};

const std::vector<RecomputeModule>& Modules();

// What Plan::recompute_modules may name.
std::vector<std::string> RecomputeModules();

}  // namespace meshstep

#endif  // MESHSTEP_STRATEGIES_PLAN_RECOMPUTE_MODULES_H_
