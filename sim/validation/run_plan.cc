#include "sim/validation/run_plan.h"

#include <algorithm>
#include <iterator>
#include <regex>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "sim/validation/run_recompute.h"

namespace meshstep {
namespace {

// Devices that FSDP shards over, of `dp`; 1 if it does not.
int FsdpGroup(const RunRow& row, int dp, int cp) {
  // "FSDP2" and "FSDP1" name PyTorch's second and first, not a group of so many.
  std::string text = std::regex_replace(absl::AsciiStrToLower(row.ForModel("dp_sharding")),
                                        std::regex("fsdp[12]( |$)"), "fsdp$1");
  // That a table has no column for it does not say that it was used.
  text = std::regex_replace(text, std::regex("fsdp column absent"), "");
  const bool zero2 = absl::StrContains(text, "zero-2") || absl::StrContains(text, "zero2");
  if (zero2 || (!absl::StrContains(text, "fsdp") && !absl::StrContains(text, "zero-3"))) return 1;
  for (const char* pattern :
       {"fsdp=?([0-9]+)( |$)", "fsdp=([0-9]+)", "fsdp ([0-9]+)", "group ([0-9]+)", "shard=([0-9]+)",
        "zero-3 over ([0-9]+)", "dp\\*cp=([0-9]+)", " dp=([0-9]+)"}) {
    const int group = NumberIn(text, pattern);
    // Ranks of context parallelism shard parameters too; some sources count them.
    if (group > dp && group % cp == 0) return group / cp;
    if (group > 0) return group;
  }
  return dp;
}

// A part's share of the layers, where embedding and head take the place of a layer each
// (arXiv 2407.21783 section 3.3.2; Megatron-LM account-for-embedding-in-pipeline-split;
// pytorch/torchtitan pipeline_parallel.py). "": layers are spread evenly.
std::string LayoutOf(const RunRow& row, int parts) {
  const std::string& stated = row.Get("overlap");
  static const std::regex kLayout("pipeline_model_parallel_layout=(E[^;_ ]*L)");
  std::smatch match;
  if (std::regex_search(stated, match, kLayout)) return match[1].str();
  // "8:Et*8|...;16:Et*4|...": a framework's layouts by their number of parts.
  for (const auto piece : absl::StrSplit(row.Get("layouts"), ';')) {
    const std::pair<std::string, std::string> layout =
        absl::StrSplit(piece, absl::MaxSplits(':', 1));
    if (layout.first == absl::StrCat(parts)) return layout.second;
  }
  const int layers = row.Count("layers");
  if (parts < 2 || layers % parts == 0 || (layers + 2) % parts != 0) return "";
  const int each = (layers + 2) / parts;
  const std::string ends = each > 1 ? absl::StrCat("t*", each - 1) : "";
  const std::string middle = parts > 2 ? absl::StrCat("(t*", each, "|)*", parts - 2) : "";
  return absl::StrCat("E", ends, "|", middle, ends, "L");
}

// Parts of the layers that one stage runs in turn. Where the source says that pipeline messages
// overlap, the schedule is interleaved, the only one in which Megatron-Core overlaps them
// (arguments.py: overlap_p2p_comm): a part for every layer, as NVIDIA's recipe of GPT-3 175B says
// of its own ("set to maximum": NeMo-Framework-Launcher conf/training/gpt3/175b.yaml).
int VirtualStages(const RunRow& row, int stages) {
  if (stages <= 1) return 1;
  const int given = row.Count("vp");
  const int layers = row.Count("layers");
  const bool overlaps = row.Says("overlap", "PP overlaps on") || row.Says("overlap", "P2P overlap");
  if (given > 0 || !overlaps || layers % stages != 0) return std::max(given, 1);
  return layers / stages;
}

void SetPipeline(const RunRow& row, v1::Plan* plan) {
  const int virtual_stages = VirtualStages(row, plan->pipeline());
  if (virtual_stages > 1) {
    plan->set_virtual_stages(virtual_stages);
    plan->set_schedule("interleaved");
  }
  const std::string layout = LayoutOf(row, plan->pipeline() * virtual_stages);
  if (!layout.empty()) plan->set_layout(layout);
}

// Ranks that share the experts, and one expert: "expert TP=4" among what the row's source adds,
// else the framework's: "tp" as Megatron-Core where expert_tensor_parallel_size is not given.
void SetExpertDegrees(const RunRow& row, v1::Plan* plan) {
  if (row.Count("experts") <= 1) return;
  plan->set_expert(row.Count("ep", 1));
  int width = NumberIn(row.Get("caveats"), "expert TP=([0-9]+)");
  if (width == 0) width = row.Get("expert_tp") == "tp" ? plan->tensor() : 1;
  plan->set_expert_tensor(width);
  static const std::regex kCapacity("capacity_factor ([0-9.]+)");
  std::smatch match;
  const std::string& caveats = row.Get("caveats");
  double capacity = 0;
  if (std::regex_search(caveats, match, kCapacity) && absl::SimpleAtod(match[1].str(), &capacity)) {
    plan->set_capacity_factor(capacity);
  }
}

// Sequences of a micro-batch. Where the source of a pipelined row does not say, its framework may
// have a default number of micro-batches: "pipeline" is the degree of that.
int MicroBatch(const RunRow& row, int ranks) {
  const int pp = row.Count("pp", 1);
  const bool assumed = row.Says("caveats", "microbatch 1 assumed");
  if (pp == 1 || !assumed || row.Get("micro_batches") != "pipeline") return row.Count("mbs", 1);
  return std::max(1, row.Count("gbs", 1) / (ranks * pp));
}

Status SetDegrees(const RunRow& row, int devices, v1::Plan* plan) {
  const int tp = row.Count("tp", 1), pp = row.Count("pp", 1), cp = row.Count("cp", 1);
  if (devices % (tp * pp * cp) != 0) {
    return InvalidInput(
        absl::StrCat(devices, " devices do not divide by tp ", tp, ", pp ", pp, " and cp ", cp));
  }
  const int dp = row.Count("dp", devices / (tp * pp * cp));
  const int fsdp = FsdpGroup(row, dp, cp);
  const bool any = row.Count("tp") + row.Count("pp") + row.Count("dp") + row.Count("ep") > 0;
  if (!any && fsdp == 1 && devices > 1) return InvalidInput("no degree of parallelism is given");
  if (dp % fsdp != 0) {
    return InvalidInput(absl::StrCat("dp ", dp, " does not divide by an FSDP group of ", fsdp));
  }
  plan->set_tensor(tp);
  plan->set_pipeline(pp);
  plan->set_data(dp / fsdp);
  plan->set_fsdp(fsdp);
  if (cp > 1) {
    plan->set_context(cp);
    plan->set_context_method(row.Says("overlap", "CP all-to-all") ? "ulysses"
                                                                  : row.Get("context_method"));
  }
  const bool zero2 = row.Says("dp_sharding", "zero-2");
  const bool zero1 =
      row.Says("dp_sharding", "zero-1") || row.Says("dp_sharding", "distributed opt");
  if (fsdp == 1 && (zero1 || zero2)) plan->set_zero_stage(zero2 ? 2 : 1);
  SetPipeline(row, plan);
  SetExpertDegrees(row, plan);
  plan->set_sequence_parallel(tp > 1 && row.Get("seq_parallel").starts_with("on"));
  plan->set_micro_batch_sequences(MicroBatch(row, dp));
  return absl::OkStatus();
}

// Number format of the matmuls and what shares a scale, of the words of a row; the first that
// matches. FP8 without more words is scaled as the framework does where its default says (else as
// Transformer Engine's delayed scaling). "Tensorwise" is what Megatron-Core (--fp8-recipe) and
// torchao call scales that each tensor takes from itself. AQT's config_v3, which MaxText takes for
// int8, calibrates each operand of all three products by channel (google/aqt aqt/jax/v2/config.py;
// maxtext quantizations.py, _get_int8_quant_config).
struct Format {
  const char* words;
  const char* compute;
  const char* scaling;
};
constexpr Format kFormats[] = {{"nvfp4", "fp4", "nvfp4"},
                               {"mxfp8", "fp8", "mx"},
                               {"fp8-mx", "fp8", "mx"},
                               {"fp8-cs", "fp8", "current"},
                               {"tensorwise", "fp8", "current"},
                               {"float8", "fp8", ""},
                               {"fp8 mixed", "fp8", "block"},
                               {"fp8", "fp8", ""},
                               {"(aqt)", "int8", "channel"},
                               {"int8", "int8", ""},
                               {"fp16", "fp16", ""},
                               {"", "bf16", ""}};

const Format& FormatOf(const std::string& text) {
  // "bf16/fp16 mixed" and the like: what comes first.
  if (text.starts_with("bf16/")) return *(std::end(kFormats) - 1);
  const Format* format = kFormats;
  while (!absl::StrContains(text, format->words)) ++format;
  return *format;
}

void SetPrecision(const RunRow& row, v1::Precision* precision) {
  const std::string text = absl::AsciiStrToLower(row.Get("precision"));
  const Format& format = FormatOf(text);
  const Format& framework = FormatOf(absl::AsciiStrToLower(row.Default("precision")));
  const std::string compute = format.compute;
  const std::string flows = compute == "fp16" ? "fp16" : "bf16";
  precision->set_compute(compute);
  const bool plain = *format.scaling == '\0' && compute == framework.compute;
  precision->set_scaling(plain ? framework.scaling : format.scaling);
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

// Collectives of tensor parallelism run in parts beside the matmuls: Transformer Engine's
// userbuffers, PyTorch's async tensor parallelism.
bool OverlapsTensor(const RunRow& row) {
  for (const char* denies : {"tp_comm_overlap=false", "tp comm overlap off"}) {
    if (row.Says("overlap", denies)) return false;
  }
  for (const char* says : {"userbuffers", "tp comm overlap", "tp-comm-overlap", "async tp"}) {
    if (row.Says("overlap", says)) return true;
  }
  return !row.Get("tensor_overlap").empty();
}

// Parts of a layer that the row says CUDA graphs hold: Megatron-Core's cuda_graph_scope, and the
// words of MLPerf's and Megatron-MoE-ModelZoo's rows.
struct GraphWords {
  const char* words;
  const char* part;
};
constexpr GraphWords kGraphs[] = {
    {"\"attn\"", "attention"},
    {"\"mlp\"", "mlp"},
    {"\"moe_router\"", "router"},
    {"cuda graphs per layer", "attention"},
    {"cuda graphs per layer", "mlp"},
    {"cuda graphs (attn, router", "attention"},
    {"cuda graphs (attn, router", "router"},
};

// A compiled row is not eager; one that is one graph launches nothing.
void SetLaunches(const RunRow& row, v1::Kernels* kernels) {
  const bool compiled = row.Says("overlap", "torch.compile");
  // A model that is not written in fused kernels has its rotary embedding in complex numbers.
  const std::string& elementwise = row.Get("elementwise");
  const bool complex = compiled && elementwise == "eager";
  kernels->set_elementwise(complex ? "inductor" : compiled ? "fused" : elementwise);
  kernels->set_gradient_sums(compiled ? "fused" : row.Get("gradient_sums"));
  kernels->set_launches(compiled ? "kernels" : row.Get("launches"));
  if (kernels->launches().empty() || kernels->launches() == "none") return;
  if (row.Says("overlap", "cuda_graph_impl=none")) return;
  if (row.Says("overlap", "full_iteration") || row.Says("overlap", "full cuda graph")) {
    kernels->set_launches("none");
    return;
  }
  for (const GraphWords& graph : kGraphs) {
    if (row.Says("overlap", graph.words)) kernels->add_graphs(graph.part);
  }
}

void SetGradientKernels(const RunRow& row, v1::Kernels* kernels) {
  for (const auto pass : absl::StrSplit(row.Get("gradient_passes"), ' ', absl::SkipEmpty())) {
    kernels->add_gradient_passes(std::string(pass));
  }
  kernels->set_bias_gradients(row.Get("bias_gradients"));
  kernels->set_copied_heads(row.Flag("copied_heads"));
  kernels->set_dense_embedding_gradient(row.Flag("dense_embedding_gradient"));
}

}  // namespace

Status SetPlan(const RunRow& row, int devices, v1::Plan* plan) {
  RETURN_IF_ERROR(SetDegrees(row, devices, plan));
  RETURN_IF_ERROR(SetRecompute(row, plan));
  SetPrecision(row, plan->mutable_precision());
  plan->set_attention_kernel(row.Get("attention_kernel"));
  plan->set_dropout(row.Flag("dropout"));
  plan->set_async_tensor(plan->sequence_parallel() && OverlapsTensor(row));
  // arXiv 2104.04473 section 4.1.
  const bool split = row.Flag("split_sends") || row.Says("overlap", "scatter/gather pipeline");
  plan->set_split_sends(split && plan->pipeline() > 1 && plan->tensor() > 1);
  if (ReducesAfterBackward(row)) plan->set_overlap_gradients(false);
  if (plan->zero_stage() > 0 && OverlapsParameters(row)) plan->set_overlap_parameters(true);
  v1::Kernels* kernels = plan->mutable_kernels();
  kernels->set_loss(row.Get("loss"));
  kernels->set_gradient_accumulation(row.Get("gradient_accumulation"));
  kernels->set_unfused_optimizer(row.Get("optimizer_kernels") == "unfused");
  SetGradientKernels(row, kernels);
  kernels->set_projections(row.Get("projections"));
  kernels->set_repeated_heads(row.Flag("repeated_heads"));
  if (plan->sequence_parallel()) kernels->set_tensor_transfers(row.Get("tensor_transfers"));
  if (plan->fsdp() > 1) kernels->set_sharded_copies(row.Get("sharded_copies"));
  // Parameters stay and gradients add up until the last micro-batch.
  const bool whole = row.Flag("pipeline_unsharded") && plan->pipeline() > 1 && plan->fsdp() > 1;
  if (whole) {
    plan->set_accumulate_unsharded(true);
    plan->set_overlap_gradients(false);
    // Autograd makes gradients in the activations' type, which FSDP2 adds to fp32 ones
    // (_fsdp_param.py to_accumulated_grad_if_needed, accumulate_unsharded_grad_if_needed).
    kernels->set_gradient_accumulation("separate");
  }
  SetLaunches(row, kernels);
  if (const int waiting = row.Count("reductions_in_flight"); waiting > 0) {
    plan->set_reductions_in_flight(waiting);
  }
  return absl::OkStatus();
}

}  // namespace meshstep
