#include "sim/report/output.h"

#include <cmath>
#include <map>
#include <utility>

#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/message.h"
#include "google/protobuf/text_format.h"
#include "nlohmann/json.hpp"
#include "sim/base/check.h"

namespace meshstep {
namespace {

namespace pb = google::protobuf;
using Json = nlohmann::ordered_json;

Json ToValue(const pb::Message& message);

// index < 0: a singular field.
Json FieldValue(const pb::Message& m, const pb::FieldDescriptor* f, int index) {
  const pb::Reflection* r = m.GetReflection();
  const bool one = index < 0;
  switch (f->cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_INT32:
      return one ? r->GetInt32(m, f) : r->GetRepeatedInt32(m, f, index);
    case pb::FieldDescriptor::CPPTYPE_INT64:
      return one ? r->GetInt64(m, f) : r->GetRepeatedInt64(m, f, index);
    case pb::FieldDescriptor::CPPTYPE_UINT32:
      return one ? r->GetUInt32(m, f) : r->GetRepeatedUInt32(m, f, index);
    case pb::FieldDescriptor::CPPTYPE_UINT64:
      return one ? r->GetUInt64(m, f) : r->GetRepeatedUInt64(m, f, index);
    case pb::FieldDescriptor::CPPTYPE_DOUBLE: {
      const double v = one ? r->GetDouble(m, f) : r->GetRepeatedDouble(m, f, index);
      return std::isfinite(v) ? Json(v) : Json(nullptr);
    }
    case pb::FieldDescriptor::CPPTYPE_FLOAT: {
      const float v = one ? r->GetFloat(m, f) : r->GetRepeatedFloat(m, f, index);
      return std::isfinite(v) ? Json(v) : Json(nullptr);
    }
    case pb::FieldDescriptor::CPPTYPE_BOOL:
      return one ? r->GetBool(m, f) : r->GetRepeatedBool(m, f, index);
    case pb::FieldDescriptor::CPPTYPE_ENUM:
      return (one ? r->GetEnum(m, f) : r->GetRepeatedEnum(m, f, index))->name();
    case pb::FieldDescriptor::CPPTYPE_STRING:
      return one ? r->GetString(m, f) : r->GetRepeatedString(m, f, index);
    case pb::FieldDescriptor::CPPTYPE_MESSAGE:
      return ToValue(one ? r->GetMessage(m, f) : r->GetRepeatedMessage(m, f, index));
  }
  return nullptr;
}

// By key.
Json MapValue(const pb::Message& message, const pb::FieldDescriptor* field) {
  std::map<std::string, Json> sorted;
  for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i) {
    const pb::Message& entry = message.GetReflection()->GetRepeatedMessage(message, field, i);
    const pb::Descriptor* of = entry.GetDescriptor();
    sorted[FieldValue(entry, of->FindFieldByNumber(1), -1).get<std::string>()] =
        FieldValue(entry, of->FindFieldByNumber(2), -1);
  }
  Json object = Json::object();
  for (auto& [key, value] : sorted) object[key] = std::move(value);
  return object;
}

Json ToValue(const pb::Message& message) {
  Json object = Json::object();
  const pb::Descriptor* descriptor = message.GetDescriptor();
  const pb::Reflection* reflection = message.GetReflection();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const pb::FieldDescriptor* field = descriptor->field(i);
    Json& value = object[field->name()];
    if (field->is_map()) {
      value = MapValue(message, field);
    } else if (field->is_repeated()) {
      value = Json::array();
      for (int k = 0; k < reflection->FieldSize(message, field); ++k) {
        value.push_back(FieldValue(message, field, k));
      }
    } else if (!field->has_presence() || reflection->HasField(message, field)) {
      value = FieldValue(message, field, -1);
    }
  }
  return object;
}

}  // namespace

std::string ToJson(const pb::Message& message) {
  // Names from files may hold any bytes; what is not UTF-8 is replaced rather than refused.
  return ToValue(message).dump(2, ' ', false, Json::error_handler_t::replace);
}

std::string Serialize(const pb::Message& message, OutputFormat format) {
  std::string out;
  switch (format) {
    case OutputFormat::kJson:
      return ToJson(message) + "\n";
    case OutputFormat::kTextproto:
      pb::TextFormat::PrintToString(message, &out);
      return out;
    case OutputFormat::kBinary: {
      pb::io::StringOutputStream stream(&out);
      pb::io::CodedOutputStream coded(&stream);
      coded.SetSerializationDeterministic(true);
      message.SerializeToCodedStream(&coded);
      coded.Trim();
      return out;
    }
    case OutputFormat::kText:
      break;
  }
  CHECK(false) << "text is written by the command";
  return out;
}

}  // namespace meshstep
