#include "strategies/plan/load_offload.h"

#include "absl/strings/str_cat.h"
#include "meshstep/v1/plan.pb.h"

namespace meshstep {
namespace {

double Fraction(double value, const std::string& field, Diagnostics* diagnostics) {
  if (value >= 0 && value <= 1) return value;
  diagnostics->Error(field, absl::StrCat("is ", value, ", expected 0 to 1"));
  return 0;
}

}  // namespace

void LoadOffload(const v1::Plan& proto, const std::string& field, const Chip& chip, Plan* plan,
                 Diagnostics* diagnostics) {
  const v1::Offload& offload = proto.offload();
  const std::string at = field + ".offload";
  plan->offload.activations = Fraction(offload.activations(), at + ".activations", diagnostics);
  plan->offload.parameters = Fraction(offload.parameters(), at + ".parameters", diagnostics);
  plan->offload.optimizer = Fraction(offload.optimizer(), at + ".optimizer", diagnostics);
  if (plan->offload.any() && chip.datasheet.host.value() <= 0) {
    diagnostics->Error(at, absl::StrCat("is set, but the rate of the host link of ", chip.name,
                                        " is unknown; expected host_gbytes_per_s in its "
                                        "datasheet"));
  }
}

void ExpandOffload(const Plan& plan, v1::Plan* proto) {
  if (!plan.offload.any()) return;
  v1::Offload* out = proto->mutable_offload();
  out->set_activations(plan.offload.activations);
  out->set_parameters(plan.offload.parameters);
  out->set_optimizer(plan.offload.optimizer);
}

}  // namespace meshstep
