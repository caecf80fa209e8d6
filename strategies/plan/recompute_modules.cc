#include "strategies/plan/recompute_modules.h"

namespace meshstep {

const std::vector<RecomputeModule>& Modules() {
  static const std::vector<RecomputeModule> modules = {
      {"layernorm", {"attention_norm", "mlp_norm"}},
      {"core_attn", {"attention"}},
      {"mla_up_proj",
       {"q_latent_norm", "q_up", "kv_latent_norm", "kv_up", "rotary", "q_norm_rotary"},
       {"kv_up", "q_norm_rotary"}},
      {"mlp", {"mlp_in", "mlp_act", "mlp_out"}},
      {"moe_act", {"experts_act"}},
      {"moe",
       {"router", "routing", "dispatch", "experts_in", "experts_act", "experts_out", "combine",
        "shared*"}}};
  return modules;
}

std::vector<std::string> RecomputeModules() {
  std::vector<std::string> names;
  for (const RecomputeModule& module : Modules()) names.emplace_back(module.name);
  return names;
}

}  // namespace meshstep
