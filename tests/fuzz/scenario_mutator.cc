#include "scenario_mutator.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "sim/base/data_path.h"

namespace meshstep::fuzz {
namespace {

namespace pb = google::protobuf;
using Field = pb::FieldDescriptor;

class Mutator {
 public:
  explicit Mutator(std::mt19937* random) : random_(*random) {}

  void Change(pb::Message* message, int depth);

 private:
  std::size_t Pick(std::size_t n) { return static_cast<std::size_t>(random_()) % n; }
  template <class T, std::size_t N>
  T OneOf(const T (&values)[N]) {
    return values[Pick(N)];
  }
  std::int64_t Whole(std::int64_t now);
  double Real(double now);
  std::string Text(const Field& field);
  // Sets a singular field, or adds to a list.
  void SetScalar(const Field* field, pb::Message* message);
  void ChangeList(const Field* field, pb::Message* message, int depth);

  std::mt19937& random_;
};

std::int64_t Mutator::Whole(std::int64_t now) {
  constexpr std::int64_t kEnds[] = {0,
                                    1,
                                    -1,
                                    65536,
                                    1 << 20,
                                    (1 << 20) + 1,
                                    std::numeric_limits<std::int32_t>::max(),
                                    std::numeric_limits<std::int32_t>::min(),
                                    std::numeric_limits<std::int64_t>::max()};
  constexpr std::int64_t kUsual[] = {1, 2, 3, 4, 6, 8, 12, 16, 32, 64, 128, 256, 512, 1024, 4096};
  switch (Pick(8)) {
    case 0:
      return OneOf(kEnds);
    case 1:
      return now < std::numeric_limits<std::int64_t>::max() / 2 &&
                     now > std::numeric_limits<std::int64_t>::min() / 2
                 ? 2 * now
                 : now;
    case 2:
      return now / 2;
    case 3:
      return now == std::numeric_limits<std::int64_t>::max() ? now : now + 1;
    default:
      return OneOf(kUsual);
  }
}

double Mutator::Real(double now) {
  constexpr double kEnds[] = {0,
                              -1,
                              1e-300,
                              1e-12,
                              1e24,
                              1e300,
                              3350,
                              1e-6,
                              1e18,
                              std::numeric_limits<double>::infinity(),
                              std::numeric_limits<double>::quiet_NaN(),
                              5e-324};
  constexpr double kUsual[] = {0.25, 0.5, 0.9, 1, 1.5, 2, 10, 100, 1000, 1e6, 1e9, 1e12};
  switch (Pick(8)) {
    case 0:
      return OneOf(kEnds);
    case 1:
    case 2:
      return now * 2;
    case 3:
    case 4:
      return now / 2;
    default:
      return OneOf(kUsual);
  }
}

// A word that the field may know, else one that it may not.
std::string Mutator::Text(const Field& field) {
  using Words = std::vector<std::string>;
  static const std::map<std::string, Words> kWords = {
      {"Model.preset", ListPresets("strategies/models")},
      {"Cluster.preset", ListPresets("topologies/clusters")},
      {"Chip.preset", ListPresets("topologies/chips")},
      {"Kernels.preset", ListPresets("strategies/frameworks")},
      {"slice", {"2x2", "4x4", "2x4", "4x4x4", "2x2x4", "1x16", "8x8", "4x4x8"}},
      {"dtype", {"bf16", "fp16", "fp32", "fp8", "int8", "tf32"}},
      {"schedule", {"1f1b", "gpipe", "interleaved", "zb-h1", "zb-v", "dualpipe"}},
      {"recompute", {"none", "selective", "matmuls", "full", "alternate", "modules"}},
      {"recompute_keep", {"qkv", "attention", "attention_out", "mlp_in", "mlp_out"}},
      {"attention_kernel", {"flash", "unfused", "flash-1", "flash-2", "splash-1"}},
      {"context_method", {"ring", "gathered-ring", "all-gather", "ulysses"}},
      {"expert_dispatch", {"all-to-all", "deepep", "hybridep", "gather", "einsum"}},
      {"order",
       {"tensor,context,fsdp,data,pipeline", "pipeline,data,fsdp,context,tensor",
        "data,tensor,pipeline,fsdp,context"}},
      {"dimension", {"B", "T", "D", "N", "K", "H", "F", "V", "E", "F_e"}},
      {"axes", {"a", "b", "data", "fsdp", "tensor", "context", "pipeline"}},
      {"axis", {"data", "fsdp", "tensor", "context", "pipeline", "expert"}},
      {"physical", {"x", "y", "z", "x,y", "node", "network"}},
      {"collective", {"all-gather", "reduce-scatter", "all-reduce", "all-to-all", "permute"}},
      {"algorithm",
       {"auto", "ring", "direct", "hierarchical", "rail-ring", "in-network", "pat",
        "double-binary-tree", "halving-doubling", "nvls-tree"}},
      {"optimizer", {"adam-fp32", "adam-bf16", "adam-fp32-no-master", "sgd"}},
      {"compute", {"bf16", "fp8", "int8", "fp16"}},
      {"loss", {"fused", "eager", "megatron"}},
      {"experts", {"grouped", "each", "fused"}},
      {"elementwise", {"fused", "eager", "inductor"}},
      {"launches", {"none", "kernels", "pytorch", "megatron-lm", "megatron-core"}},
      {"name", {"a", "b", "tensor", "pipeline", "x\ny", "\x1b[2J", ""}}};
  static const Words kAny = {"", "x", "auto", "none", "bf16", "fp32", "1", "each", "separate"};
  const auto of_message = kWords.find(field.containing_type()->name() + "." + field.name());
  const auto of_field = kWords.find(field.name());
  const Words& words = Pick(8) == 0                 ? kAny
                       : of_message != kWords.end() ? of_message->second
                       : of_field != kWords.end()   ? of_field->second
                                                    : kAny;
  return words.empty() ? "" : words[Pick(words.size())];
}

void Mutator::SetScalar(const Field* f, pb::Message* m) {
  const pb::Reflection* r = m->GetReflection();
  const bool add = f->is_repeated();
  switch (f->cpp_type()) {
    case Field::CPPTYPE_INT32: {
      const auto value = static_cast<std::int32_t>(std::clamp<std::int64_t>(
          Whole(add ? 1 : r->GetInt32(*m, f)), std::numeric_limits<std::int32_t>::min(),
          std::numeric_limits<std::int32_t>::max()));
      return add ? r->AddInt32(m, f, value) : r->SetInt32(m, f, value);
    }
    case Field::CPPTYPE_INT64: {
      const std::int64_t value = Whole(add ? 1 : r->GetInt64(*m, f));
      return add ? r->AddInt64(m, f, value) : r->SetInt64(m, f, value);
    }
    case Field::CPPTYPE_DOUBLE: {
      const double value = Real(add ? 1 : r->GetDouble(*m, f));
      return add ? r->AddDouble(m, f, value) : r->SetDouble(m, f, value);
    }
    case Field::CPPTYPE_BOOL:
      return add ? r->AddBool(m, f, Pick(2) == 0) : r->SetBool(m, f, Pick(2) == 0);
    case Field::CPPTYPE_ENUM: {
      const auto* value = f->enum_type()->value(
          static_cast<int>(Pick(static_cast<std::size_t>(f->enum_type()->value_count()))));
      return add ? r->AddEnum(m, f, value) : r->SetEnum(m, f, value);
    }
    case Field::CPPTYPE_STRING:
      return add ? r->AddString(m, f, Text(*f)) : r->SetString(m, f, Text(*f));
    default:
      return;
  }
}

void Mutator::ChangeList(const Field* field, pb::Message* message, int depth) {
  const pb::Reflection* r = message->GetReflection();
  const int size = r->FieldSize(*message, field);
  if (size > 0 && Pick(3) == 0) return r->RemoveLast(message, field);
  if (field->cpp_type() != Field::CPPTYPE_MESSAGE) return SetScalar(field, message);
  if (size == 0 || Pick(3) == 0) {
    Change(r->AddMessage(message, field), depth + 1);
  } else {
    const int index = static_cast<int>(Pick(static_cast<std::size_t>(size)));
    Change(r->MutableRepeatedMessage(message, field, index), depth + 1);
  }
}

void Mutator::Change(pb::Message* message, int depth) {
  const pb::Descriptor* descriptor = message->GetDescriptor();
  const pb::Reflection* r = message->GetReflection();
  if (depth > 8 || descriptor->field_count() == 0) return;
  std::vector<const Field*> given;
  r->ListFields(*message, &given);
  // What is there is changed more often than what is not is added.
  const Field* field = !given.empty() && Pick(2) == 0
                           ? given[Pick(given.size())]
                           : descriptor->field(static_cast<int>(
                                 Pick(static_cast<std::size_t>(descriptor->field_count()))));
  if (field->is_repeated()) return ChangeList(field, message, depth);
  if (Pick(8) == 0) return r->ClearField(message, field);
  if (field->cpp_type() == Field::CPPTYPE_MESSAGE) {
    return Change(r->MutableMessage(message, field), depth + 1);
  }
  SetScalar(field, message);
}

}  // namespace

void Mutate(pb::Message* message, std::mt19937* random) { Mutator(random).Change(message, 0); }

}  // namespace meshstep::fuzz
