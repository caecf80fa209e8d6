#include "sim/validation/run_experts.h"

#include <cstddef>
#include <regex>
#include <string>
#include <tuple>

#include "absl/strings/match.h"

namespace meshstep {
namespace {

// "26.04" of a row whose source_ref names a container ("'26.04.01 NeMo Container'"); "": none.
std::string ReleaseOf(const RunRow& row) {
  static const std::regex pattern("'([0-9]{2}\\.[0-9]{2})[0-9.]* NeMo Container");
  std::smatch match;
  const std::string& text = row.Get("source_ref");
  return std::regex_search(text, match, pattern) ? match[1].str() : std::string();
}

// The closest entry by family, then by model, then by chip and release; -1: none.
std::ptrdiff_t EntryOf(const RunRow& row, const CsvTable& defaults) {
  std::ptrdiff_t best = -1;
  std::tuple<std::size_t, std::size_t, std::size_t, std::string> longest;
  const std::string release = ReleaseOf(row);
  for (std::size_t i = 0; i < defaults.rows.size(); ++i) {
    const std::string& family = defaults.At(i, "families");
    const std::string& model = defaults.At(i, "model");
    const std::string& chip = defaults.At(i, "chip");
    const std::string& since = defaults.At(i, "since");
    if (!row.family().starts_with(family) || !row.Get("chip").starts_with(chip)) continue;
    if (!model.empty() && !row.Says("model", model)) continue;
    if (!since.empty() && release < since) continue;
    if (const std::string& format = defaults.At(i, "precision");
        !format.empty() && !row.Says("precision", format)) {
      continue;
    }
    const std::tuple length(family.size(), model.size(), chip.size(), since);
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

// options: of the entry.
bool OverlapsExperts(const RunRow& row, const std::string& options) {
  if (row.Says("overlap", "no 1f1b a2a overlap")) return false;
  return row.Says("overlap", "overlap_moe_expert_parallel_comm=True") ||
         absl::StrContains(options, "overlap_moe_expert_parallel_comm=True") ||
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
  constexpr char kOneGraph[] = "cuda_graph_impl=full_iteration";
  const std::string options = get("options");
  const bool graphed = row.Says("overlap", kOneGraph) || absl::StrContains(options, kOneGraph);
  const std::string experts = get("experts");
  plan->mutable_kernels()->set_experts(graphed && experts == "each" ? "grouped" : experts);
  if (graphed) {
    plan->mutable_kernels()->set_launches("none");
    plan->mutable_kernels()->clear_graphs();
  }
  const std::string eager = get("eager");
  plan->mutable_kernels()->set_eager_expert_bias(eager.find("bias") != std::string::npos);
  plan->mutable_kernels()->set_eager_expert_clamp(eager.find("clamp") != std::string::npos);
  plan->mutable_kernels()->set_eager_rotary(eager.find("rotary") != std::string::npos);
  // A table that prints no EP beside a dispatcher between ranks leaves it to the configuration.
  if (plan->expert() <= 1 && get("ep") == "all") plan->set_expert(plan->data() * plan->fsdp());
  if (row.Says("overlap", "dualpipe")) plan->set_schedule("dualpipe");
  // Megatron-Core pairs micro-batches without a pipeline, or with virtual stages.
  const bool pairs = plan->pipeline() <= 1 || !plan->schedule().empty();
  if (OverlapsExperts(row, options) && pairs) plan->set_overlap_experts(true);
}

}  // namespace meshstep
