#include "strategies/load_plan_kernels.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "meshstep/v1/plan.pb.h"

namespace meshstep {
namespace {

constexpr double kMaxDispatch = 1e6;

// In the order of the enumerations.
constexpr std::array<const char*, 3> kLosses = {"fused", "eager", "megatron"};
constexpr std::array<const char*, 3> kAccumulations = {"none", "fused", "separate"};
constexpr std::array<const char*, 5> kNamedKernels = {"flash-1", "flash-2", "splash-1", "splash-2",
                                                      "splash-3"};

// Index of `value` in `names`; 0 if it is empty or wrong.
std::size_t IndexOf(const std::array<const char*, 3>& names, const std::string& value,
                    const std::string& field, Diagnostics* diagnostics) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (value == names[i]) return i;
  }
  if (!value.empty()) {
    diagnostics->Error(field,
                       absl::StrCat("is \"", value, "\", expected ", absl::StrJoin(names, ", ")));
  }
  return 0;
}

}  // namespace

Kernels LoadKernels(const v1::Kernels& proto, const std::string& field, Diagnostics* diagnostics) {
  Kernels kernels;
  kernels.loss =
      static_cast<Kernels::Loss>(IndexOf(kLosses, proto.loss(), field + ".loss", diagnostics));
  kernels.accumulation =
      static_cast<Kernels::Accumulation>(IndexOf(kAccumulations, proto.gradient_accumulation(),
                                                 field + ".gradient_accumulation", diagnostics));
  kernels.unfused_optimizer = proto.unfused_optimizer();
  kernels.host_dispatch_ns = proto.host_dispatch_ns();
  if (!(kernels.host_dispatch_ns >= 0 && kernels.host_dispatch_ns <= kMaxDispatch)) {
    diagnostics->Error(field + ".host_dispatch_ns", absl::StrCat("is ", kernels.host_dispatch_ns,
                                                                 ", expected 0 to ", kMaxDispatch));
    kernels.host_dispatch_ns = 0;
  }
  return kernels;
}

void LoadAttentionKernel(const std::string& kernel, const std::string& field, const Chip& chip,
                         Plan* plan, Diagnostics* diagnostics) {
  plan->unfused_attention = kernel == "unfused";
  if (kernel.empty() || kernel == "flash" || kernel == "unfused") return;
  if (std::find(kNamedKernels.begin(), kNamedKernels.end(), kernel) == kNamedKernels.end()) {
    diagnostics->Error(field + ".attention_kernel",
                       absl::StrCat("is \"", kernel, "\", expected flash, ",
                                    absl::StrJoin(kNamedKernels, ", "), " or unfused"));
    return;
  }
  plan->flash_kernel = kernel;
  if (!chip.calibration.attention_by_kernel.contains(kernel) &&
      !chip.calibration.blocks_by_kernel.contains(kernel)) {
    diagnostics->Note(absl::StrCat("attention kernel ", kernel, " was not measured on ", chip.name,
                                   "; its fastest is taken"));
  }
}

std::string AttentionKernelOf(const Plan& plan) {
  if (plan.unfused_attention) return "unfused";
  return plan.flash_kernel.empty() ? "flash" : plan.flash_kernel;
}

void ExpandKernels(const Kernels& kernels, v1::Kernels* proto) {
  proto->set_loss(kLosses[static_cast<std::size_t>(kernels.loss)]);
  proto->set_gradient_accumulation(kAccumulations[static_cast<std::size_t>(kernels.accumulation)]);
  proto->set_unfused_optimizer(kernels.unfused_optimizer);
  proto->set_host_dispatch_ns(kernels.host_dispatch_ns);
}

}  // namespace meshstep
