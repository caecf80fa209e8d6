#include "sim/advice/search/search_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <string_view>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "sim/base/index.h"

namespace meshstep {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFrame = 12, kMostBytes = std::size_t{64} << 20;
constexpr char kPrefix[] = "shard-", kBoundPrefix[] = "bound-";

std::uint64_t Hash(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

void AppendNumber(std::uint64_t value, int bytes, std::string* out) {
  for (int i = 0; i < bytes; ++i) *out += static_cast<char>(value >> (8 * i) & 0xff);
}

std::uint64_t NumberAt(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) {
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

// The next whole record; false at the end, or where the rest was not finished.
bool NextRecord(std::string_view content, std::size_t* at, v1::SearchRecord* record) {
  if (content.size() - *at < kFrame) return false;
  const std::uint64_t size = NumberAt(content.substr(*at, 4));
  const std::uint64_t hash = NumberAt(content.substr(*at + 4, 8));
  if (size > kMostBytes || content.size() - *at - kFrame < size) return false;
  const std::string_view bytes = content.substr(*at + kFrame, size);
  if (Hash(bytes) != hash) return false;
  if (!record->ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return false;
  *at += kFrame + size;
  return true;
}

std::string PathOf(const std::string& folder, const v1::SearchHeader& header) {
  return absl::StrCat(folder, "/", kPrefix, header.shard(), "-of-", header.shards(), ".pb");
}

// Whether two searches look for the same in the same part of the same space.
bool Same(const v1::SearchHeader& a, const v1::SearchHeader& b) {
  return a.digest() == b.digest() && a.shard() == b.shard() && a.shards() == b.shards() &&
         a.top() == b.top() && a.max_memory_bytes() == b.max_memory_bytes() &&
         a.allow_tight() == b.allow_tight() && a.objective() == b.objective() &&
         a.version() == b.version();
}

Status Failed(const std::string& path, const char* what) {
  return InvalidInput(absl::StrCat("--out: ", path, ": ", what, ": ", std::strerror(errno)));
}

}  // namespace

StatusOr<SearchContents> ReadSearchFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return InvalidInput(absl::StrCat(path, ": cannot be read"));
  const std::string content{std::istreambuf_iterator<char>(file), {}};
  SearchContents contents;
  std::size_t at = 0;
  v1::SearchRecord record;
  if (!NextRecord(content, &at, &record) || !record.has_header()) {
    return InvalidInput(absl::StrCat(path, ": is no part of a search"));
  }
  contents.header = record.header();
  std::map<std::int64_t, v1::LookedAtPlan> plans;
  while (NextRecord(content, &at, &record)) {
    if (record.has_plan()) plans[record.plan().index()] = record.plan();
    if (record.has_groups()) contents.groups.push_back(record.groups());
    if (!record.has_done()) continue;
    contents.done = record.done();
    // Those of a search that was ended while it wrote them come before.
    const std::size_t own = Index(std::max(0, record.done().group_records()));
    const std::size_t all = contents.groups.size();
    contents.groups.erase(contents.groups.begin(),
                          contents.groups.end() - static_cast<std::ptrdiff_t>(std::min(own, all)));
  }
  for (auto& [index, plan] : plans) contents.plans.push_back(std::move(plan));
  contents.bytes = static_cast<std::int64_t>(at);
  return contents;
}

StatusOr<std::unique_ptr<SearchFile>> SearchFile::Open(const std::string& folder,
                                                       const v1::SearchHeader& header) {
  std::error_code ignored;
  fs::create_directories(folder, ignored);
  const std::string path = PathOf(folder, header);
  SearchContents found;
  found.header = header;
  const bool there = fs::exists(path, ignored);
  StatusOr<SearchContents> before = there ? ReadSearchFile(path) : StatusOr<SearchContents>(found);
  // A file without a whole header was never begun.
  if (there && !before.ok() && fs::file_size(path, ignored) < 1 << 16) before = found;
  if (!before.ok()) return before.status();
  if (!Same(before->header, header)) {
    return InvalidInput(absl::StrCat("--out: ", path, ": is of another search (space ",
                                     before->header.digest(), ", expected ", header.digest(),
                                     "); give another folder"));
  }
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
  if (descriptor < 0) return Failed(path, "cannot be written");
  if (ftruncate(descriptor, before->bytes) != 0 || lseek(descriptor, 0, SEEK_END) < 0) {
    close(descriptor);
    return Failed(path, "cannot be written");
  }
  const bool begins = before->bytes == 0;
  std::unique_ptr<SearchFile> file(new SearchFile(folder, descriptor, *std::move(before)));
  if (begins) {
    v1::SearchRecord record;
    *record.mutable_header() = header;
    RETURN_IF_ERROR(file->Write(record));
  }
  return file;
}

SearchFile::~SearchFile() { close(descriptor_); }

Status SearchFile::Write(const v1::SearchRecord& record) {
  std::string bytes;
  record.SerializeToString(&bytes);
  std::string frame;
  AppendNumber(bytes.size(), 4, &frame);
  AppendNumber(Hash(bytes), 8, &frame);
  frame += bytes;
  for (std::size_t at = 0; at < frame.size();) {
    const ssize_t wrote = write(descriptor_, frame.data() + at, frame.size() - at);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return Failed(folder_, "cannot be written");
    at += static_cast<std::size_t>(wrote);
  }
  return absl::OkStatus();
}

Status SearchFile::Append(const v1::LookedAtPlan& plan) {
  v1::SearchRecord record;
  *record.mutable_plan() = plan;
  return Write(record);
}

Status SearchFile::Append(const v1::CountedGroups& groups) {
  v1::SearchRecord record;
  *record.mutable_groups() = groups;
  return Write(record);
}

Status SearchFile::Append(const v1::SearchDone& done) {
  v1::SearchRecord record;
  *record.mutable_done() = done;
  return Write(record);
}

void SearchFile::WriteBound(std::int64_t ps) const {
  const std::string path = absl::StrCat(folder_, "/", kBoundPrefix, found_.header.shard());
  const std::string temporary = path + ".new";
  {
    std::ofstream file(temporary);
    file << found_.header.digest() << " " << ps << "\n";
    if (!file) return;
  }
  std::error_code ignored;
  fs::rename(temporary, path, ignored);
}

std::int64_t SearchFile::ReadBounds() const {
  std::int64_t least = std::numeric_limits<std::int64_t>::max();
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_, ignored)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with(kBoundPrefix) || name.ends_with(".new")) continue;
    std::ifstream file(entry.path());
    std::string digest;
    std::int64_t ps = 0;
    if (file >> digest >> ps && digest == found_.header.digest()) least = std::min(least, ps);
  }
  return least;
}

StatusOr<std::vector<std::string>> SearchFilesIn(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kPrefix) && name.ends_with(".pb")) paths.push_back(entry.path().string());
  }
  if (error) return InvalidInput(absl::StrCat(folder, ": cannot be read: ", error.message()));
  if (paths.empty()) return InvalidInput(absl::StrCat(folder, ": has no shards of a search"));
  std::sort(paths.begin(), paths.end());
  return paths;
}

}  // namespace meshstep
