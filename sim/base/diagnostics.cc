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

// What the sources say of exactly this path; "": the locator knows; null: nothing.
const std::string* Diagnostics::Find(const std::string& path) const {
  static const std::string kOwn;
  for (const Source& source : sources_) {
    if (!path.starts_with(source.field)) continue;
    std::string below = path.substr(source.field.size());
    if (!below.empty() && below.front() != '.') continue;
    if (!below.empty()) below.erase(0, 1);
    // What the message gives over a file stands in the message.
    if (source.own.contains(below)) return &kOwn;
    const auto place = source.places->find(below);
    if (place != source.places->end()) return &place->second;
  }
  return nullptr;
}

// Of the field, else of the nearest that encloses it.
std::string Diagnostics::PlaceOf(const std::string& field) const {
  for (std::string path = field; !sources_.empty();) {
    const std::string* const place = Find(path);
    if (place != nullptr && !place->empty()) return *place;
    const std::size_t cut = path.find_last_of(".[");
    if (place != nullptr || cut == std::string::npos) break;
    path.resize(cut);
  }
  return locator_ ? locator_(field) : "";
}

Status Diagnostics::status() const {
  if (ok()) return absl::OkStatus();
  return InvalidInput(absl::StrJoin(errors_, "\n"));
}

}  // namespace meshstep
