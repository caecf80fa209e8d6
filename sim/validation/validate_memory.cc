#include "sim/validation/validate_memory.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "sim/base/data_path.h"
#include "sim/validation/run_scenario.h"
#include "sim/validation/validate_report.h"

namespace meshstep {
namespace {

constexpr double kGib = 1024.0 * 1024.0 * 1024.0;

// Columns of memory_runs.csv (arguments of Megatron-LM) under the names of training_runs.csv.
struct Renamed {
  const char* from;
  const char* to;
};
constexpr Renamed kRenamed[] = {{"num_layers", "layers"},
                                {"hidden_size", "hidden"},
                                {"num_attention_heads", "heads"},
                                {"num_query_groups", "kv_heads"},
                                {"seq_length", "seq"},
                                {"micro_batch_size", "mbs"},
                                {"global_batch_size", "gbs"},
                                {"tensor_model_parallel_size", "tp"},
                                {"pipeline_model_parallel_size", "pp"},
                                {"context_parallel_size", "cp"},
                                {"expert_model_parallel_size", "ep"},
                                {"num_virtual_stages_per_pipeline_rank", "vp"},
                                {"vocab_size", "vocab"},
                                {"num_experts", "experts"},
                                {"moe_router_topk", "topk"},
                                {"mem_max_allocated_bytes", "bytes"}};

class Row {
 public:
  Row(const CsvTable& table, std::size_t i) : table_(table), i_(i) {}
  const std::string& operator[](const std::string& column) const { return table_.At(i_, column); }
  int Int(const std::string& column, int unset) const {
    int value = 0;
    return absl::SimpleAtoi((*this)[column], &value) && value > 0 ? value : unset;
  }
  bool True(const std::string& column) const { return (*this)[column] == "true"; }

 private:
  const CsvTable& table_;
  const std::size_t i_;
};

// Chunks of a stage, from either way that Megatron-LM says it.
int VirtualStages(const Row& row) {
  const int layers = row.Int("num_layers_per_virtual_pipeline_stage", 0);
  if (layers == 0) return row.Int("num_virtual_stages_per_pipeline_rank", 1);
  return row.Int("num_layers", 1) / row.Int("pipeline_model_parallel_size", 1) / layers;
}

std::string Recompute(const Row& row) {
  const std::string& granularity = row["recompute_granularity"];
  return granularity.empty() ? "none" : granularity;
}

std::string Sharding(const Row& row) {
  if (row.True("use_megatron_fsdp")) return "FSDP";
  return row.True("use_distributed_optimizer") ? "distributed optimizer (ZeRO-1)" : "plain DP";
}

// Tests that may be nondeterministic set no CUBLAS_WORKSPACE_CONFIG in their model_config.yaml; the
// names say it, but for two kinds.
bool IsDeterministic(const std::string& test) {
  for (const char* words : {"nondeterministic", "cross_entropy_loss_fusion", "reshard_8x1xNone"}) {
    if (absl::StrContains(test, words)) return false;
  }
  return true;
}

// What holds memory for itself (library_workspaces.csv).
std::string Libraries(const Row& row) {
  const std::string blas = IsDeterministic(row["test"]) ? "cublas-4096-8" : "cublas";
  return row["transformer_impl"] == "local" ? blas : blas + " transformer-engine";
}

// Tests run on 8 GPUs unless their degrees need more: a node of DGX or two trays of GB200, of which
// "1node" takes one (NVIDIA GB200 NVL72: 4 GPUs per tray).
int LeastChips(const Row& row) {
  return row["hardware"] == "gb200" && absl::StrContains(row["test"], "_1node") ? 4 : 8;
}

// Two thirds of 4 hidden sizes in whole 64s where the MLP is gated (Megatron-LM
// megatron/training/arguments.py).
std::string Ffn(const Row& row) {
  const std::string& given = row["ffn_hidden_size"];
  if (!given.empty() || !row.True("swiglu")) return given;
  return absl::StrCat(4 * row.Int("hidden_size", 1) * 2 / 3 / 64 * 64);
}

// Tokens of what the tests' tokenizers read: Llama 2's, and nemotron_2_256k (--tokenizer-model of
// their model_config.yaml); 0: the table or its defaults say.
int VocabOf(const std::string& tokenizer) {
  if (tokenizer == "Llama2Tokenizer") return 32000;
  return tokenizer == "GPTSentencePieceTokenizer" ? 256000 : 0;
}

// A row in the columns of training_runs.csv.
std::map<std::string, std::string> AsRun(const Row& row) {
  std::map<std::string, std::string> run;
  for (const Renamed& column : kRenamed) run[column.to] = row[column.from];
  const int product = row.Int("tensor_model_parallel_size", 1) *
                      row.Int("pipeline_model_parallel_size", 1) *
                      row.Int("context_parallel_size", 1);
  // Where they are not given, experts are as wide as the MLP and as tensor parallelism (Megatron-LM
  // megatron/training/arguments.py).
  const int expert_tensor =
      row.Int("expert_tensor_parallel_size", row.Int("tensor_model_parallel_size", 1));
  const int experts = row.Int("expert_model_parallel_size", 1) * expert_tensor *
                      row.Int("pipeline_model_parallel_size", 1);
  const int chips = std::max({LeastChips(row), product, experts});
  const std::string& hardware = row["hardware"];
  run["id"] = absl::StrCat(row["test"], " ", hardware, " ", row["channel"]);
  run["family"] = absl::StrCat("megatron-memory-", row["test"].substr(0, row["test"].find('/')));
  run["chip"] = hardware == "a100" ? "A100-80GB" : hardware == "h100" ? "H100-80GB" : "GB200";
  run["chips"] = absl::StrCat(chips);
  run["dp"] = absl::StrCat(chips / product);
  run["vp"] = absl::StrCat(VirtualStages(row));
  run["gated"] = row.True("swiglu") ? "1" : "0";
  run["seq_parallel"] = row.True("sequence_parallel") ? "on" : "off";
  run["recompute"] = Recompute(row);
  run["dp_sharding"] = Sharding(row);
  run["libraries"] = Libraries(row);
  run["overlap"] = row.True("overlap_grad_reduce") ? "DP grad overlap" : "no grad-reduce overlap";
  run["precision"] = row.True("fp16") ? "fp16" : "bf16";
  if (!row["fp8_format"].empty()) run["precision"] = "FP8 " + row["fp8_format"];
  if (row.True("untie_embeddings_and_output_weights")) run["embeddings"] = "untied";
  if (absl::StrContains(row["test"], "cross_entropy_loss_fusion"))
    run["loss"] = "megatron-compiled";
  if (row["attention_backend"] == "unfused" || row["transformer_impl"] == "local") {
    run["attention_kernel"] = "unfused";
  }
  const std::string ffn = Ffn(row);
  if (!ffn.empty()) run["ffn"] = ffn;
  if (const int vocab = VocabOf(row["tokenizer_type"]); vocab > 0)
    run["vocab"] = absl::StrCat(vocab);
  if (row.Int("num_experts", 1) > 1) {
    run["moe_ffn"] = ffn.empty() ? absl::StrCat(4 * row.Int("hidden_size", 1)) : ffn;
    // --moe-ffn-hidden-size in their model_config.yaml (NVIDIA/Megatron-LM@d98e8a6).
    if (absl::StrContains(row["test"], "gpt3_moe_mcore_te")) run["moe_ffn"] = "1024";
    run["caveats"] = absl::StrCat("expert TP=", expert_tensor);
  }
  if (row.True("multi_latent_attention")) run["attn"] = "MLA of sizes that the table does not give";
  return run;
}

// What a published figure counts: "activations, ...", "params+optimizer ...".
double PartOf(const v1::Memory& memory, const std::string& what) {
  if (what.starts_with("activations")) return static_cast<double>(memory.activations_bytes());
  if (what.starts_with("params+optimizer")) {
    return static_cast<double>(memory.parameters_bytes() + memory.gradients_bytes() +
                               memory.optimizer_bytes());
  }
  return 0;
}

// Rows of memory_published.csv with the dimensions of arXiv 2205.05198 table 3; its 175B and 530B
// models run three chunks on a stage (section 6).
std::map<std::string, std::string> AsPublishedRun(const Row& row) {
  struct Model {
    const char* name;
    int layers, hidden, heads, gbs, chunks;
  };
  constexpr Model kModels[] = {{"22B", 48, 6144, 64, 4, 1},
                               {"175B", 96, 12288, 96, 64, 3},
                               {"530B", 105, 20480, 128, 280, 3},
                               {"1T", 128, 25600, 160, 512, 1}};
  std::map<std::string, std::string> run;
  for (const Model& model : kModels) {
    if (row["model"] != model.name) continue;
    run["layers"] = absl::StrCat(model.layers);
    run["hidden"] = absl::StrCat(model.hidden);
    run["heads"] = absl::StrCat(model.heads);
    run["gbs"] = absl::StrCat(model.gbs);
    run["vp"] = absl::StrCat(model.chunks);
  }
  const std::string& what = row["what"];
  run["id"] = absl::StrCat(row["family"], " ", row["model"], " ", what);
  run["family"] = row["family"];
  run["chip"] = "A100-80GB";
  run["chips"] = absl::StrCat(row.Int("tp", 1) * row.Int("pp", 1));
  run["tp"] = row["tp"];
  run["pp"] = row["pp"];
  run["mbs"] = row["mbs"];
  run["seq"] = "2048";
  run["vocab"] = "51200";
  run["seq_parallel"] = absl::StrContains(what, "sequence parallel") ? "on" : "off";
  run["recompute"] = absl::StrContains(what, "selective") ? "selective" : "none";
  run["precision"] = "fp16 (fp32 main grads)";
  run["what"] = what;
  double gib = 0;
  if (row["unit"] == "GiB" && absl::SimpleAtod(row["value"], &gib)) {
    run["bytes"] = absl::StrCat(std::llround(gib * kGib));
  }
  return run;
}

// Rows of training_runs.csv that say how much memory was used; GiB unless mem_kind says GB.
std::map<std::string, std::string> AsMeasuredRun(const CsvTable& table, std::size_t i) {
  std::map<std::string, std::string> run;
  for (std::size_t c = 0; c < table.columns.size(); ++c) run[table.columns[c]] = table.rows[i][c];
  const std::string& kind = table.At(i, "mem_kind");
  double amount = 0;
  if (absl::SimpleAtod(table.At(i, "mem_gib"), &amount) && amount > 0) {
    const bool decimal = absl::StrContains(kind, "GB") && !absl::StrContains(kind, "GiB");
    run["bytes"] = absl::StrCat(std::llround(amount * (decimal ? 1e9 : kGib)));
  }
  run["counts"] = absl::StrContains(kind, "reserved over ranks") ? "reserved"
                  : absl::StrContains(kind, "nvidia-smi")        ? "nvidia-smi"
                  : absl::StrContains(kind, "OOM")               ? "out of memory"
                  : absl::StrContains(kind, "Fig.1")             ? "model state and activations"
                                                                 : "allocated";
  return run;
}

CsvTable Convert(const CsvTable& table) {
  CsvTable runs;
  const bool published = table.Has("what"), measured = table.Has("mem_gib");
  for (std::size_t i = 0; i < table.rows.size(); ++i) {
    const std::map<std::string, std::string> run = published  ? AsPublishedRun(Row(table, i))
                                                   : measured ? AsMeasuredRun(table, i)
                                                              : AsRun(Row(table, i));
    if (measured && run.find("bytes") == run.end()) continue;  // a row about time only
    for (const auto& [column, value] : run) {
      if (!runs.Has(column)) runs.columns.push_back(column);
    }
    std::vector<std::string>& cells = runs.rows.emplace_back(runs.columns.size());
    runs.lines.push_back(table.lines[i]);
    for (std::size_t c = 0; c < runs.columns.size(); ++c) {
      const auto it = run.find(runs.columns[c]);
      if (it != run.end()) cells[c] = it->second;
    }
  }
  for (std::vector<std::string>& cells : runs.rows) cells.resize(runs.columns.size());
  return runs;
}

double PredictedBytes(const RunRow& row, const v1::SimulateReport& report) {
  if (!row.Get("what").empty()) return PartOf(report.memory(), row.Get("what"));
  // The test writes what its last rank saw.
  const bool last = row.family().starts_with("megatron-memory");
  const v1::Memory& memory = last && report.stages_size() > 0
                                 ? report.stages(report.stages_size() - 1).memory()
                                 : report.memory();
  return static_cast<double>(memory.peak_bytes());
}

void Fill(const RunRow& row, const StatusOr<v1::SimulateReport>& report, v1::ValidateRow* out) {
  if (!row.Get("counts").empty()) {
    out->set_family(absl::StrCat(row.family(), ", ", row.Get("counts")));
  }
  if (const double bytes = row.Number("bytes"); bytes > 0) out->set_measured_bytes(bytes);
  if (!report.ok()) return;
  const double predicted = PredictedBytes(row, *report);
  if (!out->has_measured_bytes() || predicted <= 0) {
    out->set_reason("the row gives no bytes that are simulated");
    return;
  }
  out->set_predicted_bytes(predicted);
  out->set_error(predicted / out->measured_bytes() - 1);
}

}  // namespace

StatusOr<v1::ValidateReport> ValidateMemory(const std::string& path, const RunOptions& options) {
  ASSIGN_OR_RETURN(const std::string content, ReadFile(path));
  ASSIGN_OR_RETURN(const CsvTable table, ParseCsv(path, content));
  if (!table.Has("mem_max_allocated_bytes") && !table.Has("mem_gib") && !table.Has("what")) {
    return InvalidInput(absl::StrCat(path,
                                     ":1: has no column \"mem_max_allocated_bytes\", \"mem_gib\" "
                                     "or \"what\""));
  }
  return SimulateRows(Convert(table), options, Fill);
}

}  // namespace meshstep
