#include "strategies/plan/load_muon.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "meshstep/v1/plan.pb.h"

namespace meshstep {
namespace {

// In the order of the enumeration.
constexpr std::array<const char*, 4> kMethods = {"duplicated", "distributed", "owner", "blockwise"};
constexpr int kMaxIterations = 64;

}  // namespace

void LoadMuon(const v1::Plan& proto, const std::string& field, Plan* plan,
              Diagnostics* diagnostics) {
  const v1::Muon& muon = proto.muon();
  const bool used = plan->precision.optimizer_kind().matrices == OptimizerKind::Matrices::kHidden;
  if (proto.has_muon() && !used) {
    diagnostics->Error(field + ".muon",
                       absl::StrCat("is given, but precision.optimizer is \"",
                                    plan->precision.optimizer, "\", expected muon beside it"));
  }
  if (used && (plan->offload.optimizer > 0 || plan->offload.parameters > 0)) {
    diagnostics->Error(field + ".offload",
                       "has optimizer state or parameters on the host, but muon works on whole "
                       "matrices on the devices; expected activations only");
  }
  if (!muon.method().empty()) {
    const auto at = std::find(kMethods.begin(), kMethods.end(), muon.method());
    if (at == kMethods.end()) {
      diagnostics->Error(field + ".muon.method",
                         absl::StrCat("is \"", muon.method(), "\", expected one of ",
                                      absl::StrJoin(kMethods, ", ")));
    } else {
      plan->muon.method = static_cast<Muon::Method>(at - kMethods.begin());
    }
  }
  if (!muon.has_iterations()) return;
  plan->muon.iterations = muon.iterations();
  if (muon.iterations() >= 1 && muon.iterations() <= kMaxIterations) return;
  diagnostics->Error(field + ".muon.iterations",
                     absl::StrCat("is ", muon.iterations(), ", expected 1 to ", kMaxIterations));
  plan->muon.iterations = 1;
}

void ExpandMuon(const Plan& plan, v1::Plan* proto) {
  if (plan.precision.optimizer_kind().matrices != OptimizerKind::Matrices::kHidden) return;
  v1::Muon* muon = proto->mutable_muon();
  muon->set_method(kMethods[static_cast<std::size_t>(plan.muon.method)]);
  muon->set_iterations(plan.muon.iterations);
}

}  // namespace meshstep
