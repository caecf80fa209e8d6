#include "strategies/plan/load_plan_experts.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <set>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "meshstep/v1/plan.pb.h"
#include "sim/base/index.h"
#include "strategies/plan/expert_draw.h"
#include "strategies/plan/parallelisms/parallelism.h"

namespace meshstep {
namespace {

constexpr int kMaxDegree = 1 << 20;
constexpr double kMostSpread = 4;
// In the order of the enumeration.
constexpr std::array<const char*, 6> kDispatchers = {"",         "all-to-all", "deepep",
                                                     "hybridep", "gather",     "einsum"};

// Ranks [begin, end) of the line of a stage that an axis runs over: a coordinate is
// rank % end / begin.
struct Stretch {
  std::int64_t begin, end;
};

class ExpertLoader {
 public:
  ExpertLoader(const v1::Plan& proto, const std::string& field, const Model& model, Plan* plan,
               Diagnostics* diagnostics)
      : proto_(proto), field_(field), model_(model), diagnostics_(diagnostics), plan_(*plan) {}

  void Load();
  void Check();

 private:
  void Error(const std::string& field, const std::string& problem) {
    diagnostics_->Error(field_ + "." + field, problem);
  }
  bool HasExpertRules() const;
  void RefuseWithoutExperts();
  int Degree(const char* name, bool is_set, int value);
  void FindStretches();
  bool Fold();
  bool CutsNest(const std::set<std::int64_t>& cuts);
  void Divide(const std::set<std::int64_t>& cuts);
  ExpertAxes AxesOfExperts() const;
  void CheckWidth(const char* dim, std::int64_t width, const std::string& what, const char* field);
  void CheckTokens();
  void DrawImbalance(int ranks);
  void LoadDispatch();
  int Shards(const std::vector<Rule>& rules, const char* dim) const;
  std::string Described() const;

  const v1::Plan& proto_;
  const std::string field_;
  const Model& model_;
  Diagnostics* diagnostics_;
  Plan& plan_;
  std::int64_t expert_ = 1, tensor_ = 1;
  std::vector<Stretch> stretches_;  // per axis; of the pipeline's axis empty
  std::int64_t ranks_ = 1;          // of a stage
};

int ExpertLoader::Degree(const char* name, bool is_set, int value) {
  if (!is_set) return 1;
  if (proto_.has_mesh()) {
    Error(name, "is set beside mesh; expected either degrees or a mesh with rules");
    return 1;
  }
  if (value >= 1 && value <= kMaxDegree) return value;
  Error(name, absl::StrCat("is ", value, ", expected 1 to ", kMaxDegree));
  return 1;
}

void ExpertLoader::RefuseWithoutExperts() {
  const std::string why =
      absl::StrCat(", but ", model_.name, " has no routed experts; expected a model with moe");
  if (expert_ > 1) Error("expert", absl::StrCat("is ", expert_, why));
  if (tensor_ > 1) Error("expert_tensor", absl::StrCat("is ", tensor_, why));
  if (proto_.has_expert_imbalance()) {
    Error("expert_imbalance", absl::StrCat("is ", proto_.expert_imbalance(), why));
  }
  if (proto_.has_expert_spread()) {
    Error("expert_spread", absl::StrCat("is ", proto_.expert_spread(), why));
  }
  if (proto_.has_capacity_factor()) {
    Error("capacity_factor", absl::StrCat("is ", proto_.capacity_factor(), why));
  }
  if (!proto_.expert_dispatch().empty()) {
    Error("expert_dispatch", absl::StrCat("is \"", proto_.expert_dispatch(), "\"", why));
  }
  if (proto_.overlap_experts()) Error("overlap_experts", absl::StrCat("is true", why));
}

bool ExpertLoader::HasExpertRules() const {
  return std::any_of(proto_.rules().begin(), proto_.rules().end(), [](const v1::Rule& rule) {
    return rule.of() == v1::Rule::EXPERTS || rule.of() == v1::Rule::EXPERT_PARAMETERS ||
           rule.of() == v1::Rule::EXPERT_OPTIMIZER;
  });
}

void ExpertLoader::FindStretches() {
  stretches_.clear();
  ranks_ = 1;
  for (AxisId axis = 0; axis < static_cast<AxisId>(plan_.axes.size()); ++axis) {
    const std::int64_t begin = ranks_;
    if (axis != plan_.pipeline) ranks_ *= plan_.axis_size(axis);
    stretches_.push_back({begin, ranks_});
  }
}

// "tensor 8 × data 16".
std::string ExpertLoader::Described() const {
  std::vector<std::string> factors;
  for (const auto& [name, size] : Degrees(plan_)) {
    if (plan_.pipeline >= 0 && name == plan_.axes[Index(plan_.pipeline)].name) continue;
    factors.push_back(absl::StrCat(name, " ", size));
  }
  return factors.empty() ? "every degree 1" : absl::StrJoin(factors, " × ");
}

// Error: two cuts of which neither divides the other.
bool ExpertLoader::CutsNest(const std::set<std::int64_t>& cuts) {
  std::int64_t inner = 1;
  for (const std::int64_t cut : cuts) {
    if (cut % inner != 0) {
      Error("expert", absl::StrCat("is ", expert_, " with expert_tensor ", tensor_,
                                   ", which does not fold onto the ranks of a pipeline stage (",
                                   Described(), ", innermost first): groups of ", inner, " and of ",
                                   cut, " ranks overlap; expected one to divide the other"));
      return false;
    }
    inner = cut;
  }
  return true;
}

// Replaces every axis by its parts between the cuts, in rules as well.
void ExpertLoader::Divide(const std::set<std::int64_t>& cuts) {
  std::vector<AxisRequest> axes;
  std::vector<std::vector<AxisId>> parts_of(plan_.axes.size());  // major first
  for (std::size_t a = 0; a < plan_.axes.size(); ++a) {
    const AxisRequest& whole = plan_.axes[a];
    const auto [begin, end] = stretches_[a];
    std::vector<std::int64_t> ends;
    for (const std::int64_t cut : cuts) {
      if (cut > begin && cut < end) ends.push_back(cut);
    }
    ends.push_back(end);
    std::int64_t inner = begin;
    for (std::size_t i = 0; i < ends.size(); ++i) {
      parts_of[a].insert(parts_of[a].begin(), static_cast<AxisId>(axes.size()));
      axes.push_back(whole);
      if (ends.size() > 1) {
        axes.back().name = absl::StrCat(whole.name, ".", i);
        axes.back().size = static_cast<int>(ends[i] / inner);
        axes.back().part_of = whole.name;
      }
      inner = ends[i];
    }
  }
  plan_.axes = std::move(axes);
  if (plan_.pipeline >= 0) plan_.pipeline = parts_of[Index(plan_.pipeline)].front();
  Rules& r = plan_.rules;
  for (auto* list : {&r.compute, &r.parameters, &r.optimizer, &r.residual}) {
    for (Rule& rule : *list) {
      std::vector<AxisId> divided;
      for (const AxisId axis : rule.axes) {
        divided.insert(divided.end(), parts_of[Index(axis)].begin(), parts_of[Index(axis)].end());
      }
      rule.axes = std::move(divided);
    }
  }
}

bool ExpertLoader::Fold() {
  FindStretches();
  const std::int64_t folded = expert_ * tensor_;
  if (ranks_ % folded != 0) {
    Error("expert", absl::StrCat("is ", expert_, " with expert_tensor ", tensor_,
                                 ", whose product ", folded, " does not divide the ", ranks_,
                                 " ranks of a pipeline stage (", Described(), ")"));
    return false;
  }
  std::set<std::int64_t> cuts{tensor_, folded};
  for (const Stretch& stretch : stretches_) cuts.insert(stretch.end);
  if (!CutsNest(cuts)) return false;
  Divide(cuts);
  FindStretches();
  return true;
}

ExpertAxes ExpertLoader::AxesOfExperts() const {
  ExpertAxes axes;
  for (AxisId axis = static_cast<AxisId>(plan_.axes.size()) - 1; axis >= 0; --axis) {
    if (axis == plan_.pipeline) continue;
    const std::int64_t end = stretches_[Index(axis)].end;
    (end <= tensor_             ? axes.tensor
     : end <= tensor_ * expert_ ? axes.expert
                                : axes.data)
        .push_back(axis);
  }
  return axes;
}

void ExpertLoader::LoadDispatch() {
  const auto* const found =
      std::find(kDispatchers.begin(), kDispatchers.end(), proto_.expert_dispatch());
  if (found == kDispatchers.end()) {
    Error("expert_dispatch",
          absl::StrCat("is \"", proto_.expert_dispatch(),
                       "\", expected all-to-all, deepep, hybridep, gather, einsum or nothing"));
  } else {
    plan_.expert_dispatch = static_cast<ExpertDispatch>(found - kDispatchers.begin());
  }
  if (plan_.expert_dispatch == ExpertDispatch::kEinsum && !proto_.has_capacity_factor()) {
    Error(
        "expert_dispatch",
        "is \"einsum\", whose masks need places to be counted; expected capacity_factor beside it");
  }
  const std::string& experts = proto_.kernels().experts();
  if (plan_.expert_dispatch == ExpertDispatch::kEinsum && !experts.empty() &&
      experts != "grouped") {
    Error("kernels.experts",
          absl::StrCat("is \"", experts, "\" beside expert_dispatch \"einsum\", expected grouped"));
  }
  plan_.overlap_experts = proto_.overlap_experts();
}

void ExpertLoader::Load() {
  expert_ = Degree("expert", proto_.has_expert(), proto_.expert());
  tensor_ = Degree("expert_tensor", proto_.has_expert_tensor(), proto_.expert_tensor());
  const auto any = [this](auto has) {
    return has(model_) || std::ranges::any_of(model_.kinds, has);
  };
  const bool latent = any([](const Layer& layer) { return layer.mla || layer.compressed; });
  if (!proto_.has_mesh()) {
    if (latent || model_.embedding_dim > 0) AddLatentRules(&plan_.rules);
    if (any([](const Layer& layer) { return layer.HasState(); })) AddStateRules(&plan_.rules);
  }
  if (!model_.moe) {
    RefuseWithoutExperts();
    return;
  }
  LoadDispatch();
  if (proto_.has_mesh() && HasExpertRules()) return;
  if (!Fold()) return;
  AddExpertRules(AxesOfExperts(), &plan_.rules);
}

int ExpertLoader::Shards(const std::vector<Rule>& rules, const char* dim) const {
  int shards = 1;
  const Sharding sharding = Apply(rules, {dim});
  for (const AxisId axis : sharding.dims[0].axes) shards *= plan_.axis_size(axis);
  return shards;
}

void ExpertLoader::CheckWidth(const char* dim, std::int64_t width, const std::string& what,
                              const char* field) {
  const bool routed = std::string_view(dim) != "F_s";
  const int shards = Shards(routed ? plan_.rules.experts : plan_.rules.compute, dim);
  if (width % shards == 0) return;
  Error(proto_.has_mesh() ? "rules" : field,
        absl::StrCat("is ", shards, ", which does not divide the ", width, " ", what, " of ",
                     model_.name));
}

void ExpertLoader::DrawImbalance(int ranks) {
  const double spread = proto_.expert_spread();
  if (proto_.has_expert_imbalance() || proto_.has_capacity_factor()) {
    Error("expert_spread",
          absl::StrCat("is ", spread, " beside ",
                       proto_.has_expert_imbalance() ? "expert_imbalance" : "capacity_factor",
                       ", expected one of them"));
  } else if (!(spread >= 0 && spread <= kMostSpread)) {
    Error("expert_spread", absl::StrCat("is ", spread, ", expected 0 to ", kMostSpread));
  } else if (proto_.expert_seed() < 0) {
    Error("expert_seed", absl::StrCat("is ", proto_.expert_seed(), ", expected 0 or more"));
  } else {
    plan_.expert_imbalance = DrawnImbalance({.experts = static_cast<int>(model_.moe->experts),
                                             .ranks = ranks,
                                             .layers = static_cast<int>(model_.layers),
                                             .spread = spread,
                                             .seed = proto_.expert_seed()});
  }
}

void ExpertLoader::CheckTokens() {
  const double expert = Shards(plan_.rules.experts, "E");
  if (proto_.has_expert_spread()) DrawImbalance(static_cast<int>(expert));
  if (proto_.has_expert_imbalance()) {
    plan_.expert_imbalance = proto_.expert_imbalance();
    if (proto_.has_capacity_factor()) {
      Error("expert_imbalance", absl::StrCat("is ", plan_.expert_imbalance,
                                             " beside capacity_factor, which gives every expert "
                                             "the same tokens; expected one of them"));
    } else if (!(plan_.expert_imbalance >= 1 && plan_.expert_imbalance <= expert)) {
      Error("expert_imbalance",
            absl::StrCat("is ", plan_.expert_imbalance, ", expected 1 to ", expert,
                         ", the ranks that share the experts (expert)"));
    }
  }
  if (!proto_.has_capacity_factor()) return;
  plan_.capacity_factor = proto_.capacity_factor();
  const double most = static_cast<double>(model_.moe->experts) / model_.moe->experts_per_token;
  if (!(plan_.capacity_factor > 0 && plan_.capacity_factor <= most)) {
    Error("capacity_factor",
          absl::StrCat("is ", plan_.capacity_factor, ", expected above 0 and at most ", most, " (",
                       model_.moe->experts, " experts, ", model_.moe->experts_per_token,
                       " for a token)"));
  }
}

void ExpertLoader::Check() {
  if (!model_.moe) {
    if (HasExpertRules()) {
      Error("rules", absl::StrCat("shard experts, but ", model_.name,
                                  " has no routed experts; expected a model with moe"));
    }
    return;
  }
  const Moe& moe = *model_.moe;
  CheckWidth("E", moe.experts, "experts", "expert");
  CheckWidth("F_e", moe.expert_ffn, "wide experts", "expert_tensor");
  const std::int64_t shared = std::int64_t{moe.shared_experts} * moe.shared_expert_ffn;
  CheckWidth("F_s", shared, "wide shared experts", "tensor");
  const Sharding tokens = Apply(plan_.rules.experts, {"B"});
  const Sharding experts = Apply(plan_.rules.experts, {"E"});
  for (const AxisId axis : experts.dims[0].axes) {
    if (tokens.Uses(axis)) continue;
    Error("rules", absl::StrCat("shard E of EXPERTS over \"", plan_.axes[Index(axis)].name,
                                "\" but not B; expected tokens to follow their experts"));
  }
  CheckTokens();
}

}  // namespace

void ExpandExperts(const Plan& plan, v1::Plan* proto) {
  if (plan.expert_imbalance > 1) proto->set_expert_imbalance(plan.expert_imbalance);
  if (plan.capacity_factor > 0) proto->set_capacity_factor(plan.capacity_factor);
  proto->set_expert_dispatch(kDispatchers[static_cast<std::size_t>(plan.expert_dispatch)]);
  if (plan.overlap_experts) proto->set_overlap_experts(true);
}

void LoadExperts(const v1::Plan& proto, const std::string& field, const Model& model, Plan* plan,
                 Diagnostics* diagnostics) {
  ExpertLoader(proto, field, model, plan, diagnostics).Load();
}

void CheckExperts(const v1::Plan& proto, const std::string& field, const Model& model, Plan* plan,
                  Diagnostics* diagnostics) {
  ExpertLoader(proto, field, model, plan, diagnostics).Check();
}

}  // namespace meshstep
