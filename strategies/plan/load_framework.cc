#include "strategies/plan/load_framework.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "meshstep/v1/framework.pb.h"
#include "sim/base/overlay.h"
#include "strategies/plan/load_framework_conditions.h"
#include "strategies/plan/load_plan_parts.h"

namespace meshstep {
namespace {

constexpr char kFolder[] = "strategies/frameworks";

class Merger {
 public:
  Merger(const std::string& field, const FrameworkConditions& conditions, bool routed,
         bool forward_only, const v1::Plan& own, Diagnostics* diagnostics)
      : field_(field),
        conditions_(conditions),
        routed_(routed),
        forward_only_(forward_only),
        own_(own),
        diagnostics_(diagnostics) {}

  // The defaults with the plan's own fields over them.
  v1::Plan Merge(const std::vector<v1::Framework>& files);

 private:
  void Apply(const v1::FrameworkEntry& entry);
  void TakePolicy(const std::vector<v1::Framework>& files);
  void CheckOptions(const std::vector<v1::Framework>& files);
  void LeaveOutWhatCannotBe();

  const std::string& field_;
  const FrameworkConditions& conditions_;
  const bool routed_, forward_only_;
  v1::Plan own_;
  Diagnostics* diagnostics_;
  v1::Plan defaults_;
};

void Merger::Apply(const v1::FrameworkEntry& entry) {
  if (!conditions_.Hold(entry.when(), own_, defaults_)) return;
  Overlay(entry.plan(), &defaults_);
  if (entry.expert_tensor_as_tensor() && routed_ && !own_.has_mesh()) {
    defaults_.set_expert_tensor(std::max(1, own_.tensor()));
  }
}

// A name of the framework's for what runs again takes the place of the fields that it means.
void Merger::TakePolicy(const std::vector<v1::Framework>& files) {
  for (const v1::Framework& file : files) {
    for (const v1::RecomputePolicy& policy : file.recompute_policies()) {
      if (policy.name() != own_.recompute()) continue;
      own_.clear_recompute();
      v1::Plan meant = policy.plan();
      Overlay(own_, &meant);
      own_ = std::move(meant);
      return;
    }
  }
}

void Merger::CheckOptions(const std::vector<v1::Framework>& files) {
  std::vector<std::string> known;
  for (const v1::Framework& file : files) {
    for (const v1::FrameworkOption& option : file.options()) known.push_back(option.name());
  }
  for (int i = 0; i < own_.framework_options_size(); ++i) {
    const std::string& option = own_.framework_options(i);
    if (std::find(known.begin(), known.end(), option) != known.end()) continue;
    diagnostics_->Error(
        absl::StrCat(field_, ".framework_options[", i, "]"),
        absl::StrCat("is \"", option, "\", expected ",
                     known.empty() ? "none: this framework has no options"
                                   : absl::StrCat("one of ", absl::StrJoin(known, ", "))));
  }
}

void Merger::LeaveOutWhatCannotBe() {
  if (own_.has_mesh()) {
    defaults_.clear_sequence_parallel();
    defaults_.clear_zero_stage();
    defaults_.clear_expert_tensor();
  }
  if (!forward_only_) return;
  ClearTraining(&defaults_);
  // What is kept for the optimizer is not what serves.
  if (defaults_.has_precision()) defaults_.mutable_precision()->clear_parameters();
  if (defaults_.attention_kernel() == "unfused") defaults_.clear_attention_kernel();
}

v1::Plan Merger::Merge(const std::vector<v1::Framework>& files) {
  TakePolicy(files);
  CheckOptions(files);
  for (const v1::Framework& file : files) {
    for (const v1::FrameworkEntry& entry : file.entries()) Apply(entry);
  }
  LeaveOutWhatCannotBe();
  // Where the framework reduces gradients in the type that it keeps them in, it does so in one that
  // the plan gives too.
  const v1::Precision& precision = defaults_.precision();
  if (!own_.precision().gradients().empty() && precision.reduce() == precision.gradients()) {
    defaults_.mutable_precision()->clear_reduce();
  }
  Overlay(own_, &defaults_);
  return std::move(defaults_);
}

}  // namespace

std::string FrameworkName(const std::string& framework) {
  return framework.substr(0, framework.find('@'));
}

std::string ReleaseOf(const std::string& framework, const std::vector<v1::Framework>& files) {
  const std::size_t at = framework.find('@');
  std::string release = at == std::string::npos ? "" : framework.substr(at + 1);
  for (auto file = files.rbegin(); release.empty() && file != files.rend(); ++file) {
    release = file->release();
  }
  return release;
}

StatusOr<std::vector<v1::Framework>> ReadFramework(const std::string& name,
                                                   const Catalog& catalog) {
  std::vector<v1::Framework> files;
  std::vector<std::string> seen;
  for (std::string next = name; !next.empty(); next = files.back().base()) {
    if (std::find(seen.begin(), seen.end(), next) != seen.end()) {
      return InvalidInput(absl::StrCat("\"", next, "\" builds on itself"));
    }
    seen.push_back(next);
    v1::Framework file;
    RETURN_IF_ERROR(catalog.Read(kFolder, next, &file));
    files.push_back(std::move(file));
  }
  std::reverse(files.begin(), files.end());
  return files;
}

void MergeFramework(const std::string& field, const Model& model, const Cluster& cluster,
                    const Workload& workload, const Catalog& catalog, v1::Plan* proto,
                    Diagnostics* diagnostics) {
  const std::string preset = proto->kernels().preset();
  if (!preset.empty() && !proto->framework().empty() && preset != proto->framework()) {
    diagnostics->Error(field + ".kernels.preset",
                       absl::StrCat("is \"", preset, "\" beside framework \"", proto->framework(),
                                    "\", expected one of the two"));
    return;
  }
  if (!preset.empty()) proto->set_framework(preset);
  if (proto->has_kernels()) proto->mutable_kernels()->clear_preset();
  const std::string name = FrameworkName(proto->framework());
  if (name.empty()) {
    if (!proto->framework_options().empty()) {
      diagnostics->Error(field + ".framework_options", "is given, but no framework");
    }
    return;
  }
  const StatusOr<std::vector<v1::Framework>> files = ReadFramework(name, catalog);
  if (!files.ok()) {
    diagnostics->Error(field + ".framework", std::string(files.status().message()));
    return;
  }
  const FrameworkConditions conditions(model, cluster, ReleaseOf(proto->framework(), *files));
  *proto =
      Merger(field, conditions, model.moe.has_value(), workload.forward_only(), *proto, diagnostics)
          .Merge(*files);
}

}  // namespace meshstep
