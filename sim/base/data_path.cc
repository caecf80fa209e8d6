#include "sim/base/data_path.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "sim/base/nearest.h"

namespace meshstep {
namespace {

namespace fs = std::filesystem;

std::string FindDataRoot() {
  std::error_code ignored;
  // The program's own prefix first, so that an installed copy can be moved.
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored);
  if (!program.empty()) {
    const fs::path beside = program.parent_path().parent_path() / "share/meshstep";
    if (fs::exists(beside / "topologies/chips", ignored)) return beside.string();
  }
  for (const char* root : {MESHSTEP_SOURCE_DIR, MESHSTEP_DATA_DIR}) {
    if (fs::exists(fs::path(root) / "topologies/chips", ignored)) return root;
  }
  return MESHSTEP_DATA_DIR;
}

}  // namespace

const std::string& DataRoot() {
  static const std::string root = FindDataRoot();
  return root;
}

std::vector<std::string> ListPresets(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(fs::path(DataRoot()) / folder, ignored)) {
    if (entry.path().extension() == ".textproto") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

StatusOr<std::string> PresetPath(const std::string& folder, const std::string& name) {
  std::vector<std::string> names = ListPresets(folder);
  if (std::binary_search(names.begin(), names.end(), name)) {
    return (fs::path(DataRoot()) / folder / (name + ".textproto")).string();
  }
  const std::string shown = absl::CHexEscape(name.substr(0, 64));
  if (absl::EndsWith(name, ".textproto")) {
    std::error_code ignored;
    if (fs::is_regular_file(name, ignored)) return name;
    return InvalidInput(absl::StrCat("is \"", absl::CHexEscape(name.substr(0, 256)),
                                     "\", which is not a file that can be read"));
  }
  return InvalidInput(
      absl::StrCat("is \"", shown, "\", which is not a file in ", folder,
                   "; nearest: ", absl::StrJoin(NearestNames(shown, std::move(names), 5), ", ")));
}

StatusOr<std::string> ReadFile(const std::string& path, std::size_t max_bytes) {
  std::error_code error;
  if (fs::is_directory(path, error)) return InvalidInput(path + ": is a folder, expected a file");
  std::ifstream in(path, std::ios::binary);
  if (!in) return InvalidInput(path + ": cannot be read: " + std::strerror(errno));
  std::string content;
  std::vector<char> buffer(1 << 16);
  while (in) {
    in.read(buffer.data(), static_cast<std::streamsize>(buffer.size()));
    content.append(buffer.data(), static_cast<std::size_t>(in.gcount()));
    if (content.size() > max_bytes) {
      return InvalidInput(absl::StrCat(path, ": is longer than ", max_bytes, " bytes"));
    }
  }
  if (in.bad()) return InvalidInput(path + ": cannot be read to its end");
  return content;
}

}  // namespace meshstep
