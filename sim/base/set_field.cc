#include "sim/base/set_field.h"

#include <cmath>
#include <optional>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/message.h"
#include "google/protobuf/text_format.h"
#include "sim/base/escape.h"
#include "sim/base/nearest.h"

namespace meshstep {
namespace {

namespace pb = google::protobuf;
using Field = pb::FieldDescriptor;

// Keeps the first error of the text parser.
class FirstError : public pb::io::ErrorCollector {
 public:
  void AddError(int, pb::io::ColumnNumber, const std::string& message) override {
    if (message_.empty()) message_ = message;
  }
  const std::string& message() const { return message_; }

 private:
  std::string message_;
};

// One step of a path: "axes[1]".
struct Step {
  std::string name;
  std::optional<int> index;
};

std::vector<std::string> FieldNames(const pb::Descriptor* descriptor) {
  std::vector<std::string> names;
  for (int i = 0; i < descriptor->field_count(); ++i) {
    names.push_back(descriptor->field(i)->name());
  }
  return names;
}

StatusOr<Step> ParseStep(const std::string& text) {
  const std::size_t bracket = text.find('[');
  if (bracket == std::string::npos) return Step{text, std::nullopt};
  int index = -1;
  if (text.back() != ']' ||
      !absl::SimpleAtoi(text.substr(bracket + 1, text.size() - bracket - 2), &index) || index < 0) {
    return InvalidInput(absl::StrCat("\"", text, "\" is not NAME or NAME[INDEX]"));
  }
  return Step{text.substr(0, bracket), index};
}

// What a value of the field's type looks like.
std::string Expected(const Field* field) {
  switch (field->cpp_type()) {
    case Field::CPPTYPE_INT32:
    case Field::CPPTYPE_INT64:
    case Field::CPPTYPE_UINT32:
    case Field::CPPTYPE_UINT64:
      return "a whole number";
    case Field::CPPTYPE_DOUBLE:
    case Field::CPPTYPE_FLOAT:
      return "a number";
    case Field::CPPTYPE_BOOL:
      return "true or false";
    case Field::CPPTYPE_ENUM: {
      std::vector<std::string> names;
      for (int i = 0; i < field->enum_type()->value_count(); ++i) {
        names.push_back(field->enum_type()->value(i)->name());
      }
      return "one of " + absl::StrJoin(names, ", ");
    }
    case Field::CPPTYPE_MESSAGE:
      return "{ ... } or one of its fields: " +
             absl::StrJoin(FieldNames(field->message_type()), ", ");
    case Field::CPPTYPE_STRING:
      return "text";
  }
  return "";
}

// Sets the singular field, or adds to the repeated one if `add`. False: the value does not fit.
bool SetScalar(const Field* field, const std::string& value, bool add, pb::Message* message) {
  const pb::Reflection* r = message->GetReflection();
  const auto set = [&](auto parsed, auto setter, auto adder) {
    add ? (r->*adder)(message, field, parsed) : (r->*setter)(message, field, parsed);
    return true;
  };
  std::int32_t i32;
  std::int64_t i64;
  std::uint32_t u32;
  std::uint64_t u64;
  double number;
  switch (field->cpp_type()) {
    case Field::CPPTYPE_INT32:
      return absl::SimpleAtoi(value, &i32) &&
             set(i32, &pb::Reflection::SetInt32, &pb::Reflection::AddInt32);
    case Field::CPPTYPE_INT64:
      return absl::SimpleAtoi(value, &i64) &&
             set(i64, &pb::Reflection::SetInt64, &pb::Reflection::AddInt64);
    case Field::CPPTYPE_UINT32:
      return absl::SimpleAtoi(value, &u32) &&
             set(u32, &pb::Reflection::SetUInt32, &pb::Reflection::AddUInt32);
    case Field::CPPTYPE_UINT64:
      return absl::SimpleAtoi(value, &u64) &&
             set(u64, &pb::Reflection::SetUInt64, &pb::Reflection::AddUInt64);
    case Field::CPPTYPE_DOUBLE:
      return absl::SimpleAtod(value, &number) && std::isfinite(number) &&
             set(number, &pb::Reflection::SetDouble, &pb::Reflection::AddDouble);
    case Field::CPPTYPE_FLOAT:
      return absl::SimpleAtod(value, &number) && std::isfinite(number) &&
             set(static_cast<float>(number), &pb::Reflection::SetFloat, &pb::Reflection::AddFloat);
    case Field::CPPTYPE_BOOL:
      return (absl::AsciiStrToLower(value) == "true" || absl::AsciiStrToLower(value) == "false") &&
             set(absl::AsciiStrToLower(value) == "true", &pb::Reflection::SetBool,
                 &pb::Reflection::AddBool);
    case Field::CPPTYPE_ENUM: {
      const pb::EnumValueDescriptor* entry =
          field->enum_type()->FindValueByName(absl::AsciiStrToUpper(value));
      return entry != nullptr && set(entry, &pb::Reflection::SetEnum, &pb::Reflection::AddEnum);
    }
    case Field::CPPTYPE_STRING:
      return set(EscapeControls(value), &pb::Reflection::SetString, &pb::Reflection::AddString);
    case Field::CPPTYPE_MESSAGE:
      return false;
  }
  return false;
}

// "{ ... }" as text proto, written over the message.
Status SetMessage(const std::string& path, const std::string& value, pb::Message* message) {
  FirstError error;
  pb::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  message->Clear();
  if (!parser.ParseFromString(value.substr(1, value.size() - 2), message)) {
    return InvalidInput(absl::StrCat(path, ": ", error.message()));
  }
  return absl::OkStatus();
}

Status BadValue(const std::string& path, const std::string& value, const Field* field) {
  return InvalidInput(absl::StrCat(path, " is \"", value.substr(0, 64), "\", expected ",
                                   field->is_repeated() ? "a list of: " : "", Expected(field)));
}

// The sub-message of a step that is not the last.
StatusOr<pb::Message*> Enter(const std::string& path, const Step& step, const Field* field,
                             pb::Message* message) {
  const pb::Reflection* r = message->GetReflection();
  if (field->cpp_type() != Field::CPPTYPE_MESSAGE) {
    return InvalidInput(absl::StrCat(path, " is no message and has no fields"));
  }
  if (!field->is_repeated()) {
    if (step.index) return InvalidInput(absl::StrCat(path, " is no list and takes no index"));
    return r->MutableMessage(message, field);
  }
  const int size = r->FieldSize(*message, field);
  if (!step.index) {
    return InvalidInput(absl::StrCat(path, " is a list of ", size, ": write ", path, "[INDEX]"));
  }
  if (*step.index > size) {
    return InvalidInput(absl::StrCat(path, " is beyond the list's end; the next index is ", size));
  }
  return *step.index == size ? r->AddMessage(message, field)
                             : r->MutableRepeatedMessage(message, field, *step.index);
}

Status Assign(const std::string& path, const Step& step, const Field* field,
              const std::string& value, pb::Message* message) {
  if (value.empty() && !step.index) {
    message->GetReflection()->ClearField(message, field);
    return absl::OkStatus();
  }
  if (field->cpp_type() == Field::CPPTYPE_MESSAGE) {
    if (value.size() < 2 || value.front() != '{' || value.back() != '}') {
      return BadValue(path, value, field);
    }
    ASSIGN_OR_RETURN(pb::Message* const inner, Enter(path, step, field, message));
    return SetMessage(path, value, inner);
  }
  if (step.index) {
    return InvalidInput(absl::StrCat(path, ": set the whole list, separated by commas"));
  }
  if (!field->is_repeated()) {
    return SetScalar(field, value, false, message) ? absl::OkStatus()
                                                   : BadValue(path, value, field);
  }
  message->GetReflection()->ClearField(message, field);
  for (const std::string& element : std::vector<std::string>(absl::StrSplit(value, ','))) {
    if (!SetScalar(field, element, true, message)) return BadValue(path, element, field);
  }
  return absl::OkStatus();
}

Status SetOne(const std::string& assignment, pb::Message* message) {
  const std::size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0) {
    return InvalidInput(absl::StrCat("is \"", assignment.substr(0, 64),
                                     "\", expected PATH=VALUE as in plan.tensor=8"));
  }
  const std::string value = assignment.substr(equals + 1);
  const std::vector<std::string> steps = absl::StrSplit(assignment.substr(0, equals), '.');
  std::string path;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    ASSIGN_OR_RETURN(const Step step, ParseStep(steps[i]));
    const pb::Descriptor* descriptor = message->GetDescriptor();
    const Field* field = descriptor->FindFieldByName(step.name);
    if (field == nullptr) {
      const std::vector<std::string> near =
          NearestNames(step.name.substr(0, 64), FieldNames(descriptor), 3);
      return InvalidInput(absl::StrCat(path.empty() ? "the scenario" : path, " has no field \"",
                                       step.name.substr(0, 64),
                                       "\"; nearest: ", absl::StrJoin(near, ", ")));
    }
    absl::StrAppend(&path, path.empty() ? "" : ".", steps[i]);
    if (i + 1 == steps.size()) return Assign(path, step, field, value, message);
    ASSIGN_OR_RETURN(message, Enter(path, step, field, message));
  }
  return absl::OkStatus();
}

}  // namespace

// The assignment is text of others, and so is what errors repeat of it.
Status SetField(const std::string& assignment, pb::Message* message) {
  const Status status = SetOne(assignment, message);
  return status.ok() ? status : InvalidInput(EscapeControls(std::string(status.message())));
}

}  // namespace meshstep
