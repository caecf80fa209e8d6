#include "sim/base/overlay.h"

#include <memory>
#include <vector>

#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace meshstep {

namespace pb = google::protobuf;

void Overlay(const pb::Message& from, pb::Message* to) {
  std::vector<const pb::FieldDescriptor*> fields, whole;
  const pb::Reflection* reflection = from.GetReflection();
  reflection->ListFields(from, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    if (!field->is_repeated() && field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) {
      Overlay(reflection->GetMessage(from, field), reflection->MutableMessage(to, field));
    } else {
      whole.push_back(field);
    }
  }
  if (whole.empty()) return;
  const std::unique_ptr<pb::Message> copy(from.New());
  copy->CopyFrom(from);
  reflection->SwapFields(copy.get(), to, whole);
}

}  // namespace meshstep
