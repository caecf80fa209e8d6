#include "sim/simulate/scenario_file.h"

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "sim/base/data_path.h"
#include "sim/base/escape.h"
#include "sim/base/nearest.h"
#include "sim/base/proto_file.h"
#include "sim/simulate/scenario_fields.h"
#include "strategies/plan/load_scenario.h"

namespace meshstep {
namespace {

namespace fs = std::filesystem;

// Text of so many bytes is read in seconds.
constexpr std::size_t kMaxInputBytes = 8 << 20;

StatusOr<std::string> ReadStandardInput() {
  std::string content;
  std::vector<char> buffer(1 << 16);
  while (std::cin) {
    std::cin.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    content.append(buffer.data(), static_cast<std::size_t>(std::cin.gcount()));
    if (content.size() > kMaxInputBytes) {
      return InvalidInput(absl::StrCat("-: is longer than ", kMaxInputBytes, " bytes"));
    }
  }
  if (std::cin.bad()) return InvalidInput("-: standard input cannot be read");
  return content;
}

// A file as named, or the example of that name.
std::string PathOf(const std::string& name) {
  std::error_code ignored;
  if (name.find('/') != std::string::npos || fs::exists(name, ignored)) return name;
  const StatusOr<std::string> example = PresetPath("examples", name);
  return example.ok() ? *example : name;
}

// The file of a scenario. Error: there is none; if it looks like an example's name, with the nearest.
StatusOr<std::string> ReadNamed(const std::string& path) {
  std::error_code ignored;
  if (path.find_first_of("./") != std::string::npos || fs::exists(path, ignored)) {
    return ReadFile(path, kMaxInputBytes);
  }
  const std::string shown = EscapeControls(path.substr(0, 64));
  return InvalidInput(
      absl::StrCat(shown, ": is no file and no example; nearest: ",
                   absl::StrJoin(NearestNames(shown, ListPresets("examples"), 3), ", ")));
}

// Of standard input without a format: JSON begins with a brace, and text has no control bytes.
InputFormat GuessFormat(const std::string& content) {
  const std::size_t first = content.find_first_not_of(" \t\r\n");
  if (first != std::string::npos && content[first] == '{') return InputFormat::kJson;
  const bool binary = std::ranges::any_of(content, [](char c) {
    return static_cast<unsigned char>(c) < 32 && c != '\n' && c != '\t' && c != '\r';
  });
  return binary ? InputFormat::kBinary : InputFormat::kTextproto;
}

StatusOr<InputFormat> FormatOf(const std::string& path, const std::string& content,
                               const std::string& input_format) {
  if (!input_format.empty()) return ParseInputFormat(input_format);
  return path == "-" ? StatusOr<InputFormat>(GuessFormat(content)) : FormatOfFile(path);
}

// The field of that path, or what encloses it, is given.
bool IsSet(const std::string& path, const google::protobuf::Message& whole) {
  const google::protobuf::Message* message = &whole;
  for (const auto part : absl::StrSplit(path, '.')) {
    const std::string name(part.substr(0, part.find('[')));
    const google::protobuf::FieldDescriptor* field =
        message->GetDescriptor()->FindFieldByName(name);
    if (field == nullptr) return true;
    const google::protobuf::Reflection* reflection = message->GetReflection();
    if (field->is_repeated()) return reflection->FieldSize(*message, field) > 0;
    if (!reflection->HasField(*message, field)) return false;
    if (field->cpp_type() != google::protobuf::FieldDescriptor::CPPTYPE_MESSAGE) return true;
    message = &reflection->GetMessage(*message, field);
  }
  return true;
}

// Scenarios that build on each other; more are taken for a circle.
constexpr int kMostBases = 16;

// Puts the scenario that `proto` builds on below its fields. `own` then also finds fields of that.
Status ResolveBase(v1::Scenario* proto, Locator* own, int depth = 0) {
  if (proto->base().empty()) return absl::OkStatus();
  const std::string name = proto->base();
  const std::string place = *own ? (*own)("base") : "";
  const auto problem = [&](const std::string& what) {
    return InvalidInput(absl::StrCat(place, place.empty() ? "" : ": ", "base: is \"",
                                     EscapeControls(name), "\", ", what));
  };
  if (depth == kMostBases) return problem("which builds on itself");
  const std::string path = PathOf(name);
  const StatusOr<std::string> content = ReadFile(path, kMaxInputBytes);
  if (!content.ok()) return problem("expected a scenario file or an example's name");
  ASSIGN_OR_RETURN(const InputFormat format, FormatOfFile(path));
  v1::Scenario below;
  Locator places;
  RETURN_IF_ERROR(ParseMessage(path, *content, format, &below, &places));
  ResolvePaths(path, &below);
  RETURN_IF_ERROR(ResolveBase(&below, &places, depth + 1));
  proto->clear_base();
  auto given = std::make_shared<v1::Scenario>(*proto);
  OverlayScenario(*proto, &below);
  *proto = std::move(below);
  if (*own) {
    *own = [given, own = *own, places](const std::string& field) {
      return IsSet(field, *given) ? own(field) : places(field);
    };
  }
  return absl::OkStatus();
}

// Fields that --set wrote are found there, not in the file.
Locator WithOverrides(Locator file, const std::vector<std::string>& sets) {
  std::vector<std::string> paths;
  for (const std::string& set : sets) paths.push_back(set.substr(0, set.find('=')));
  return [file = std::move(file), paths = std::move(paths)](const std::string& field) {
    for (const std::string& path : paths) {
      const bool inside =
          field.starts_with(path) &&
          (field.size() == path.size() || field[path.size()] == '.' || field[path.size()] == '[');
      if (inside) return std::string("--set");
    }
    return file(field);
  };
}

// A scenario without a name is called after its file.
void NameAfterFile(const std::string& path, v1::Scenario* proto) {
  if (!proto->name().empty()) return;
  proto->set_name(path == "-" ? "scenario" : EscapeControls(fs::path(path).stem().string()));
}

}  // namespace

StatusOr<v1::Scenario> ReadScenarioMessage(const std::string& name) {
  const std::string path = PathOf(name);
  ASSIGN_OR_RETURN(const std::string content, ReadFile(path, kMaxInputBytes));
  ASSIGN_OR_RETURN(const InputFormat format, FormatOfFile(path));
  v1::Scenario proto;
  RETURN_IF_ERROR(ParseMessage(path, content, format, &proto));
  ResolvePaths(path, &proto);
  NameAfterFile(path, &proto);
  Locator unplaced;
  RETURN_IF_ERROR(ResolveBase(&proto, &unplaced));
  return proto;
}

StatusOr<ScenarioFile> ReadScenarioProto(const std::string& name,
                                         const ScenarioFileOptions& options) {
  ScenarioFile file;
  file.path = PathOf(name);
  ASSIGN_OR_RETURN(const std::string content,
                   file.path == "-" ? ReadStandardInput() : ReadNamed(file.path));
  ASSIGN_OR_RETURN(const InputFormat format, FormatOf(file.path, content, options.input_format));
  if (content.find_first_not_of(" \t\r\n") == std::string::npos) {
    return InvalidInput(file.path + ": is empty, expected a meshstep.v1.Scenario");
  }
  Locator locator;
  RETURN_IF_ERROR(ParseMessage(file.path, content, format, &file.proto, &locator));
  if (file.path != "-") ResolvePaths(file.path, &file.proto);
  NameAfterFile(file.path, &file.proto);
  RETURN_IF_ERROR(ResolveBase(&file.proto, &locator));
  for (const std::string& set : options.sets) {
    if (const Status status = SetScenarioField(set, &file.proto); !status.ok()) {
      return InvalidInput(absl::StrCat("--set: ", std::string(status.message())));
    }
  }
  file.locator = WithOverrides(std::move(locator), options.sets);
  return file;
}

StatusOr<ScenarioFile> ReadScenarioFile(const std::string& name, const ScenarioFileOptions& options,
                                        const Catalog& catalog) {
  ASSIGN_OR_RETURN(ScenarioFile file, ReadScenarioProto(name, options));
  Diagnostics diagnostics(file.locator);
  file.scenario = LoadScenario(file.proto, catalog, &diagnostics);
  RETURN_IF_ERROR(diagnostics.status());
  return file;
}

}  // namespace meshstep
