#include "strategies/plan/load_framework.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "meshstep/v1/framework.pb.h"
#include "sim/base/overlay.h"
#include "sim/base/release.h"
#include "strategies/plan/load_plan_parts.h"

namespace meshstep {
namespace {

constexpr char kFolder[] = "strategies/frameworks";

std::string LettersAndDigits(const std::string& text) {
  std::string kept;
  for (const char c : absl::AsciiStrToLower(text)) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) kept += c;
  }
  return kept;
}

// Any of the values; true where none is asked for.
template <class Values, class Fits>
bool AnyOf(const Values& values, const Fits& fits) {
  return values.empty() || std::any_of(values.begin(), values.end(), fits);
}

class Merger {
 public:
  Merger(const std::string& field, const Model& model, const Cluster& cluster,
         const Workload& workload, const v1::Plan& own, Diagnostics* diagnostics)
      : field_(field),
        model_(LettersAndDigits(model.name)),
        routed_(model.moe.has_value()),
        predicts_(model.mtp_layers > 0),
        chip_(cluster.chip.name),
        workload_(workload),
        own_(own),
        diagnostics_(diagnostics) {}

  // The defaults with the plan's own fields over them.
  v1::Plan Merge(const std::vector<v1::Framework>& files, const std::string& release);

 private:
  bool Holds(const v1::When& when) const;
  bool HoldsForDegrees(const v1::When& when) const;
  bool HoldsForRelease(const v1::When& when) const;
  void Apply(const v1::FrameworkEntry& entry);
  void TakePolicy(const std::vector<v1::Framework>& files);
  void CheckOptions(const std::vector<v1::Framework>& files);
  void LeaveOutWhatCannotBe();

  // A degree, by its field or by the axis of an explicit mesh that has its name.
  int Degree(const char* axis, bool own, int own_value) const;
  template <class Has, class Get>
  auto Field(Has has, Get get) const {
    return (own_.*has)() ? (own_.*get)() : (defaults_.*get)();
  }
  const std::string& Text(const std::string& (v1::Precision::*get)() const) const {
    const std::string& own = (own_.precision().*get)();
    return own.empty() ? (defaults_.precision().*get)() : own;
  }
  int Pipeline() const { return Degree("pipeline", own_.has_pipeline(), own_.pipeline()); }
  int VirtualStages() const {
    return std::max(1, Field(&v1::Plan::has_virtual_stages, &v1::Plan::virtual_stages));
  }

  const std::string& field_;
  const std::string model_;
  const bool routed_, predicts_;
  const std::string& chip_;
  const Workload& workload_;
  v1::Plan own_;
  Diagnostics* diagnostics_;
  std::string release_;
  v1::Plan defaults_;
};

int Merger::Degree(const char* axis, bool own, int own_value) const {
  if (own) return own_value;
  int product = 1;
  for (const v1::Axis& one : own_.mesh().axes()) {
    if (one.name() == axis || one.part_of() == axis) product *= std::max(1, one.size());
  }
  return product;
}

bool Merger::HoldsForRelease(const v1::When& when) const {
  if (when.since().empty() && when.before().empty()) return true;
  if (release_.empty()) return false;
  return (when.since().empty() || !IsBefore(release_, when.since())) &&
         (when.before().empty() || IsBefore(release_, when.before()));
}

bool Merger::HoldsForDegrees(const v1::When& when) const {
  const auto is = [](bool asked, bool wanted, bool fact) { return !asked || wanted == fact; };
  const int tensor = Degree("tensor", own_.has_tensor(), own_.tensor());
  const int zero = Field(&v1::Plan::has_zero_stage, &v1::Plan::zero_stage);
  const int fsdp = own_.zero_stage() == 3 && own_.fsdp() <= 1
                       ? own_.data()
                       : Degree("fsdp", own_.has_fsdp(), own_.fsdp());
  const int parts = Pipeline() * VirtualStages();
  return is(when.has_tensor(), when.tensor(), tensor > 1) &&
         is(when.has_pipeline(), when.pipeline(), Pipeline() > 1) &&
         is(when.has_fsdp(), when.fsdp(), fsdp > 1) &&
         is(when.has_context(), when.context(),
            Degree("context", own_.has_context(), own_.context()) > 1) &&
         is(when.has_virtual_stages(), when.virtual_stages(), VirtualStages() > 1) &&
         is(when.has_sequence_parallel(), when.sequence_parallel(),
            Field(&v1::Plan::has_sequence_parallel, &v1::Plan::sequence_parallel)) &&
         is(when.has_sharded_optimizer(), when.sharded_optimizer(), zero == 1 || zero == 2) &&
         AnyOf(when.parts(), [&](int wanted) { return wanted == parts; });
}

bool Merger::Holds(const v1::When& when) const {
  const auto is = [](bool asked, bool wanted, bool fact) { return !asked || wanted == fact; };
  const auto& options = own_.framework_options();
  return AnyOf(when.chip(), [&](const auto& begin) { return absl::StartsWith(chip_, begin); }) &&
         AnyOf(when.model(), [&](const auto& part) { return absl::StrContains(model_, part); }) &&
         AnyOf(when.compute(),
               [&](const auto& type) {
                 const std::string& compute = Text(&v1::Precision::compute);
                 return type == (compute.empty() ? "bf16" : compute);
               }) &&
         AnyOf(when.scaling(),
               [&](const auto& scaling) { return scaling == Text(&v1::Precision::scaling); }) &&
         (when.option().empty() ||
          std::find(options.begin(), options.end(), when.option()) != options.end()) &&
         is(when.has_experts(), when.experts(), routed_) &&
         is(when.has_prediction(), when.prediction(), predicts_) &&
         is(when.has_capacity(), when.capacity(), own_.has_capacity_factor()) &&
         is(when.has_one_graph(), when.one_graph(), own_.kernels().launches() == "none") &&
         HoldsForRelease(when) && HoldsForDegrees(when);
}

void Merger::Apply(const v1::FrameworkEntry& entry) {
  if (!Holds(entry.when())) return;
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
  if (!workload_.forward_only()) return;
  ClearTraining(&defaults_);
  // What is kept for the optimizer is not what serves.
  if (defaults_.has_precision()) defaults_.mutable_precision()->clear_parameters();
  if (defaults_.attention_kernel() == "unfused") defaults_.clear_attention_kernel();
}

v1::Plan Merger::Merge(const std::vector<v1::Framework>& files, const std::string& release) {
  release_ = release;
  for (auto file = files.rbegin(); release_.empty() && file != files.rend(); ++file) {
    release_ = file->release();
  }
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
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(proto->framework(), absl::MaxSplits('@', 1));
  if (parts.first.empty()) {
    if (!proto->framework_options().empty()) {
      diagnostics->Error(field + ".framework_options", "is given, but no framework");
    }
    return;
  }
  const StatusOr<std::vector<v1::Framework>> files = ReadFramework(parts.first, catalog);
  if (!files.ok()) {
    diagnostics->Error(field + ".framework", std::string(files.status().message()));
    return;
  }
  *proto = Merger(field, model, cluster, workload, *proto, diagnostics).Merge(*files, parts.second);
}

}  // namespace meshstep
