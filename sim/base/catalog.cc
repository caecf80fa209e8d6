#include "sim/base/catalog.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "sim/base/data_path.h"
#include "sim/base/overlay.h"
#include "sim/base/proto_file.h"

namespace meshstep {
namespace {

namespace pb = google::protobuf;

// Of some tens of kilobytes each.
constexpr std::size_t kMostKept = 512;

// The name of the preset that `message` builds on; "" if there is none.
std::string PresetOf(const pb::Message& message) {
  const pb::FieldDescriptor* preset = message.GetDescriptor()->FindFieldByName("preset");
  return preset == nullptr ? "" : message.GetReflection()->GetString(message, preset);
}

}  // namespace

Catalog::Catalog() = default;
Catalog::~Catalog() = default;

std::shared_ptr<const void> Catalog::FindKept(const std::string& key) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto known = kept_.find(key);
  return known == kept_.end() ? nullptr : known->second;
}

void Catalog::Keep(const std::string& key, std::shared_ptr<const void> value) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (kept_.size() < kMostKept) kept_.emplace(key, std::move(value));
}

StatusOr<const Catalog::File*> Catalog::Find(const std::string& folder, const std::string& name,
                                             const pb::Message& prototype,
                                             std::vector<std::string>* above) const {
  const Key key(prototype.GetDescriptor(), folder, name);
  if (const auto known = files_.find(key); known != files_.end()) return &known->second;
  ASSIGN_OR_RETURN(const std::string path, PresetPath(folder, name));
  std::unique_ptr<pb::Message> message(prototype.New());
  const auto places = std::make_shared<FieldPlaces>();
  RETURN_IF_ERROR(ReadDataFile(path, message.get(), places.get()));
  if (const std::string base = PresetOf(*message); !base.empty()) {
    above->push_back(name);
    if (std::ranges::find(*above, base) != above->end()) {
      return InvalidInput(
          absl::StrCat(path, ": preset: is \"", base, "\", which builds on itself"));
    }
    if (const Status there = PresetPath(folder, base).status(); !there.ok()) {
      return InvalidInput(absl::StrCat(path, ": preset: ", std::string(there.message())));
    }
    ASSIGN_OR_RETURN(const File* const below, Find(folder, base, prototype, above));
    // What a file gives over another stands in the first.
    places->insert(below->places->begin(), below->places->end());
    std::unique_ptr<pb::Message> merged(below->message->New());
    merged->CopyFrom(*below->message);
    Overlay(*message, merged.get());
    merged->GetReflection()->ClearField(merged.get(),
                                        merged->GetDescriptor()->FindFieldByName("preset"));
    message = std::move(merged);
  }
  return &files_.emplace(key, File{std::move(message), places}).first->second;
}

Status Catalog::Read(const std::string& folder, const std::string& name,
                     pb::Message* message) const {
  const File* file = nullptr;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::vector<std::string> above;
    ASSIGN_OR_RETURN(file, Find(folder, name, *message, &above));
  }
  message->CopyFrom(*file->message);
  return absl::OkStatus();
}

void Catalog::Resolve(const std::string& folder, const std::string& field, pb::Message* message,
                      Diagnostics* diagnostics) const {
  const std::string name = PresetOf(*message);
  if (name.empty()) return;
  const std::unique_ptr<pb::Message> merged(message->New());
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::vector<std::string> above;
    const StatusOr<const File*> file = Find(folder, name, *message, &above);
    if (!file.ok()) {
      diagnostics->Error(field + ".preset", file.status());
      return;
    }
    merged->CopyFrom(*(*file)->message);
    diagnostics->AddSource({field, (*file)->places, GivenFields(*message)});
  }
  Overlay(*message, merged.get());
  message->GetReflection()->Swap(message, merged.get());
}

}  // namespace meshstep
