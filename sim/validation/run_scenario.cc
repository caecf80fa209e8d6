#include "sim/validation/run_scenario.h"

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "sim/validation/run_cluster.h"
#include "sim/validation/run_experts.h"
#include "sim/validation/run_plan.h"

namespace meshstep {
namespace {

// "MLA q_lora1536 kv_lora512 nope128 rope64 v128".
void SetLatentAttention(const std::string& text, v1::Model* model) {
  v1::Mla* mla = model->mutable_mla();
  if (const int rank = NumberIn(text, " q_lora([0-9]+)"); rank > 0) mla->set_q_lora_rank(rank);
  mla->set_kv_lora_rank(NumberIn(text, "kv_lora([0-9]+)"));
  mla->set_qk_nope_head_dim(NumberIn(text, "nope([0-9]+)"));
  mla->set_qk_rope_head_dim(NumberIn(text, "rope([0-9]+)"));
  mla->set_v_head_dim(NumberIn(text, " v([0-9]+)"));
}

void SetExperts(const RunRow& row, v1::Model* model) {
  v1::Moe* moe = model->mutable_moe();
  moe->set_experts(row.Count("experts"));
  moe->set_experts_per_token(row.Count("topk"));
  moe->set_expert_ffn(row.Count("moe_ffn"));
  moe->set_shared_experts(row.Count("shared_experts"));
  // `dense_layers` counts them; half of all stand between the others (Llama 4:
  // interleave_moe_layer_step 2), fewer stand first.
  const int dense = row.Count("dense_layers");
  if (2 * dense == row.Count("layers")) {
    moe->set_layer_period(2);
  } else {
    moe->set_dense_layers(dense);
  }
}

Status SetModel(const RunRow& row, v1::Model* model) {
  for (const char* needed : {"layers", "hidden", "heads", "vocab", "seq"}) {
    if (row.Count(needed) == 0) return InvalidInput(absl::StrCat(needed, " is not given"));
  }
  const int hidden = row.Count("hidden"), experts = row.Count("experts");
  const std::string& name = row.Get("model");
  model->set_name(name.empty() ? row.family() : name);
  model->set_layers(row.Count("layers"));
  model->set_hidden(hidden);
  model->set_heads(row.Count("heads"));
  model->set_kv_heads(row.Count("kv_heads", row.Count("heads")));
  if (const int size = row.Count("head_dim"); size > 0) model->set_head_dim(size);
  model->set_vocab(row.Count("vocab"));
  model->set_gated_mlp(row.Flag("gated"));
  const bool dense = experts <= 1;
  if (dense || row.Count("ffn") > 0) model->set_ffn(row.Count("ffn", 4 * hidden));
  if (!dense) SetExperts(row, model);
  if (const int layers = row.Count("mtp_layers"); layers > 0) model->set_mtp_layers(layers);
  const std::string& attention = row.Get("attn");
  if (absl::StrContains(attention, "kv_lora")) {
    SetLatentAttention(attention, model);
  } else if (attention.starts_with("MLA")) {
    return InvalidInput("the sizes of its latent attention are not given");
  }
  if (const int window = NumberIn(attention, "sliding-window ([0-9]+)"); window > 0) {
    model->set_sliding_window(window);
    const int local = NumberIn(attention, "([0-9]+):1 sliding");
    model->set_global_layer_period(local > 0 ? local + 1 : 2);
  }
  // arXiv 2505.09388 section 2: Qwen3 norms queries and keys; arXiv 2503.19786 section 2: so does
  // Gemma 3, which also norms what attention and MLP add.
  const bool gemma3 = row.Says("model", "gemma3");
  model->set_qk_norm(gemma3 || row.Says("model", "qwen3"));
  if (gemma3) model->set_norms_per_layer(4);
  model->set_norm_bias(row.Says("norms", "layer"));
  model->set_tied_embeddings(row.Get("embeddings") == "tied");
  if (!row.Says("positions", "rotary")) model->set_position_embeddings(row.Count("seq"));
  const bool biases = row.Flag("biases");
  model->set_qkv_bias(biases);
  model->set_attention_output_bias(biases);
  model->set_mlp_bias(biases);
  return absl::OkStatus();
}

// Of all libraries that the row names, each by its first entry for the row's chip.
double LibraryWorkspace(const RunRow& row, const CsvTable& workspaces) {
  double sum = 0;
  for (const auto library : absl::StrSplit(row.Get("libraries"), ' ')) {
    for (std::size_t i = 0; i < workspaces.rows.size(); ++i) {
      if (workspaces.At(i, "library") != library) continue;
      if (!row.Get("chip").starts_with(workspaces.At(i, "chip"))) continue;
      double bytes = 0;
      if (absl::SimpleAtod(workspaces.At(i, "bytes"), &bytes)) sum += bytes;
      break;
    }
  }
  return sum;
}

}  // namespace

StatusOr<v1::Scenario> ScenarioOf(const RunRow& row, const RunTables& tables) {
  if (absl::StrContains(row.family(), "lora")) {
    return InvalidInput("low-rank adapters are not simulated");
  }
  RETURN_IF_ERROR(row.CheckNumbers());
  v1::Scenario scenario;
  ASSIGN_OR_RETURN(*scenario.mutable_cluster(), ClusterOf(row, tables.interconnects));
  RETURN_IF_ERROR(SetModel(row, scenario.mutable_model()));
  scenario.mutable_workload()->set_sequence_length(row.Count("seq"));
  if (row.Count("gbs") == 0) return InvalidInput("gbs is not given");
  scenario.mutable_workload()->set_global_batch_sequences(row.Count("gbs"));
  const int per_chip = row.Says("chip", "TPU7x") ? 2 : 1;
  RETURN_IF_ERROR(SetPlan(row, row.Count("chips") * per_chip, scenario.mutable_plan()));
  ShapeSlice(scenario.plan(), scenario.mutable_cluster());
  if (scenario.model().has_moe()) {
    SetExpertKernels(row, tables.experts, scenario.mutable_plan());
  }
  if (const double bytes = LibraryWorkspace(row, tables.workspaces); bytes > 0) {
    scenario.mutable_plan()->mutable_kernels()->set_library_workspace_bytes(bytes);
  }
  return scenario;
}

double MeasuredSeconds(const RunRow& row, const v1::FlopCounts& flops,
                       double datasheet_flops_per_s) {
  if (const double time = row.Number("iter_time_s"); time > 0) return time;
  const double chips = row.Number("chips", 1);
  if (const double rate = row.Number("tokens_per_s_per_chip"); rate > 0) {
    return row.Number("gbs") * row.Number("seq") / (rate * chips);
  }
  const std::string& convention = row.Get("flops_convention");
  const double counted = convention == "causal"     ? flops.model()
                         : convention == "hardware" ? flops.hardware()
                         : convention == "full"     ? flops.model_full_attention()
                                                    : 0;
  if (const double rate = row.Number("tflops_per_chip"); rate > 0) {
    return counted / (rate * 1e12 * chips);
  }
  const double utilization = row.Number("mfu_pct") / 100;
  return utilization > 0 ? counted / (utilization * datasheet_flops_per_s * chips) : 0;
}

}  // namespace meshstep
