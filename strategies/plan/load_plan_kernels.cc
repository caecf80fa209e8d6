#include "strategies/plan/load_plan_kernels.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <span>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "meshstep/v1/plan.pb.h"

namespace meshstep {
namespace {

constexpr double kMaxDispatch = 1e6, kMaxWorkspace = 1e12, kMaxTileRows = 65536;

// In the order of the enumerations.
constexpr const char* kLosses[] = {"fused", "eager", "megatron", "megatron-compiled", "recomputed"};
constexpr const char* kAccumulations[] = {"none", "fused", "separate"};
constexpr const char* kLaunches[] = {
    "none", "kernels", "pytorch", "megatron-lm", "megatron-deepspeed", "megatron-core"};
constexpr const char* kElementwise[] = {"fused", "eager", "inductor"};
constexpr const char* kSums[] = {"fused", "separate"};
constexpr const char* kProjections[] = {"joined", "separate"};
constexpr const char* kTensorTransfers[] = {"megatron", "dtensor"};
constexpr const char* kShardedCopies[] = {"none", "flat", "each"};
constexpr const char* kBiasGradients[] = {"fused", "separate", "but-qkv"};
constexpr const char* kGradientPasses[] = {"zero", "check", "scale", "cast"};
constexpr const char* kExperts[] = {"grouped", "each", "fused"};
constexpr const char* kGraphs[] = {"attention", "mlp", "router"};

// What repeated fields hold to hold nothing, where a framework's default stands below them.
constexpr char kNone[] = "none";

// Index of `value` in `names`; 0 if it is empty or wrong.
std::size_t IndexOf(std::span<const char* const> names, const std::string& value,
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

void LoadGraphs(const v1::Kernels& proto, const std::string& field, Kernels* kernels,
                Diagnostics* diagnostics) {
  bool* const parts[] = {&kernels->graphed_attention, &kernels->graphed_mlp,
                         &kernels->graphed_router};
  if (proto.graphs_size() == 1 && proto.graphs(0) == kNone) return;
  for (const std::string& part : proto.graphs()) {
    const std::size_t i = IndexOf(kGraphs, part, field + ".graphs", diagnostics);
    if (part == kGraphs[i]) *parts[i] = true;
  }
  if (proto.graphs().empty() || kernels->launches != Kernels::Launches::kNone) return;
  diagnostics->Error(field + ".graphs",
                     "needs launches other than none, without which no kernel is launched");
}

// Kernels that cannot run beside each other.
void CheckTogether(const v1::Kernels& proto, const std::string& field, Diagnostics* diagnostics) {
  if (proto.expert_tile_rows() > 0 && !proto.experts().empty() && proto.experts() != "grouped") {
    diagnostics->Error(field + ".expert_tile_rows",
                       absl::StrCat("is ", proto.expert_tile_rows(), " beside experts \"",
                                    proto.experts(), "\", expected grouped beside it"));
  }
  if (proto.copied_heads() && proto.projections() == "separate") {
    diagnostics->Error(field + ".copied_heads",
                       "is true beside projections \"separate\", which are in arrays of their own");
  }
  if (proto.copied_heads() && proto.repeated_heads()) {
    diagnostics->Error(field + ".copied_heads",
                       "is true beside repeated_heads, which copy keys and values already");
  }
}

void LoadGradientKernels(const v1::Kernels& proto, const std::string& field, Kernels* kernels,
                         Diagnostics* diagnostics) {
  bool* const passes[] = {&kernels->zeroes_gradients, &kernels->checks_gradients,
                          &kernels->scales_gradients, &kernels->casts_gradients};
  for (const std::string& pass : proto.gradient_passes()) {
    if (proto.gradient_passes_size() == 1 && pass == kNone) break;
    const std::size_t i = IndexOf(kGradientPasses, pass, field + ".gradient_passes", diagnostics);
    if (pass == kGradientPasses[i]) *passes[i] = true;
  }
  kernels->bias_gradients = static_cast<Kernels::BiasGradients>(
      IndexOf(kBiasGradients, proto.bias_gradients(), field + ".bias_gradients", diagnostics));
  kernels->copied_heads = proto.copied_heads();
  kernels->dense_embedding_gradient = proto.dense_embedding_gradient();
}

void LoadLaunches(const v1::Kernels& proto, const std::string& field, Kernels* kernels,
                  Diagnostics* diagnostics) {
  kernels->launches = static_cast<Kernels::Launches>(
      IndexOf(kLaunches, proto.launches(), field + ".launches", diagnostics));
  if (!proto.has_host_dispatch_ns()) return;
  const double dispatch = proto.host_dispatch_ns();
  if (!(dispatch >= 0 && dispatch <= kMaxDispatch)) {
    diagnostics->Error(field + ".host_dispatch_ns",
                       absl::StrCat("is ", dispatch, ", expected 0 to ", kMaxDispatch));
    return;
  }
  kernels->host_dispatch_ns = dispatch;
  if (proto.launches().empty() && dispatch > 0) kernels->launches = Kernels::Launches::kKernels;
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
  const std::size_t experts = IndexOf(kExperts, proto.experts(), field + ".experts", diagnostics);
  kernels.each_expert = experts == 1;
  kernels.fused_experts = experts == 2;
  kernels.expert_tile_rows = proto.expert_tile_rows();
  const double rows = kernels.expert_tile_rows;
  if (!(rows == 0 || (rows >= 1 && rows <= kMaxTileRows))) {
    diagnostics->Error(field + ".expert_tile_rows",
                       absl::StrCat("is ", rows, ", expected 0, or 1 to ", kMaxTileRows));
    kernels.expert_tile_rows = 0;
  }
  kernels.eager_expert_bias = proto.eager_expert_bias();
  kernels.eager_expert_clamp = proto.eager_expert_clamp();
  kernels.eager_rotary = proto.eager_rotary();
  kernels.elementwise = static_cast<Kernels::Elementwise>(
      IndexOf(kElementwise, proto.elementwise(), field + ".elementwise", diagnostics));
  kernels.separate_sums =
      IndexOf(kSums, proto.gradient_sums(), field + ".gradient_sums", diagnostics) == 1;
  kernels.separate_projections =
      IndexOf(kProjections, proto.projections(), field + ".projections", diagnostics) == 1;
  kernels.sharded_copies = static_cast<Kernels::ShardedCopies>(
      IndexOf(kShardedCopies, proto.sharded_copies(), field + ".sharded_copies", diagnostics));
  kernels.repeated_heads = proto.repeated_heads();
  kernels.dtensor = IndexOf(kTensorTransfers, proto.tensor_transfers(), field + ".tensor_transfers",
                            diagnostics) == 1;
  CheckTogether(proto, field, diagnostics);
  LoadLaunches(proto, field, &kernels, diagnostics);
  LoadGraphs(proto, field, &kernels, diagnostics);
  LoadGradientKernels(proto, field, &kernels, diagnostics);
  kernels.library_workspace_bytes = proto.library_workspace_bytes();
  if (!(kernels.library_workspace_bytes >= 0 && kernels.library_workspace_bytes <= kMaxWorkspace)) {
    diagnostics->Error(
        field + ".library_workspace_bytes",
        absl::StrCat("is ", kernels.library_workspace_bytes, ", expected 0 to ", kMaxWorkspace));
    kernels.library_workspace_bytes = 0;
  }
  return kernels;
}

MemoryReserve LoadMemoryReserve(const v1::MemoryReserve& proto, const std::string& field,
                                Diagnostics* diagnostics) {
  const auto in_range = [&](const char* name, double value, double most) {
    if (value >= 0 && value <= most) return value;
    diagnostics->Error(absl::StrCat(field, ".memory_reserve.", name),
                       absl::StrCat("is ", value, ", expected 0 to ", most));
    return 0.0;
  };
  return {in_range("context_bytes", proto.context_bytes(), kMaxWorkspace),
          in_range("allocator_fraction", proto.allocator_fraction(), 1),
          in_range("communication_bytes", proto.communication_bytes(), kMaxWorkspace)};
}

void ExpandMemoryReserve(const MemoryReserve& reserve, v1::Plan* proto) {
  v1::MemoryReserve* out = proto->mutable_memory_reserve();
  out->set_context_bytes(reserve.context_bytes);
  out->set_allocator_fraction(reserve.allocator_fraction);
  out->set_communication_bytes(reserve.communication_bytes);
}

void LoadAttentionKernel(const std::string& kernel, const std::string& field, const Chip& chip,
                         Plan* plan, Diagnostics* diagnostics) {
  plan->unfused_attention = kernel == "unfused";
  if (kernel.empty() || kernel == "flash" || kernel == "unfused") return;
  if (std::find(kAttentionKernels.begin(), kAttentionKernels.end(), kernel) ==
      kAttentionKernels.end()) {
    diagnostics->Error(field + ".attention_kernel",
                       absl::StrCat("is \"", kernel, "\", expected flash, ",
                                    absl::StrJoin(kAttentionKernels, ", "), " or unfused"));
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

void ExpandKernels(const Kernels& kernels, bool of_framework, v1::Kernels* proto) {
  proto->Clear();
  proto->set_loss(kLosses[static_cast<std::size_t>(kernels.loss)]);
  proto->set_gradient_accumulation(kAccumulations[static_cast<std::size_t>(kernels.accumulation)]);
  proto->set_unfused_optimizer(kernels.unfused_optimizer);
  proto->set_experts(kExperts[kernels.each_expert ? 1 : kernels.fused_experts ? 2 : 0]);
  if (of_framework || kernels.expert_tile_rows > 0)
    proto->set_expert_tile_rows(kernels.expert_tile_rows);
  proto->set_eager_expert_bias(kernels.eager_expert_bias);
  proto->set_eager_expert_clamp(kernels.eager_expert_clamp);
  if (of_framework || kernels.eager_rotary) proto->set_eager_rotary(kernels.eager_rotary);
  proto->set_elementwise(kElementwise[static_cast<std::size_t>(kernels.elementwise)]);
  proto->set_gradient_sums(kSums[kernels.separate_sums ? 1 : 0]);
  proto->set_projections(kProjections[kernels.separate_projections ? 1 : 0]);
  proto->set_sharded_copies(kShardedCopies[static_cast<std::size_t>(kernels.sharded_copies)]);
  proto->set_repeated_heads(kernels.repeated_heads);
  proto->set_tensor_transfers(kTensorTransfers[kernels.dtensor ? 1 : 0]);
  proto->set_launches(kLaunches[static_cast<std::size_t>(kernels.launches)]);
  if (kernels.host_dispatch_ns) proto->set_host_dispatch_ns(*kernels.host_dispatch_ns);
  const bool graphed[] = {kernels.graphed_attention, kernels.graphed_mlp, kernels.graphed_router};
  for (std::size_t i = 0; i < std::size(graphed); ++i) {
    if (graphed[i]) proto->add_graphs(kGraphs[i]);
  }
  if (of_framework && proto->graphs().empty()) proto->add_graphs(kNone);
  proto->set_library_workspace_bytes(kernels.library_workspace_bytes);
  const bool passes[] = {kernels.zeroes_gradients, kernels.checks_gradients,
                         kernels.scales_gradients, kernels.casts_gradients};
  for (std::size_t i = 0; i < std::size(passes); ++i) {
    if (passes[i]) proto->add_gradient_passes(kGradientPasses[i]);
  }
  if (of_framework && proto->gradient_passes().empty()) proto->add_gradient_passes(kNone);
  proto->set_bias_gradients(kBiasGradients[static_cast<std::size_t>(kernels.bias_gradients)]);
  proto->set_copied_heads(kernels.copied_heads);
  proto->set_dense_embedding_gradient(kernels.dense_embedding_gradient);
}

}  // namespace meshstep
