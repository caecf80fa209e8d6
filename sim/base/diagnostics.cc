#include "sim/base/diagnostics.h"

#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "sim/base/escape.h"

namespace meshstep {

void Diagnostics::Error(const std::string& field, const std::string& problem) {
  std::string where = PlaceOf(field);
  if (!where.empty()) where += ": ";
  errors_.push_back(EscapeControls(where + field + ": " + problem));
}

void Diagnostics::Error(const std::string& field, const Status& status) {
  const std::string message(status.message());
  for (const auto line : absl::StrSplit(message, '\n')) Error(field, std::string(line));
}

void Diagnostics::AddSource(const std::string& field, const FieldPlaces& places,
                            const std::set<std::string>& own) {
  const auto whole = [&](const std::string& path) {
    return path.empty() ? field : field + "." + path;
  };
  for (const auto& [path, place] : places) {
    // What a file gives over another stands in the first.
    if (!own.contains(path)) places_.emplace(whole(path), place);
  }
  for (const std::string& path : own) places_.emplace(whole(path), "");
}

// Of the field, else of the nearest that encloses it.
std::string Diagnostics::PlaceOf(const std::string& field) const {
  for (std::string path = field; !places_.empty();) {
    const auto place = places_.find(path);
    if (place != places_.end() && !place->second.empty()) return place->second;
    const std::size_t cut = path.find_last_of(".[");
    if (place != places_.end() || cut == std::string::npos) break;
    path.resize(cut);
  }
  return locator_ ? locator_(field) : "";
}

Status Diagnostics::status() const {
  if (ok()) return absl::OkStatus();
  return InvalidInput(absl::StrJoin(errors_, "\n"));
}

}  // namespace meshstep
