#include "sim/cli/run_experts.h"

#include <array>
#include <cstddef>
#include <string>

namespace meshstep {
namespace {

// The closest entry by family, then by model, then by chip; -1: none.
std::ptrdiff_t EntryOf(const RunRow& row, const CsvTable& defaults) {
  std::ptrdiff_t best = -1;
  std::array<std::size_t, 3> longest = {};
  for (std::size_t i = 0; i < defaults.rows.size(); ++i) {
    const std::string& family = defaults.At(i, "families");
    const std::string& model = defaults.At(i, "model");
    const std::string& chip = defaults.At(i, "chip");
    if (!row.family().starts_with(family) || !row.Get("chip").starts_with(chip)) continue;
    if (!model.empty() && !row.Says("model", model)) continue;
    const std::array<std::size_t, 3> length = {family.size(), model.size(), chip.size()};
    if (best >= 0 && length <= longest) continue;
    longest = length;
    best = static_cast<std::ptrdiff_t>(i);
  }
  return best;
}

// "" if the row does not say.
std::string StatedDispatcher(const RunRow& row) {
  if (row.Says("overlap", "hybridep")) return "hybridep";
  if (row.Says("overlap", "deepep")) return "deepep";
  return row.Says("overlap", "dispatcher_type=alltoall") ? "all-to-all" : "";
}

bool OverlapsExperts(const RunRow& row) {
  if (row.Says("overlap", "no 1f1b a2a overlap")) return false;
  return row.Says("overlap", "overlap_moe_expert_parallel_comm=True") ||
         row.Says("overlap", "1f1b a2a overlap") || row.Says("overlap", "dualpipe");
}

}  // namespace

void SetExpertKernels(const RunRow& row, const CsvTable& defaults, v1::Plan* plan) {
  const std::ptrdiff_t entry = EntryOf(row, defaults);
  const auto get = [&](const char* column) {
    return entry < 0 ? std::string() : defaults.At(static_cast<std::size_t>(entry), column);
  };
  const std::string stated = StatedDispatcher(row);
  plan->set_expert_dispatch(stated.empty() ? get("expert_dispatch") : stated);
  // MaxText drops tokens only in its dense path, whose masks are one-hot (moe.py, dense_matmul).
  const bool dense = plan->expert_dispatch() == "gather" && plan->has_capacity_factor();
  if (dense) plan->set_expert_dispatch("einsum");
  if (const int rows = dense ? 0 : NumberIn(get("tile_rows"), "([0-9]+)"); rows > 0) {
    plan->mutable_kernels()->set_expert_tile_rows(rows);
  }
  // One graph of the whole step cannot hold a loop over experts whose tokens the host counts:
  // Megatron-Bridge runs the fused grouped MLP with it (cutedsl_fused_grouped_mlp).
  const bool graphed = row.Says("overlap", "cuda_graph_impl=full_iteration");
  plan->mutable_kernels()->set_experts(graphed ? "grouped" : get("experts"));
  const std::string eager = get("eager");
  plan->mutable_kernels()->set_eager_expert_bias(eager.find("bias") != std::string::npos);
  plan->mutable_kernels()->set_eager_expert_clamp(eager.find("clamp") != std::string::npos);
  // A table that prints no EP beside a dispatcher between ranks leaves it to the configuration.
  if (plan->expert() <= 1 && get("ep") == "all") plan->set_expert(plan->data() * plan->fsdp());
  if (row.Says("overlap", "dualpipe")) plan->set_schedule("dualpipe");
  // Megatron-Core pairs micro-batches without a pipeline, or with virtual stages.
  const bool pairs = plan->pipeline() <= 1 || !plan->schedule().empty();
  if (OverlapsExperts(row) && pairs) plan->set_overlap_experts(true);
}

}  // namespace meshstep
