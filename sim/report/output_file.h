// A file that is written in pieces and may fail at any of them (read-only folder, full disk, closed
// pipe). The first failure is kept; writing on is harmless; Close() tells.
//
//   ASSIGN_OR_RETURN(std::unique_ptr<OutputFile> file, OutputFile::Open("--trace", "step.json"));
//   file->Write("[]");
//   RETURN_IF_ERROR(file->Close());

#ifndef MESHSTEP_SIM_REPORT_OUTPUT_FILE_H_
#define MESHSTEP_SIM_REPORT_OUTPUT_FILE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "sim/base/status.h"

namespace meshstep {

class OutputFile {
 public:
  // `option` names the file in errors. Error: the file cannot be opened for writing. The program
  // must ignore SIGPIPE for a closed pipe to be an error rather than its end.
  static StatusOr<std::unique_ptr<OutputFile>> Open(const std::string& option,
                                                    const std::string& path);
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile();

  void Write(std::string_view bytes);
  bool failed() const { return error_ != 0; }
  // Flushes and closes. After a failure a regular file is removed, so that no half of one is left.
  Status Close();

 private:
  OutputFile(const std::string& option, const std::string& path, int descriptor)
      : option_(option), path_(path), descriptor_(descriptor) {}
  void Flush();

  const std::string option_, path_;
  int descriptor_;
  int error_ = 0;  // errno of the first failure
  std::string buffer_;
};

// The whole of `content` as one file.
Status WriteFile(const std::string& option, const std::string& path, std::string_view content);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_OUTPUT_FILE_H_
