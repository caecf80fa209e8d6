#include "strategies/plan/load_recompute.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "meshstep/v1/plan.pb.h"
#include "strategies/plan/recompute_modules.h"

namespace meshstep {
namespace {

// In the order of the enumeration.
constexpr std::array<const char*, 6> kPolicies = {"none", "selective", "matmuls",
                                                  "full", "modules",   "alternate"};

// Products of strategies/model/transformer.cc, and attention.
constexpr std::array<const char*, 11> kOps = {
    "qkv",           "qkv_down", "q",       "q_up",       "kv_up",      "attention",
    "attention_out", "mlp_in",   "mlp_out", "experts_in", "experts_out"};

// The known of `names`; one sentence for each other.
std::vector<std::string> Known(const google::protobuf::RepeatedPtrField<std::string>& names,
                               const std::vector<std::string>& known, const std::string& field,
                               Diagnostics* diagnostics) {
  std::vector<std::string> result;
  for (int i = 0; i < names.size(); ++i) {
    if (std::find(known.begin(), known.end(), names[i]) != known.end()) {
      result.push_back(names[i]);
      continue;
    }
    diagnostics->Error(
        absl::StrCat(field, "[", i, "]"),
        absl::StrCat("is \"", names[i], "\", expected one of ", absl::StrJoin(known, ", ")));
  }
  return result;
}

void LoadModules(const v1::Plan& proto, const std::string& field, Plan* plan,
                 Diagnostics* diagnostics) {
  const bool modules = plan->recompute == Recompute::kModules;
  if (modules && proto.recompute_modules().empty()) {
    diagnostics->Error(field + ".recompute", "is \"modules\" without recompute_modules");
  }
  if (!modules && !proto.recompute_modules().empty()) {
    diagnostics->Error(field + ".recompute_modules",
                       absl::StrCat("is set with recompute \"", proto.recompute(),
                                    "\", expected it beside \"modules\""));
    return;
  }
  plan->recompute_modules = Known(proto.recompute_modules(), RecomputeModules(),
                                  field + ".recompute_modules", diagnostics);
}

void LoadLayers(const v1::Plan& proto, const std::string& field, Plan* plan,
                Diagnostics* diagnostics) {
  if (!proto.has_recompute_layers()) return;
  const std::string at = field + ".recompute_layers";
  plan->recompute_layers = proto.recompute_layers();
  if (plan->recompute_layers < 0) {
    diagnostics->Error(at, absl::StrCat("is ", plan->recompute_layers, ", expected 0 or more"));
  } else if (plan->recompute == Recompute::kNone) {
    diagnostics->Error(at, absl::StrCat("is ", plan->recompute_layers,
                                        " with recompute \"none\", expected it beside "
                                        "selective, matmuls, full or modules"));
  }
}

}  // namespace

void LoadRecompute(const v1::Plan& proto, const std::string& field, Plan* plan,
                   Diagnostics* diagnostics) {
  std::string policy = proto.recompute();
  if (policy.empty()) policy = "none";
  if (policy == "block") policy = "full";
  const auto at = std::find(kPolicies.begin(), kPolicies.end(), policy);
  if (at == kPolicies.end()) {
    diagnostics->Error(
        field + ".recompute",
        absl::StrCat("is \"", policy,
                     "\", expected none, selective, matmuls, alternate, full, block or modules"));
  } else {
    plan->recompute = static_cast<Recompute>(at - kPolicies.begin());
  }
  LoadModules(proto, field, plan, diagnostics);
  plan->recompute_keep = Known(proto.recompute_keep(), {kOps.begin(), kOps.end()},
                               field + ".recompute_keep", diagnostics);
  plan->recompute_drops_unread = proto.recompute_drops_unread();
  if (!plan->recompute_keep.empty() && plan->recompute == Recompute::kNone) {
    diagnostics->Error(field + ".recompute_keep",
                       "is given, but with recompute none nothing runs again");
  }
  LoadLayers(proto, field, plan, diagnostics);
}

void ExpandRecompute(const Plan& plan, v1::Plan* proto) {
  proto->set_recompute(kPolicies[static_cast<std::size_t>(plan.recompute)]);
  proto->mutable_recompute_modules()->Assign(plan.recompute_modules.begin(),
                                             plan.recompute_modules.end());
  for (const std::string& op : plan.recompute_keep) proto->add_recompute_keep(op);
  proto->set_recompute_drops_unread(plan.recompute_drops_unread);
  if (plan.recompute_layers >= 0) proto->set_recompute_layers(plan.recompute_layers);
}

}  // namespace meshstep
