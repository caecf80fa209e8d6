#include "sim/base/proto_file.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/message.h"
#include "google/protobuf/stubs/logging.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/json_util.h"
#include "sim/base/data_path.h"
#include "sim/base/escape.h"
#include "sim/base/text_recovery.h"

namespace meshstep {
namespace {

namespace pb = google::protobuf;

// A message nested deeper than this is not a scenario; the parsers stop there.
constexpr int kMaxDepth = 64;
constexpr std::size_t kMaxReportedErrors = 20;
// In longer files only the first error is told: each further one costs a parse.
constexpr std::size_t kMaxRecoveredBytes = 1 << 20;

// A parser's message, on one line.
std::string OneLine(const std::string& message) {
  std::string problem = message.substr(0, 400);
  std::replace(problem.begin(), problem.end(), '\n', ' ');
  if (absl::EndsWith(problem, ", got: ")) problem += "the end of the file";
  return problem;
}

struct TextError {
  TextPosition at;  // line -1: not known
  std::string problem;
};

// Keeps the first error of one parse.
class FirstError : public pb::io::ErrorCollector {
 public:
  void AddError(int line, pb::io::ColumnNumber column, const std::string& message) override {
    if (!error.has_value()) error = TextError{{line, column}, OneLine(message)};
  }
  void AddWarning(int, pb::io::ColumnNumber, const std::string&) override {}

  std::optional<TextError> error;
};

// Records where every field that was written stands. `path` is that of the message, and again when
// it returns.
void Collect(const std::string& name, std::string* path, const pb::Message& message,
             const pb::TextFormat::ParseInfoTree& tree, FieldPlaces* locations) {
  const std::size_t above = path->size();
  std::vector<const pb::FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    const int count = field->is_repeated() ? message.GetReflection()->FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      const int index = field->is_repeated() ? i : -1;
      path->resize(above);
      absl::StrAppend(path, above == 0 ? "" : ".", field->name());
      if (index >= 0) absl::StrAppend(path, "[", index, "]");
      const pb::TextFormat::ParseLocation at = tree.GetLocation(field, index);
      if (at.line >= 0) {
        (*locations)[*path] = absl::StrCat(name, ":", at.line + 1, ":", at.column + 1);
      }
      if (field->cpp_type() != pb::FieldDescriptor::CPPTYPE_MESSAGE) continue;
      const pb::TextFormat::ParseInfoTree* nested = tree.GetTreeForNested(field, index);
      if (nested == nullptr) continue;
      const pb::Message& child =
          index < 0 ? message.GetReflection()->GetMessage(message, field)
                    : message.GetReflection()->GetRepeatedMessage(message, field, index);
      Collect(name, path, child, *nested, locations);
    }
  }
  path->resize(above);
}

void CollectPaths(const std::string& prefix, const pb::Message& message,
                  std::set<std::string>* paths) {
  std::vector<const pb::FieldDescriptor*> fields;
  const pb::Reflection* r = message.GetReflection();
  r->ListFields(message, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    const std::string path = prefix + (prefix.empty() ? "" : ".") + field->name();
    const bool nested = field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE;
    for (int i = 0; field->is_repeated() && i < r->FieldSize(message, field); ++i) {
      const std::string item = absl::StrCat(path, "[", i, "]");
      paths->insert(item);
      if (nested) CollectPaths(item, r->GetRepeatedMessage(message, field, i), paths);
    }
    if (field->is_repeated()) continue;
    paths->insert(path);
    if (nested) CollectPaths(path, r->GetMessage(message, field), paths);
  }
}

// Calls visit(field, string) for every string; what it returns, if anything, takes its place.
template <class Visit>
void ForEachString(const Visit& visit, pb::Message* message) {
  std::vector<const pb::FieldDescriptor*> fields;
  const pb::Reflection* r = message->GetReflection();
  r->ListFields(*message, &fields);
  for (const pb::FieldDescriptor* field : fields) {
    const int count = field->is_repeated() ? r->FieldSize(*message, field) : 1;
    for (int i = 0; i < count; ++i) {
      const bool many = field->is_repeated();
      if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_MESSAGE) {
        ForEachString(visit, many ? r->MutableRepeatedMessage(message, field, i)
                                  : r->MutableMessage(message, field));
      } else if (field->cpp_type() == pb::FieldDescriptor::CPPTYPE_STRING) {
        std::string scratch;
        std::optional<std::string> text =
            visit(*field, many ? r->GetRepeatedStringReference(*message, field, i, &scratch)
                               : r->GetStringReference(*message, field, &scratch));
        if (!text.has_value()) continue;
        if (many) {
          r->SetRepeatedString(message, field, i, *std::move(text));
        } else {
          r->SetString(message, field, *std::move(text));
        }
      }
    }
  }
}

// The nearest enclosing field that was written.
std::string Locate(const std::string& name, const FieldPlaces& locations, std::string path) {
  while (!path.empty()) {
    if (const auto it = locations.find(path); it != locations.end()) return it->second;
    if (const auto it = locations.find(path + "[0]"); it != locations.end()) return it->second;
    const std::size_t cut = path.find_last_of(".[");
    if (cut == std::string::npos) break;
    path.resize(cut);
  }
  return name;
}

// A string of a text proto may hold any bytes by escapes; reports and JSON need UTF-8.
Status CheckStrings(const std::string& name, const pb::Message& message) {
  const pb::LogSilencer silencer;
  const std::unique_ptr<pb::Message> copy(message.New());
  if (copy->ParseFromString(message.SerializeAsString())) return absl::OkStatus();
  return InvalidInput(name + ": has a string that is not UTF-8");
}

std::optional<TextError> ParseTextOnce(const std::string& content, pb::Message* message,
                                       pb::TextFormat::ParseInfoTree* tree) {
  FirstError first;
  pb::TextFormat::Parser parser;
  parser.RecordErrorsTo(&first);
  parser.WriteLocationsTo(tree);
  parser.SetRecursionLimit(kMaxDepth);
  pb::io::ArrayInputStream in(content.data(), static_cast<int>(content.size()));
  if (parser.Parse(&in, message) || first.error.has_value()) return first.error;
  return TextError{{-1, -1}, "is not a text proto of " + message->GetTypeName()};
}

// The parser notices these when it has passed the value.
bool IsOfTokenBefore(const std::string& problem) {
  return absl::StartsWith(problem, "Unknown enumeration value") ||
         absl::StartsWith(problem, "Invalid value for boolean");
}

// All errors, one line each: the field of each error is blanked and the rest parsed again.
Status TextErrors(const std::string& name, std::string content, const pb::Message& prototype,
                  std::optional<TextError> error) {
  std::string lines;
  for (std::size_t count = 0; error.has_value(); ++count) {
    if (count > 0) lines += "\n";
    if (count == kMaxReportedErrors) return InvalidInput(lines + name + ": and more errors");
    std::optional<TextPosition> removed;
    if (error->at.line >= 0 && content.size() <= kMaxRecoveredBytes) {
      removed = RemoveField(error->at, IsOfTokenBefore(error->problem), &content);
    }
    const TextPosition at = removed.value_or(error->at);
    lines += name;
    if (at.line >= 0) absl::StrAppend(&lines, ":", at.line + 1, ":", at.column + 1);
    lines += ": " + error->problem;
    if (!removed.has_value()) break;
    const std::unique_ptr<pb::Message> message(prototype.New());
    pb::TextFormat::ParseInfoTree tree;
    error = ParseTextOnce(content, message.get(), &tree);
  }
  return InvalidInput(lines);
}

Status ParseText(const std::string& name, const std::string& content, pb::Message* message,
                 std::shared_ptr<FieldPlaces>* places) {
  pb::TextFormat::ParseInfoTree tree;
  if (std::optional<TextError> error = ParseTextOnce(content, message, &tree)) {
    return TextErrors(name, content, *message, std::move(error));
  }
  RETURN_IF_ERROR(CheckStrings(name, *message));
  if (places != nullptr) {
    *places = std::make_shared<FieldPlaces>();
    std::string path;
    Collect(name, &path, *message, tree, places->get());
  }
  return absl::OkStatus();
}

Status ParseJson(const std::string& name, const std::string& content, pb::Message* message) {
  pb::util::JsonParseOptions options;
  options.ignore_unknown_fields = false;
  const auto status = pb::util::JsonStringToMessage(content, message, options);
  if (status.ok()) return absl::OkStatus();
  return InvalidInput(name + ": is not JSON of " + message->GetTypeName() + ": " +
                      OneLine(std::string(status.message())));
}

Status ParseBinary(const std::string& name, const std::string& content, pb::Message* message) {
  const pb::LogSilencer silencer;
  if (!message->ParseFromString(content)) {
    return InvalidInput(name + ": is not a binary " + message->GetTypeName());
  }
  const std::size_t size = message->ByteSizeLong();
  message->DiscardUnknownFields();
  if (message->ByteSizeLong() != size) {
    return InvalidInput(name + ": has fields that " + message->GetTypeName() +
                        " does not know; is it another message or a newer version?");
  }
  return absl::OkStatus();
}

// `places`, if asked for: where fields were written, as far as the format tells.
Status Parse(const std::string& name, const std::string& content, InputFormat format,
             pb::Message* message, std::shared_ptr<FieldPlaces>* places) {
  message->Clear();
  Status status;
  switch (format) {
    case InputFormat::kTextproto:
      status = ParseText(name, content, message, places);
      break;
    case InputFormat::kJson:
      status = ParseJson(name, content, message);
      break;
    case InputFormat::kBinary:
      status = ParseBinary(name, content, message);
      break;
  }
  if (!status.ok()) return InvalidInput(EscapeLines(std::string(status.message())));
  const auto is_plain = [](char c) { return c >= ' ' && c <= '~'; };
  ForEachString(
      [&](const pb::FieldDescriptor&, const std::string& text) -> std::optional<std::string> {
        if (std::ranges::all_of(text, is_plain)) return std::nullopt;
        return EscapeControls(text);
      },
      message);
  return absl::OkStatus();
}

}  // namespace

StatusOr<InputFormat> FormatOfFile(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  const std::size_t dot = path.find_last_of('.');
  const std::string ending = dot == std::string::npos || (slash != std::string::npos && dot < slash)
                                 ? ""
                                 : path.substr(dot + 1);
  if (ending == "textproto" || ending == "txtpb" || ending == "pbtxt") {
    return InputFormat::kTextproto;
  }
  if (ending == "json") return InputFormat::kJson;
  if (ending == "binpb" || ending == "pb") return InputFormat::kBinary;
  return InvalidInput(path + ": its ending is \"" + ending +
                      "\", expected .textproto, .txtpb, .pbtxt, .json, .binpb or .pb");
}

StatusOr<InputFormat> ParseInputFormat(const std::string& name) {
  if (name == "textproto") return InputFormat::kTextproto;
  if (name == "json") return InputFormat::kJson;
  if (name == "binary") return InputFormat::kBinary;
  return InvalidInput("--input-format is \"" + name + "\", expected textproto, json or binary");
}

Status ParseMessage(const std::string& name, const std::string& content, InputFormat format,
                    pb::Message* message, Locator* locator) {
  std::shared_ptr<FieldPlaces> places;
  if (locator != nullptr) *locator = [name](const std::string&) { return name; };
  RETURN_IF_ERROR(Parse(name, content, format, message, locator != nullptr ? &places : nullptr));
  if (places != nullptr) {
    *locator = [name, places](const std::string& path) { return Locate(name, *places, path); };
  }
  return absl::OkStatus();
}

void ResolvePaths(const std::string& file, pb::Message* message) {
  const std::filesystem::path folder = std::filesystem::path(file).parent_path();
  if (folder.empty()) return;
  ForEachString(
      [&](const pb::FieldDescriptor& field, const std::string& text) -> std::optional<std::string> {
        const bool names_file = field.name() == "hf_config" || field.name() == "schedule_table" ||
                                (field.name() == "base" && absl::StrContains(text, '.')) ||
                                (field.name() == "preset" && absl::EndsWith(text, ".textproto"));
        if (!names_file || text.empty() || !std::filesystem::path(text).is_relative()) {
          return std::nullopt;
        }
        return (folder / text).lexically_normal().string();
      },
      message);
}

Status ReadDataFile(const std::string& path, pb::Message* message, FieldPlaces* places) {
  ASSIGN_OR_RETURN(const std::string content, ReadFile(path));
  std::shared_ptr<FieldPlaces> own;
  const bool wanted = places != nullptr;
  RETURN_IF_ERROR(Parse(path, content, InputFormat::kTextproto, message, wanted ? &own : nullptr));
  ResolvePaths(path, message);
  // What a file gives over another stands in the first.
  if (wanted) places->merge(*own);
  return absl::OkStatus();
}

std::set<std::string> GivenFields(const pb::Message& message) {
  std::set<std::string> paths;
  CollectPaths("", message, &paths);
  return paths;
}

}  // namespace meshstep
