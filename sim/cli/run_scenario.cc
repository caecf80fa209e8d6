#include "sim/cli/run_scenario.h"

#include <algorithm>
#include <iterator>
#include <regex>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "sim/cli/run_cluster.h"

namespace meshstep {
namespace {

// The number after the first match of `pattern`'s group in `text`; 0 if there is none.
int NumberIn(const std::string& text, const char* pattern) {
  std::smatch match;
  int value = 0;
  if (!std::regex_search(text, match, std::regex(pattern))) return 0;
  return absl::SimpleAtoi(match[1].str(), &value) ? std::max(value, 0) : 0;
}

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
  moe->set_dense_layers(row.Count("dense_layers"));
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
  const std::string& attention = row.Get("attn");
  if (absl::StrContains(attention, "kv_lora")) SetLatentAttention(attention, model);
  if (const int window = NumberIn(attention, "sliding-window ([0-9]+)"); window > 0) {
    model->set_sliding_window(window);
    const int local = NumberIn(attention, "([0-9]+):1 sliding");
    model->set_global_layer_period(local > 0 ? local + 1 : 2);
  }
  model->set_norm_bias(row.Says("norms", "layer"));
  model->set_tied_embeddings(row.Says("embeddings", "tied"));
  if (!row.Says("positions", "rotary")) model->set_position_embeddings(row.Count("seq"));
  const bool biases = row.Flag("biases");
  model->set_qkv_bias(biases);
  model->set_attention_output_bias(biases);
  model->set_mlp_bias(biases);
  return absl::OkStatus();
}

// Devices that FSDP shards over, of `dp`; 1 if it does not. -1: the row says only that it is split.
int FsdpGroup(const RunRow& row, int dp) {
  const std::string text = absl::AsciiStrToLower(row.Get("dp_sharding"));
  const bool zero2 = absl::StrContains(text, "zero-2") || absl::StrContains(text, "zero2");
  if (zero2 || (!absl::StrContains(text, "fsdp") && !absl::StrContains(text, "zero-3"))) return 1;
  for (const char* pattern : {"fsdp=?([0-9]+)( |$)", "fsdp=([0-9]+)", "group ([0-9]+)",
                              "shard=([0-9]+)", "zero-3 over ([0-9]+)", " dp=([0-9]+)"}) {
    if (const int group = NumberIn(text, pattern); group > 0) return group;
  }
  return dp;
}

// As many parts as layers, embedding and head: one each (arXiv 2407.21783 section 3.3.2;
// Megatron-LM account-for-embedding-in-pipeline-split). Otherwise the default spread holds.
void SetLayout(const RunRow& row, v1::Plan* plan) {
  const int layers = row.Count("layers");
  if (layers + 2 != plan->pipeline() * plan->virtual_stages()) return;
  plan->set_layout(absl::StrCat("E|(t|)*", layers, "L"));
}

Status SetDegrees(const RunRow& row, int devices, v1::Plan* plan) {
  const int tp = row.Count("tp", 1), pp = row.Count("pp", 1), cp = row.Count("cp", 1);
  if (cp > 1) return InvalidInput("context parallelism is not simulated");
  if (devices % (tp * pp * cp) != 0) {
    return InvalidInput(
        absl::StrCat(devices, " devices do not divide by tp ", tp, ", pp ", pp, " and cp ", cp));
  }
  const int dp = row.Count("dp", devices / (tp * pp * cp));
  const int fsdp = FsdpGroup(row, dp);
  if (dp % fsdp != 0) {
    return InvalidInput(absl::StrCat("dp ", dp, " does not divide by an FSDP group of ", fsdp));
  }
  plan->set_tensor(tp);
  plan->set_pipeline(pp);
  plan->set_data(dp / fsdp);
  plan->set_fsdp(fsdp);
  const bool zero2 = row.Says("dp_sharding", "zero-2");
  const bool zero1 =
      row.Says("dp_sharding", "zero-1") || row.Says("dp_sharding", "distributed opt");
  if (fsdp == 1 && (zero1 || zero2)) plan->set_zero_stage(zero2 ? 2 : 1);
  const int virtual_stages = row.Count("vp", 1);
  if (pp > 1 && virtual_stages > 1) {
    plan->set_virtual_stages(virtual_stages);
    plan->set_schedule("interleaved");
    SetLayout(row, plan);
  }
  plan->set_sequence_parallel(tp > 1 && row.Get("seq_parallel").starts_with("on"));
  plan->set_micro_batch_sequences(row.Count("mbs", 1));
  return absl::OkStatus();
}

Status SetRecompute(const RunRow& row, v1::Plan* plan) {
  const std::string text = absl::AsciiStrToLower(row.Get("recompute"));
  if (text.empty() || text.starts_with("none")) return absl::OkStatus();
  if (absl::StrContains(text, "minimal") || absl::StrContains(text, "matmuls")) {
    plan->set_recompute("matmuls");
  } else if (absl::StrContains(text, "torchtitan default option") ||
             absl::StrContains(text, "per 2nd layer")) {
    // Every second layer whole (option "2"), or about every second matmul of each (option "op"):
    // pytorch/torchtitan parallelize_llama.py.
    return InvalidInput("recomputation of every second layer is not simulated");
  } else if (absl::StrContains(text, "full") || text.starts_with("custom")) {
    plan->set_recompute("full");
    if (const int layers = NumberIn(text, "block ([0-9]+) layers"); layers > 0) {
      return InvalidInput(absl::StrCat("recomputation of ", layers, " layers is not simulated"));
    }
  } else if (text.starts_with("selective")) {
    plan->set_recompute("selective");
  } else {
    return InvalidInput(absl::StrCat("recompute \"", row.Get("recompute"), "\" is not known"));
  }
  return absl::OkStatus();
}

// Number format of the matmuls and what shares a scale, of the words of a row; the first that
// matches. FP8 without more words has a scale per tensor (Transformer Engine's delayed and current
// scaling).
struct Format {
  const char* words;
  const char* compute;
  const char* scaling;
};
constexpr Format kFormats[] = {
    {"nvfp4", "fp4", "nvfp4"}, {"mxfp8", "fp8", "mx"},        {"fp8-mx", "fp8", "mx"},
    {"float8", "fp8", ""},     {"fp8 mixed", "fp8", "block"}, {"fp8", "fp8", ""},
    {"int8", "int8", ""},      {"fp16", "fp16", ""},          {"", "bf16", ""}};

void SetPrecision(const RunRow& row, v1::Precision* precision) {
  const std::string text = absl::AsciiStrToLower(row.Get("precision"));
  const Format* format = kFormats;
  while (!absl::StrContains(text, format->words)) ++format;
  // "bf16/fp16 mixed" and the like: what comes first.
  if (text.starts_with("bf16/")) format = std::end(kFormats) - 1;
  const std::string compute = format->compute;
  const std::string flows = compute == "fp16" ? "fp16" : "bf16";
  precision->set_compute(compute);
  precision->set_scaling(format->scaling);
  const auto given = [&](const char* column) {
    const std::string& value = row.Get(column);
    return value.empty() || value == "compute" ? flows : value;
  };
  precision->set_parameters(given("parameters"));
  std::string gradients = given("gradients");
  for (const char* wide : {"(fp32 grads)", "(fp32 main grads)", "fp32 grad accumulation"}) {
    if (absl::StrContains(text, wide)) gradients = "fp32";
  }
  if (absl::StrContains(text, "grad accumulation fp16")) gradients = "fp16";
  precision->set_gradients(gradients);
  std::string reduce = row.Get("reduce").empty() ? gradients : given("reduce");
  if (row.Says("overlap", "grad_reduce bf16")) reduce = "bf16";
  precision->set_reduce(reduce);
  precision->set_optimizer(row.Get("optimizer"));
}

// Gradients reduce after backward and not beside it.
bool ReducesAfterBackward(const RunRow& row) {
  for (const char* says : {"no grad-reduce overlap", "no gradient bucketing", "none for dp",
                           "none stated", "none (2022)"}) {
    if (row.Says("overlap", says)) return true;
  }
  return false;
}

// Updated parameters are gathered beside the next forward.
bool OverlapsParameters(const RunRow& row) {
  for (const char* says : {"grad/param overlap", "param-gather", "zero comm overlap"}) {
    if (row.Says("overlap", says)) return true;
  }
  return false;
}

Status SetPlan(const RunRow& row, int devices, v1::Plan* plan) {
  RETURN_IF_ERROR(SetDegrees(row, devices, plan));
  RETURN_IF_ERROR(SetRecompute(row, plan));
  SetPrecision(row, plan->mutable_precision());
  plan->set_attention_kernel(row.Get("attention_kernel"));
  plan->set_dropout(row.Flag("dropout"));
  if (ReducesAfterBackward(row)) plan->set_overlap_gradients(false);
  if (plan->zero_stage() > 0 && OverlapsParameters(row)) plan->set_overlap_parameters(true);
  v1::Kernels* kernels = plan->mutable_kernels();
  kernels->set_loss(row.Get("loss"));
  kernels->set_gradient_accumulation(row.Get("gradient_accumulation"));
  kernels->set_unfused_optimizer(row.Get("optimizer_kernels") == "unfused");
  return absl::OkStatus();
}

}  // namespace

StatusOr<v1::Scenario> ScenarioOf(const RunRow& row, const CsvTable& interconnects) {
  if (absl::StrContains(row.family(), "lora")) {
    return InvalidInput("low-rank adapters are not simulated");
  }
  v1::Scenario scenario;
  ASSIGN_OR_RETURN(*scenario.mutable_cluster(), ClusterOf(row, interconnects));
  RETURN_IF_ERROR(SetModel(row, scenario.mutable_model()));
  scenario.mutable_workload()->set_sequence_length(row.Count("seq"));
  if (row.Count("gbs") == 0) return InvalidInput("gbs is not given");
  scenario.mutable_workload()->set_global_batch_sequences(row.Count("gbs"));
  const int per_chip = row.Says("chip", "TPU7x") ? 2 : 1;
  RETURN_IF_ERROR(SetPlan(row, row.Count("chips") * per_chip, scenario.mutable_plan()));
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
