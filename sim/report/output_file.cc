#include "sim/report/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "sim/base/escape.h"

namespace meshstep {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kBufferBytes = 1 << 20;

// Temporary files that a signal removes. A handler may touch nothing but lock-free state, so this
// is the one place with state of the process.
struct TemporaryName {
  std::atomic<bool> is_used{false};
  std::array<char, PATH_MAX> path{};
};
std::array<TemporaryName, 8> temporary_names;

void RemoveTemporaryFiles(int signal) {
  for (const TemporaryName& name : temporary_names) {
    if (name.is_used.load()) unlink(name.path.data());
  }
  // SA_RESETHAND has put the default action back.
  raise(signal);
}

void HandleSignals() {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction now = {};
    if (sigaction(signal, nullptr, &now) != 0 || now.sa_handler != SIG_DFL) continue;
    now.sa_handler = RemoveTemporaryFiles;
    now.sa_flags = SA_RESETHAND;
    sigaction(signal, &now, nullptr);
  }
}

void Remember(const std::string& path) {
  if (path.size() >= PATH_MAX) return;
  for (TemporaryName& name : temporary_names) {
    if (name.is_used.load()) continue;
    path.copy(name.path.data(), path.size());
    name.path[path.size()] = '\0';
    name.is_used.store(true);
    return;
  }
}

void Forget(const std::string& path) {
  for (TemporaryName& name : temporary_names) {
    if (name.is_used.load() && path == name.path.data()) name.is_used.store(false);
  }
}

// Makes a file of a name that ends in mkostemp's six letters, which become its own. Signals wait until its name is
// remembered. Error: negative.
int MakeTemporary(std::string* name) {
  sigset_t held, before;
  sigemptyset(&held);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&held, signal);
  pthread_sigmask(SIG_BLOCK, &held, &before);
  const int descriptor = mkostemp(name->data(), O_CLOEXEC);
  const int error = errno;
  if (descriptor >= 0) Remember(*name);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return descriptor;
}

Status Failure(const std::string& option, const std::string& path, int error) {
  return InvalidInput(absl::StrCat(option, ": ", EscapeControls(path),
                                   " cannot be written: ", std::strerror(error)));
}

// Where links lead; the file itself need not be there.
std::string Resolved(const std::string& path) {
  constexpr int kMostLinks = 40;  // as Linux follows (path_resolution(7))
  std::error_code error;
  fs::path target = fs::absolute(path, error);
  for (int i = 0; i < kMostLinks && !error && fs::is_symlink(target, error); ++i) {
    target = target.parent_path() / fs::read_symlink(target, error);
  }
  const fs::path resolved = fs::weakly_canonical(target, error);
  return error || resolved.empty() ? path : resolved.string();
}

bool IsRegularOrNew(const std::string& path) {
  struct stat info = {};
  return stat(path.c_str(), &info) != 0 ? errno == ENOENT : S_ISREG(info.st_mode);
}

}  // namespace

Status CheckOutputs(const std::vector<NamedOutput>& outputs,
                    const std::vector<std::string>& inputs) {
  std::map<std::string, const NamedOutput*> seen;
  for (const NamedOutput& output : outputs) {
    if (output.path.empty() || !IsRegularOrNew(output.path)) continue;
    const auto [at, is_new] = seen.emplace(Resolved(output.path), &output);
    if (!is_new) {
      return InvalidInput(absl::StrCat(output.option, ": is ", EscapeControls(output.path),
                                       ", the file of ", at->second->option,
                                       "; expected another name"));
    }
    for (const std::string& input : inputs) {
      std::error_code error;
      if (!fs::equivalent(output.path, input, error) || error) continue;
      return InvalidInput(absl::StrCat(output.option, ": is ", EscapeControls(output.path),
                                       ", which is read as input; expected another name"));
    }
  }
  return absl::OkStatus();
}

StatusOr<std::unique_ptr<OutputFile>> OutputFile::Open(const std::string& option,
                                                       const std::string& path) {
  const std::string target = Resolved(path);
  if (!IsRegularOrNew(path)) {
    const int descriptor = open(path.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor < 0) return Failure(option, path, errno);
    return std::unique_ptr<OutputFile>(new OutputFile({option, path, path, ""}, descriptor));
  }
  struct stat before = {};
  const bool exists = stat(target.c_str(), &before) == 0;
  // Another name in its place would go around its permissions.
  if (exists && access(target.c_str(), W_OK) != 0) return Failure(option, path, errno);
  std::string temporary = target + "." + std::string(6, 'X');
  HandleSignals();
  const int descriptor = MakeTemporary(&temporary);
  if (descriptor < 0) return Failure(option, path, errno);
  const mode_t mask = umask(0);
  umask(mask);
  fchmod(descriptor, exists ? before.st_mode & 07777 : 0666 & ~mask);
  return std::unique_ptr<OutputFile>(new OutputFile({option, path, target, temporary}, descriptor));
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) Abandon();
}

void OutputFile::Abandon() {
  if (descriptor_ >= 0) close(descriptor_);
  descriptor_ = -1;
  if (place_.temporary.empty()) return;
  unlink(place_.temporary.c_str());
  Forget(place_.temporary);
}

void OutputFile::Write(std::string_view bytes) {
  if (failed()) return;
  buffer_.append(bytes);
  if (buffer_.size() >= kBufferBytes) Flush();
}

void OutputFile::Flush() {
  std::size_t done = 0;
  while (done < buffer_.size() && !failed()) {
    const ssize_t n = write(descriptor_, buffer_.data() + done, buffer_.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) error_ = errno;
    if (n > 0) done += static_cast<std::size_t>(n);
  }
  buffer_.clear();
}

Status OutputFile::Close() {
  Flush();
  if (close(descriptor_) != 0 && !failed()) error_ = errno;
  descriptor_ = -1;
  if (!failed() && !place_.temporary.empty()) {
    if (rename(place_.temporary.c_str(), place_.target.c_str()) == 0) {
      Forget(place_.temporary);
      return absl::OkStatus();
    }
    error_ = errno;
  }
  if (!failed()) return absl::OkStatus();
  Abandon();
  return Failure(place_.option, place_.path, error_);
}

Status WriteFile(const std::string& option, const std::string& path, std::string_view content) {
  ASSIGN_OR_RETURN(const std::unique_ptr<OutputFile> file, OutputFile::Open(option, path));
  file->Write(content);
  return file->Close();
}

}  // namespace meshstep
