#include "sim/report/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace meshstep {
namespace {

constexpr std::size_t kBufferBytes = 1 << 20;

Status Failure(const std::string& option, const std::string& path, int error) {
  return InvalidInput(option + ": " + path + " cannot be written: " + std::strerror(error));
}

}  // namespace

StatusOr<std::unique_ptr<OutputFile>> OutputFile::Open(const std::string& option,
                                                       const std::string& path) {
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor < 0) return Failure(option, path, errno);
  return std::unique_ptr<OutputFile>(new OutputFile(option, path, descriptor));
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) close(descriptor_);
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
  struct stat info = {};
  const bool regular = fstat(descriptor_, &info) == 0 && S_ISREG(info.st_mode);
  if (close(descriptor_) != 0 && !failed()) error_ = errno;
  descriptor_ = -1;
  if (!failed()) return absl::OkStatus();
  if (regular) unlink(path_.c_str());
  return Failure(option_, path_, error_);
}

Status WriteFile(const std::string& option, const std::string& path, std::string_view content) {
  ASSIGN_OR_RETURN(const std::unique_ptr<OutputFile> file, OutputFile::Open(option, path));
  file->Write(content);
  return file->Close();
}

}  // namespace meshstep
