#include "strategies/load_recompute.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "meshstep/v1/plan.pb.h"

namespace meshstep {
namespace {

// In the order of the enumeration.
constexpr std::array<const char*, 5> kPolicies = {"none", "selective", "matmuls", "full",
                                                  "modules"};

// Products of strategies/transformer.cc, and attention.
constexpr std::array<const char*, 11> kOps = {
    "qkv",           "qkv_down", "q",       "q_up",       "kv_up",      "attention",
    "attention_out", "mlp_in",   "mlp_out", "experts_in", "experts_out"};

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
                     "\", expected none, selective, matmuls, full, block or modules"));
  } else {
    plan->recompute = static_cast<Recompute>(at - kPolicies.begin());
  }
  for (int i = 0; i < proto.recompute_keep_size(); ++i) {
    const std::string& op = proto.recompute_keep(i);
    if (std::find(kOps.begin(), kOps.end(), op) == kOps.end()) {
      diagnostics->Error(
          absl::StrCat(field, ".recompute_keep[", i, "]"),
          absl::StrCat("is \"", op, "\", expected one of ", absl::StrJoin(kOps, ", ")));
      continue;
    }
    plan->recompute_keep.push_back(op);
  }
  plan->recompute_drops_unread = proto.recompute_drops_unread();
  if (!plan->recompute_keep.empty() && plan->recompute == Recompute::kNone) {
    diagnostics->Error(field + ".recompute_keep",
                       "is given, but with recompute none nothing runs again");
  }
}

void ExpandRecompute(const Plan& plan, v1::Plan* proto) {
  proto->set_recompute(kPolicies[static_cast<std::size_t>(plan.recompute)]);
  proto->mutable_recompute_modules()->Assign(plan.recompute_modules.begin(),
                                             plan.recompute_modules.end());
  for (const std::string& op : plan.recompute_keep) proto->add_recompute_keep(op);
  proto->set_recompute_drops_unread(plan.recompute_drops_unread);
}

}  // namespace meshstep
