#include "strategies/plan/load_plan.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "meshstep/v1/plan.pb.h"
#include "sim/base/counted.h"
#include "sim/cost/collective.h"
#include "sim/cost/collective_registry.h"
#include "strategies/plan/load_layer_ranges.h"
#include "strategies/plan/load_muon.h"
#include "strategies/plan/load_offload.h"
#include "strategies/plan/load_pipeline.h"
#include "strategies/plan/load_plan_experts.h"
#include "strategies/plan/load_plan_kernels.h"
#include "strategies/plan/load_plan_parts.h"
#include "strategies/plan/load_precision.h"
#include "strategies/plan/load_recompute.h"
#include "strategies/plan/parallelisms/parallelism.h"

namespace meshstep {
namespace {

constexpr int kMaxDegree = 1 << 20;
constexpr int kMaxPrefetch = 16;
constexpr std::int64_t kMaxMicroBatches = 1 << 16;
constexpr char kPipelineAxis[] = "pipeline";

class PlanLoader {
 public:
  PlanLoader(const v1::Plan& proto, const std::string& field, const Model& model,
             const Cluster& cluster, const Workload& workload, Diagnostics* diagnostics)
      : proto_(proto),
        field_(field),
        model_(model),
        cluster_(cluster),
        workload_(workload),
        diagnostics_(diagnostics) {}

  Plan Load();

 private:
  void Error(const std::string& field, const std::string& problem) {
    diagnostics_->Error(field_ + "." + field, problem);
  }
  int Degree(const char* name, bool is_set, int value);
  void LoadDegrees();
  void LoadMesh();
  void LoadRules();
  std::string DegreeToChange(double product) const;
  bool CheckDevices();
  void CheckDivisibility();
  void LoadMicroBatches();
  void LoadActivations();
  void LoadCollectives();
  void FindSplitAxis();
  AxisId FindAxis(const std::string& name) const;
  std::vector<Rule>* RulesOf(v1::Rule::Of of);
  int Shards(const char* dim) const;

  const v1::Plan& proto_;
  const std::string field_;
  const Model& model_;
  const Cluster& cluster_;
  const Workload& workload_;
  Diagnostics* diagnostics_;
  Plan plan_;
};

int PlanLoader::Degree(const char* name, bool is_set, int value) {
  if (!is_set) return 1;
  if (value >= 1 && value <= kMaxDegree) return value;
  Error(name, absl::StrCat("is ", value, ", expected 1 to ", kMaxDegree));
  return 1;
}

AxisId PlanLoader::FindAxis(const std::string& name) const {
  for (std::size_t i = 0; i < plan_.axes.size(); ++i) {
    if (plan_.axes[i].name == name) return static_cast<AxisId>(i);
  }
  return -1;
}

void PlanLoader::LoadDegrees() {
  int data = Degree("data", proto_.has_data(), proto_.data());
  int fsdp = Degree("fsdp", proto_.has_fsdp(), proto_.fsdp());
  const int tensor = Degree("tensor", proto_.has_tensor(), proto_.tensor());
  const int context = Degree("context", proto_.has_context(), proto_.context());
  plan_.stages = Degree("pipeline", proto_.has_pipeline(), proto_.pipeline());
  plan_.zero_stage = proto_.zero_stage();
  if (plan_.zero_stage < 0 || plan_.zero_stage > 3) {
    Error("zero_stage", absl::StrCat("is ", plan_.zero_stage, ", expected 0, 1, 2 or 3"));
    plan_.zero_stage = 0;
  }
  if (plan_.zero_stage == 3) {
    // Beside fsdp it says the same thing again.
    if (fsdp > 1 && data > 1) {
      Error("zero_stage",
            absl::StrCat("is 3 with fsdp ", fsdp, " and data ", data,
                         ", but fsdp is ZeRO-3 already; expected 0, 1 or 2 for data"));
    }
    if (fsdp == 1) std::swap(data, fsdp);
    plan_.zero_stage = 0;
  }
  const bool shards_parameters = fsdp > 1 || proto_.zero_stage() == 3;
  // Innermost first.
  plan_.axes = OrderAxes({{"tensor", tensor},
                          {"context", context},
                          {"fsdp", fsdp},
                          {"data", data},
                          {kPipelineAxis, plan_.stages}},
                         proto_.order(), field_ + ".order", diagnostics_);
  // Rules in the order of the book's notation: In[B_data,fsdp, ...], major first.
  if (const AxisId a = FindAxis("data"); a >= 0) AddDataRules(a, plan_.zero_stage, &plan_.rules);
  if (const AxisId a = FindAxis("context"); a >= 0) AddContextRules(a, &plan_.rules);
  if (const AxisId a = FindAxis("tensor"); a >= 0) {
    AddTensorRules(a, proto_.sequence_parallel(), &plan_.rules);
  }
  if (const AxisId a = FindAxis("fsdp"); a >= 0) AddFsdpRules(a, &plan_.rules);
  if (const AxisId a = FindAxis("context"); a >= 0) {
    AddContextStorageRules(a, shards_parameters, plan_.zero_stage, &plan_.rules);
  }
  plan_.pipeline = FindAxis(kPipelineAxis);
}

void PlanLoader::LoadMesh() {
  for (const auto& [name, set] :
       {std::pair{"data", proto_.has_data()}, std::pair{"fsdp", proto_.has_fsdp()},
        std::pair{"tensor", proto_.has_tensor()}, std::pair{"pipeline", proto_.has_pipeline()},
        std::pair{"context", proto_.has_context()},
        std::pair{"sequence_parallel", proto_.has_sequence_parallel()},
        std::pair{"order", !proto_.order().empty()}}) {
    if (set) Error(name, "is set beside mesh; expected either degrees or a mesh with rules");
  }
  plan_.zero_stage = proto_.zero_stage();
  if (plan_.zero_stage < 0 || plan_.zero_stage > 2) {
    Error("zero_stage", absl::StrCat("is ", plan_.zero_stage, " beside mesh, expected 0, 1 or 2"));
    plan_.zero_stage = 0;
  }
  std::set<std::string> names;
  for (int i = 0; i < proto_.mesh().axes_size(); ++i) {
    const v1::Axis& axis = proto_.mesh().axes(i);
    const std::string at = absl::StrCat("mesh.axes[", i, "].");
    if (axis.name().empty()) Error(at + "name", "is empty, expected a name that rules use");
    if (!names.insert(axis.name()).second) {
      Error(at + "name", "is \"" + axis.name() + "\" a second time, expected a new name");
    }
    if (axis.size() < 1 || axis.size() > kMaxDegree) {
      Error(at + "size", absl::StrCat("is ", axis.size(), ", expected 1 to ", kMaxDegree));
      continue;
    }
    if (axis.name() == kPipelineAxis) plan_.stages = axis.size();
    if (axis.size() == 1) continue;
    plan_.axes.push_back({axis.name(), axis.size(), axis.physical(), axis.part_of()});
  }
  plan_.pipeline = FindAxis(kPipelineAxis);
}

std::vector<Rule>* PlanLoader::RulesOf(v1::Rule::Of of) {
  switch (of) {
    case v1::Rule::COMPUTE:
      return &plan_.rules.compute;
    case v1::Rule::PARAMETERS:
      return &plan_.rules.parameters;
    case v1::Rule::RESIDUAL:
      return &plan_.rules.residual;
    case v1::Rule::OPTIMIZER:
      return &plan_.rules.optimizer;
    case v1::Rule::EXPERTS:
      return &plan_.rules.experts;
    case v1::Rule::EXPERT_PARAMETERS:
      return &plan_.rules.expert_parameters;
    case v1::Rule::EXPERT_OPTIMIZER:
      return &plan_.rules.expert_optimizer;
    default:
      return nullptr;
  }
}

void PlanLoader::LoadRules() {
  static const std::set<std::string> kDims = {
      "B",   "T", "D",   "N",   "K",   "H",   "F",   "V",   "E",    "A",
      "P",   "C", "F_e", "F_s", "H_r", "H_n", "H_v", "R_q", "R_kv", "D_e",
      "D_l", "M", "G",   "M_v", "M_k", "I",   "J",   "O",   "R_o"};
  std::set<std::string> size_one;
  for (const v1::Axis& axis : proto_.mesh().axes()) {
    if (axis.size() == 1) size_one.insert(axis.name());
  }
  for (const char* degree : {"data", "fsdp", "context", "tensor", "pipeline"})
    size_one.insert(degree);
  std::set<std::pair<int, std::string>> replaced;
  std::set<int> given;
  for (int i = 0; i < proto_.rules_size(); ++i) {
    const v1::Rule& rule = proto_.rules(i);
    const std::string at = absl::StrCat("rules[", i, "].");
    std::vector<Rule>* rules = RulesOf(rule.of());
    if (rules == nullptr) {
      Error(at + "of",
            "is unset, expected COMPUTE, PARAMETERS, RESIDUAL, OPTIMIZER, EXPERTS, "
            "EXPERT_PARAMETERS or EXPERT_OPTIMIZER");
      continue;
    }
    if (!kDims.contains(rule.dimension())) {
      Error(at + "dimension", absl::StrCat("is \"", rule.dimension(), "\", expected one of ",
                                           absl::StrJoin(kDims, ", ")));
      continue;
    }
    given.insert(rule.of());
    // The first rule for a dimension takes the place of those that degrees gave.
    if (replaced.insert({rule.of(), rule.dimension()}).second) {
      std::erase_if(*rules, [&](const Rule& r) { return r.dim == rule.dimension(); });
    }
    Rule value{rule.dimension(), {}};
    for (int k = 0; k < rule.axes_size(); ++k) {
      const std::vector<AxisId> axes = FindAxes(plan_, rule.axes(k));
      const auto there = [&](AxisId axis) {
        return std::find(value.axes.begin(), value.axes.end(), axis) != value.axes.end();
      };
      if (axes.empty()) {
        if (size_one.contains(rule.axes(k))) continue;
        Error(absl::StrCat(at, "axes[", k, "]"),
              absl::StrCat("is \"", rule.axes(k), "\", which is not an axis of the mesh"));
      } else if (axes.front() == plan_.pipeline) {
        Error(absl::StrCat(at, "axes[", k, "]"),
              "is \"pipeline\", which partitions the layers and cannot shard a dimension");
      } else if (std::any_of(axes.begin(), axes.end(), there)) {
        Error(absl::StrCat(at, "axes[", k, "]"),
              absl::StrCat("is \"", rule.axes(k), "\" a second time, expected each axis once"));
      } else {
        value.axes.insert(value.axes.end(), axes.begin(), axes.end());
      }
    }
    rules->push_back(std::move(value));
  }
  Rules& rules = plan_.rules;
  if (!given.contains(v1::Rule::OPTIMIZER) && (proto_.has_mesh() || plan_.zero_stage == 0)) {
    rules.optimizer = rules.parameters;
  }
  if (!proto_.has_mesh() || !given.contains(v1::Rule::EXPERTS)) return;
  if (!given.contains(v1::Rule::EXPERT_PARAMETERS)) rules.expert_parameters = rules.experts;
  if (!given.contains(v1::Rule::EXPERT_OPTIMIZER)) rules.expert_optimizer = rules.expert_parameters;
}

// The first degree whose change alone would make the product that of the devices.
std::string PlanLoader::DegreeToChange(double product) const {
  for (const auto& [name, size] : Degrees(plan_)) {
    const bool is_field = name == "tensor" || name == "context" || name == "fsdp" ||
                          name == "data" || name == "pipeline";
    if (is_field && std::fmod(cluster_.devices(), product / size) == 0) return name;
  }
  return "data";
}

// Products of axes are safe once they are known to be the devices.
bool PlanLoader::CheckDevices() {
  double product = 1;
  std::vector<std::string> factors;
  for (const AxisRequest& axis : plan_.axes) product *= axis.size;
  for (const auto& [name, size] : Degrees(plan_)) {
    const bool folded = FindAxes(plan_, name).empty();  // experts, on the same ranks
    if (!folded) factors.push_back(absl::StrCat(name, " ", size));
  }
  if (product == cluster_.devices()) return true;
  if (factors.empty()) factors.push_back("every degree 1");
  Error(proto_.has_mesh() ? "mesh" : DegreeToChange(product),
        absl::StrCat("degrees multiply to ", absl::StrFormat("%.17g", product), " devices (",
                     absl::StrJoin(factors, " × "), "), but the cluster has ", cluster_.devices()));
  return false;
}

// Devices that share a dimension inside einsums.
int PlanLoader::Shards(const char* dim) const {
  int shards = 1;
  for (const ShardedDim& d : Apply(plan_.rules.compute, {dim}).dims) {
    for (const AxisId axis : d.axes) shards *= plan_.axis_size(axis);
  }
  return shards;
}

void PlanLoader::CheckDivisibility() {
  const std::string field = proto_.has_mesh() ? "rules" : "tensor";
  CheckLayers(plan_, model_, absl::StrCat(field_, ".", field), diagnostics_);
  const std::int64_t multiple = std::int64_t{128} * Shards("V");
  if (const std::int64_t padded = (model_.vocab + multiple - 1) / multiple * multiple;
      padded != model_.vocab) {
    diagnostics_->Note(absl::StrCat("the vocabulary is padded from ", model_.vocab, " to ", padded,
                                    ", a multiple of 128 × ", Shards("V")));
  }
  int sequence_shards = 1;
  for (const ShardedDim& d : Apply(plan_.rules.residual, {"T"}).dims) {
    for (const AxisId axis : d.axes) sequence_shards *= plan_.axis_size(axis);
  }
  // What the context degree does not divide is told of it.
  const bool context =
      workload_.sequence % (2 * std::int64_t{Shards("T")}) == 0 || Shards("T") == 1;
  if (workload_.sequence % sequence_shards != 0 && context) {
    Error(proto_.has_mesh() ? "rules" : "sequence_parallel",
          absl::StrCat("shards the sequence of ", workload_.sequence, " tokens over ",
                       sequence_shards, " devices, which does not divide it"));
  }
}

void PlanLoader::LoadMicroBatches() {
  plan_.replicas = Shards("B");
  const auto replicas = static_cast<std::int64_t>(plan_.replicas);
  const std::string unit = Counted(replicas, "replica");
  if (workload_.batch % replicas != 0) {
    Error("micro_batch_sequences",
          absl::StrCat("cannot be chosen: ", Counted(workload_.batch, "sequence"),
                       workload_.batch == 1 ? " does" : " do", " not divide over ", unit));
    return;
  }
  const std::int64_t per_replica = workload_.batch / replicas;
  std::int64_t size = plan_.stages > 1 ? 1 : per_replica;
  if (plan_.stages > 1 && workload_.mode == Workload::Mode::kDecode) {
    // Each reads all parameters: as few micro-batches as keep every stage busy.
    std::int64_t count = std::min<std::int64_t>(plan_.stages, per_replica);
    while (per_replica % count != 0) --count;
    size = per_replica / count;
  }
  if (proto_.has_micro_batch_sequences()) size = proto_.micro_batch_sequences();
  if (size < 1 || per_replica % size != 0) {
    Error("micro_batch_sequences", absl::StrCat("is ", size, ", expected a divisor of the ",
                                                Counted(per_replica, "sequence"), " of each of ",
                                                unit, " (", workload_.batch, " in the step)"));
    return;
  }
  plan_.micro_batch_sequences = static_cast<double>(size);
  plan_.micro_batches = per_replica / size;
  if (plan_.micro_batches > kMaxMicroBatches) {
    Error("micro_batch_sequences",
          absl::StrCat("gives ", plan_.micro_batches, " micro-batches, expected at most ",
                       kMaxMicroBatches));
    plan_.micro_batches = 1;
  }
}

void PlanLoader::LoadActivations() {
  LoadRecompute(proto_, field_, &plan_, diagnostics_);
  const std::string& kernel = proto_.attention_kernel();
  LoadAttentionKernel(kernel, field_, cluster_.chip, &plan_, diagnostics_);
  plan_.dropout = proto_.dropout();
  plan_.accumulate_unsharded = proto_.accumulate_unsharded();
  if (proto_.has_prefetch_layers()) plan_.prefetch_layers = proto_.prefetch_layers();
  if (plan_.prefetch_layers < 0 || plan_.prefetch_layers > kMaxPrefetch) {
    Error("prefetch_layers",
          absl::StrCat("is ", plan_.prefetch_layers, ", expected 0 to ", kMaxPrefetch));
    plan_.prefetch_layers = 1;
  }
}

void PlanLoader::LoadCollectives() {
  for (int i = 0; i < proto_.collectives_size(); ++i) {
    const v1::CollectiveChoice& choice = proto_.collectives(i);
    const std::string at = absl::StrCat("collectives[", i, "].");
    const StatusOr<Collective> kind = ParseCollective(choice.collective());
    if (!kind.ok()) Error(at + "collective", std::string(kind.status().message()));
    std::vector<AxisId> axes = AxesNamed(plan_, choice.axis(), false);
    std::vector<AxisId> expert_axes = AxesNamed(plan_, choice.axis(), true);
    if (!choice.axis().empty() && axes.empty() && expert_axes.empty()) {
      Error(at + "axis",
            "is \"" + choice.axis() + "\", which is not an axis of more than one device");
    }
    if (choice.algorithm() != "auto" && FindAlgorithm(choice.algorithm()) == nullptr) {
      std::vector<std::string> names = {"auto"};
      for (const CollectiveAlgorithm* a : CollectiveAlgorithms()) names.emplace_back(a->name());
      Error(at + "algorithm", absl::StrCat("is \"", choice.algorithm(), "\", expected one of ",
                                           absl::StrJoin(names, ", ")));
    }
    plan_.collectives.push_back({choice.collective(), choice.axis(), choice.algorithm(),
                                 std::move(axes), std::move(expert_axes)});
  }
}

// What stages send is alike on the ranks of tensor, unless these shard it.
void PlanLoader::FindSplitAxis() {
  const AxisId tensor = FindAxis("tensor");
  if (!plan_.split_sends || tensor < 0) return;
  if (!Apply(plan_.rules.residual, {"B", "T", "D"}).Uses(tensor)) plan_.split_axis = tensor;
}

Plan PlanLoader::Load() {
  const std::size_t before = diagnostics_->errors().size();
  if (proto_.has_mesh()) {
    LoadMesh();
  } else {
    LoadDegrees();
  }
  const bool fits = diagnostics_->errors().size() == before && CheckDevices();
  if (fits) LoadExperts(proto_, field_, model_, &plan_, diagnostics_);
  LoadRules();
  if (fits) {
    CheckDivisibility();
    CheckExperts(proto_, field_, model_, &plan_, diagnostics_);
    LoadMicroBatches();
    LoadPipeline(proto_, field_, model_, &plan_, diagnostics_);
  }
  plan_.precision =
      LoadPrecision(proto_.precision(), field_ + ".precision", cluster_.chip, diagnostics_);
  LoadActivations();
  LoadOffload(proto_, field_, cluster_.chip, &plan_, diagnostics_);
  LoadMuon(proto_, field_, &plan_, diagnostics_);
  LoadLayerRanges(proto_, field_, model_.layers, cluster_.chip, &plan_, diagnostics_);
  if (fits) LoadContext(proto_, field_, model_, workload_, &plan_, diagnostics_);
  plan_.framework = proto_.framework();
  plan_.collective_library = proto_.collective_library();
  plan_.framework_options = {proto_.framework_options().begin(), proto_.framework_options().end()};
  plan_.kernels = LoadKernels(proto_.kernels(), field_ + ".kernels", diagnostics_);
  plan_.memory_reserve = LoadMemoryReserve(proto_.memory_reserve(), field_, diagnostics_);
  LoadCollectives();
  // With wrong degrees more would be follow-up errors only.
  if (!fits) return std::move(plan_);
  LoadInference(proto_, field_, model_, workload_, &plan_, diagnostics_);
  for (LayerRange& range : plan_.layer_ranges) {
    range.precision.kv_cache = plan_.precision.kv_cache;
  }
  FindSplitAxis();
  return std::move(plan_);
}

}  // namespace

Plan LoadPlan(const v1::Plan& proto, const std::string& field, const Model& model,
              const Cluster& cluster, const Workload& workload, Diagnostics* diagnostics) {
  return PlanLoader(proto, field, model, cluster, workload, diagnostics).Load();
}

}  // namespace meshstep
