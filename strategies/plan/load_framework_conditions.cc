#include "strategies/plan/load_framework_conditions.h"

#include <algorithm>
#include <cctype>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "google/protobuf/reflection.h"
#include "meshstep/v1/framework.pb.h"
#include "sim/base/release.h"

namespace meshstep {
namespace {

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

bool Is(bool asked, bool wanted, bool fact) { return !asked || wanted == fact; }

// A degree, by its field or by the axis of an explicit mesh that has its name.
int Degree(const char* axis, bool given, int value, const v1::Plan& plan) {
  if (given) return value;
  int product = 1;
  for (const v1::Axis& one : plan.mesh().axes()) {
    if (one.name() == axis || one.part_of() == axis) product *= std::max(1, one.size());
  }
  return product;
}

bool HoldForDegrees(const v1::When& when, const v1::Plan& own, const v1::Plan& defaults) {
  const auto field = [&](auto has, auto get) {
    return (own.*has)() ? (own.*get)() : (defaults.*get)();
  };
  const int zero = field(&v1::Plan::has_zero_stage, &v1::Plan::zero_stage);
  const int fsdp = own.zero_stage() == 3 && own.fsdp() <= 1
                       ? own.data()
                       : Degree("fsdp", own.has_fsdp(), own.fsdp(), own);
  const int pipeline = Degree("pipeline", own.has_pipeline(), own.pipeline(), own);
  const int virtual_stages =
      std::max(1, field(&v1::Plan::has_virtual_stages, &v1::Plan::virtual_stages));
  return Is(when.has_tensor(), when.tensor(),
            Degree("tensor", own.has_tensor(), own.tensor(), own) > 1) &&
         Is(when.has_pipeline(), when.pipeline(), pipeline > 1) &&
         Is(when.has_fsdp(), when.fsdp(), fsdp > 1) &&
         Is(when.has_context(), when.context(),
            Degree("context", own.has_context(), own.context(), own) > 1) &&
         Is(when.has_virtual_stages(), when.virtual_stages(), virtual_stages > 1) &&
         Is(when.has_sequence_parallel(), when.sequence_parallel(),
            field(&v1::Plan::has_sequence_parallel, &v1::Plan::sequence_parallel)) &&
         Is(when.has_sharded_optimizer(), when.sharded_optimizer(), zero == 1 || zero == 2) &&
         AnyOf(when.parts(), [&](int wanted) { return wanted == pipeline * virtual_stages; });
}

// Every field of `wanted` has its value in `actual`; repeated ones are contained in it.
bool Contains(const google::protobuf::Message& actual, const google::protobuf::Message& wanted) {
  const google::protobuf::Reflection& reflection = *wanted.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection.ListFields(wanted, &fields);
  using Field = google::protobuf::FieldDescriptor;
  return std::all_of(fields.begin(), fields.end(), [&](const Field* field) {
    if (field->is_repeated()) {
      if (field->cpp_type() != Field::CPPTYPE_STRING) return false;
      const auto& there = reflection.GetRepeatedFieldRef<std::string>(actual, field);
      const auto& asked = reflection.GetRepeatedFieldRef<std::string>(wanted, field);
      return std::all_of(asked.begin(), asked.end(), [&](const std::string& value) {
        return std::find(there.begin(), there.end(), value) != there.end();
      });
    }
    switch (field->cpp_type()) {
      case Field::CPPTYPE_MESSAGE:
        return Contains(reflection.GetMessage(actual, field), reflection.GetMessage(wanted, field));
      case Field::CPPTYPE_STRING:
        return reflection.GetString(actual, field) == reflection.GetString(wanted, field);
      case Field::CPPTYPE_BOOL:
        return reflection.GetBool(actual, field) == reflection.GetBool(wanted, field);
      case Field::CPPTYPE_INT32:
        return reflection.GetInt32(actual, field) == reflection.GetInt32(wanted, field);
      case Field::CPPTYPE_DOUBLE:
        return reflection.GetDouble(actual, field) == reflection.GetDouble(wanted, field);
      default:
        return false;
    }
  });
}

}  // namespace

FrameworkConditions::FrameworkConditions(const Model& model, const Cluster& cluster,
                                         std::string release)
    : model_(model),
      model_name_(LettersAndDigits(model.name)),
      chip_(cluster.chip.name),
      release_(std::move(release)) {}

bool FrameworkConditions::HoldForRelease(const v1::When& when) const {
  if (when.since().empty() && when.before().empty()) return true;
  if (release_.empty()) return false;
  return (when.since().empty() || !IsBefore(release_, when.since())) &&
         (when.before().empty() || IsBefore(release_, when.before()));
}

bool FrameworkConditions::HoldForModel(const v1::When& when) const {
  return AnyOf(when.model(),
               [&](const auto& part) { return absl::StrContains(model_name_, part); }) &&
         Is(when.has_experts(), when.experts(), model_.moe.has_value()) &&
         Is(when.has_prediction(), when.prediction(), model_.mtp_layers > 0);
}

bool FrameworkConditions::Hold(const v1::When& when, const v1::Plan& own,
                               const v1::Plan& defaults) const {
  const auto text = [&](const std::string& (v1::Precision::*get)() const) -> const std::string& {
    const std::string& value = (own.precision().*get)();
    return value.empty() ? (defaults.precision().*get)() : value;
  };
  const auto& options = own.framework_options();
  return HoldForModel(when) && HoldForRelease(when) &&
         AnyOf(when.chip(), [&](const auto& begin) { return absl::StartsWith(chip_, begin); }) &&
         AnyOf(when.compute(),
               [&](const auto& type) {
                 const std::string& compute = text(&v1::Precision::compute);
                 return type == (compute.empty() ? "bf16" : compute);
               }) &&
         AnyOf(when.scaling(),
               [&](const auto& scaling) { return scaling == text(&v1::Precision::scaling); }) &&
         (when.option().empty() ||
          std::find(options.begin(), options.end(), when.option()) != options.end()) &&
         Is(when.has_capacity(), when.capacity(), own.has_capacity_factor()) &&
         Is(when.has_one_graph(), when.one_graph(), own.kernels().launches() == "none") &&
         HoldForDegrees(when, own, defaults);
}

bool FrameworkConditions::HoldForRow(const v1::When& when, const v1::Plan& own,
                                     const v1::Plan& decided, const Plan& plan) const {
  return AnyOf(when.dispatch(),
               [&](const auto& name) { return name == decided.expert_dispatch(); }) &&
         AnyOf(when.launches(),
               [&](const auto& name) { return name == decided.kernels().launches(); }) &&
         Is(when.has_unfused_attention(), when.unfused_attention(), plan.unfused_attention) &&
         Contains(decided, when.plan()) && Hold(when, own, v1::Plan::default_instance());
}

}  // namespace meshstep
