// The data files that ship with the program (chips, clusters, models, frameworks, examples) and
// files in their form that a scenario names by path, each read and parsed once.
//
// A catalog is made by its user and shared by all that simulates: any number of threads may call
// it. It never forgets: a file that changes is seen by the next catalog.
//
//   const Catalog catalog;
//   v1::Chip chip;
//   RETURN_IF_ERROR(catalog.Read("topologies/chips", "h100-sxm", &chip));

#ifndef MESHSTEP_SIM_BASE_CATALOG_H_
#define MESHSTEP_SIM_BASE_CATALOG_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

#include "sim/base/diagnostics.h"
#include "sim/base/status.h"

namespace google::protobuf {
class Descriptor;
class Message;
}  // namespace google::protobuf

namespace meshstep {

class Catalog {
 public:
  Catalog();
  ~Catalog();
  Catalog(const Catalog&) = delete;
  Catalog& operator=(const Catalog&) = delete;

  // Replaces `message` by the file `name` of `folder` (sim/base/data_path.h, PresetPath). A file
  // that names a preset itself builds on it: its fields are written over that preset's, as Resolve
  // does. Error: a file that cannot be read, or that builds on itself.
  Status Read(const std::string& folder, const std::string& name,
              google::protobuf::Message* message) const;

  // If `message` has a non-empty string field `preset`, replaces it by the preset's file from
  // `folder` with the fields of `message` written over it: singular fields replace, sub-messages
  // merge, repeated fields replace when not empty. `field` names the message in errors ("model"); a
  // fault in the preset's file is told at its place there.
  void Resolve(const std::string& folder, const std::string& field,
               google::protobuf::Message* message, Diagnostics* diagnostics) const;

  // What was made of files of the catalog and kept by that key, which says all that it was made of;
  // null if nothing was. T: as it was kept.
  template <class T>
  std::shared_ptr<const T> Kept(const std::string& key) const {
    return std::static_pointer_cast<const T>(FindKept(key));
  }
  // Keeps it for as long as the catalog lives, unless much is kept already.
  void Keep(const std::string& key, std::shared_ptr<const void> value) const;

 private:
  std::shared_ptr<const void> FindKept(const std::string& key) const;

  using Message = google::protobuf::Message;
  // Type, folder and name.
  using Key = std::tuple<const google::protobuf::Descriptor*, std::string, std::string>;

  // A file with what it builds on.
  struct File {
    std::unique_ptr<const Message> message;
    std::shared_ptr<const FieldPlaces> places;  // of its fields, in the file that gives them
  };
  // The file with what it builds on; `above` are the names of files that build on it. mutex_ is
  // held.
  StatusOr<const File*> Find(const std::string& folder, const std::string& name,
                             const Message& prototype, std::vector<std::string>* above) const;

  mutable std::mutex mutex_;
  mutable std::map<Key, File> files_;  // guarded by mutex_; only grows
  mutable std::map<std::string, std::shared_ptr<const void>> kept_;  // so is this, up to a limit
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_BASE_CATALOG_H_
