#include "sim/validation/run_recompute.h"

#include <regex>
#include <set>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace meshstep {
namespace {

// The first pattern found in the row's words gives the policy.
struct Policy {
  const char* pattern;
  const char* recompute;
  bool every_second_layer = false;
};

constexpr Policy kPolicies[] = {
    {"^$|^none|^selective \\[\\]", "none"},
    // torchtitan wraps every second layer (selective_ac_option "2", the default of
    // config_manager.py); as much work as half of the layers at the front.
    {"per 2nd layer|selective \\(layer\\)", "full", true},
    // torchtitan's option "op" (train_configs/llama3_8b.toml).
    {"torchtitan default option|per-op|llama3_8b\\.toml default", "alternate"},
    // MaxText keeps matmuls, all or all but one or two of a layer.
    {"minimal|save_dot|matmuls", "matmuls"},
    // MaxText policies that keep or offload a layer's input and some of its products (kKept); the
    // others run again.
    {"^custom|offloaded|save_.*out_proj", "full"},
    {"full", "full"},
    // Megatron-Core recompute_modules, by the table below.
    {"(^|[^a-z_])(mlp|moe)([^a-z_]|$)|norm|act([^a-z]|$)|mla_up_proj|mla up-proj", "modules"},
    // Megatron's core attention: nothing where the kernel is flash.
    {"selective", "selective"},
};

struct Module {
  const char* pattern;
  const char* name;
};
constexpr Module kModules[] = {{"norm", "layernorm"},
                               {"core_attn", "core_attn"},
                               {"mla_up_proj|mla up-proj", "mla_up_proj"},
                               {"(^|[^a-z_])mlp([^a-z_]|$)", "mlp"},
                               {"(^|[^a-z])act([^a-z]|$)", "moe_act"},
                               {"(^|[^a-z_])moe([^a-z_]|$)", "moe"}};
// Products that MaxText's and praxis's policies keep or offload, by the words of a row
// (MaxText remat_policy qkv_proj_offloaded and custom; praxis SAVE_QKV_OUT_PROJ).
struct Kept {
  const char* pattern;
  const char* op;
};
constexpr Kept kKept[] = {
    {"(^|[,/ ])q,k,v([,/ ]|$)|q/k/v proj|qkv_proj|save_qkv", "qkv"},
    {"(^|[, ])context([, ]|$)", "attention"},
    {"out/q/k/v|out_proj", "attention_out"},
    {"mlpwo([,; ]|$)", "mlp_out"},
};

void SetKept(const RunRow& row, const std::string& text, v1::Plan* plan) {
  std::set<std::string> ops;
  for (const Kept& kept : kKept) {
    if (std::regex_search(text, std::regex(kept.pattern))) ops.insert(kept.op);
  }
  for (const std::string& op : ops) plan->add_recompute_keep(op);
  if (row.Flag("drops_unread")) plan->set_recompute_drops_unread(true);
}

}  // namespace

Status SetRecompute(const RunRow& row, v1::Plan* plan) {
  std::string text = absl::AsciiStrToLower(row.ForModel("recompute"));
  if (const std::size_t recipe = text.find(" [recipe"); recipe != std::string::npos) {
    text.resize(recipe);
  }
  for (const Policy& policy : kPolicies) {
    if (!std::regex_search(text, std::regex(policy.pattern))) continue;
    if (std::string(policy.recompute) == "none") return absl::OkStatus();
    plan->set_recompute(policy.recompute);
    if (std::string(policy.recompute) == "modules") {
      for (const Module& module : kModules) {
        if (std::regex_search(text, std::regex(module.pattern))) {
          plan->add_recompute_modules(module.name);
        }
      }
    }
    SetKept(row, text, plan);
    const int layers = policy.every_second_layer ? row.Count("layers") / row.Count("pp", 1) / 2
                                                 : NumberIn(text, "block ([0-9]+) layers");
    if (layers > 0) plan->set_recompute_layers(layers);
    return absl::OkStatus();
  }
  return InvalidInput(absl::StrCat("recompute \"", row.Get("recompute"), "\" is not known"));
}

}  // namespace meshstep
