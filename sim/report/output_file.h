// Files that commands write beside their report. A file comes whole or not at all: it is written
// under another name beside its place and takes its name in Close(). A full disk, SIGINT, SIGTERM
// or SIGHUP leave the file that was there before. What is no regular file (a pipe, /dev/null) is
// written as it is.
//
//   RETURN_IF_ERROR(CheckOutputs({{"--trace", "step.json"}}, {"scenario.textproto"}));
//   ASSIGN_OR_RETURN(std::unique_ptr<OutputFile> file, OutputFile::Open("--trace", "step.json"));
//   file->Write("[]");
//   RETURN_IF_ERROR(file->Close());

#ifndef MESHSTEP_SIM_REPORT_OUTPUT_FILE_H_
#define MESHSTEP_SIM_REPORT_OUTPUT_FILE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sim/base/status.h"

namespace meshstep {

// A file that an option names; an empty path is none.
struct NamedOutput {
  std::string option, path;
};

// Error: an output that is one of the inputs, or the file of another output, whatever it is called
// (links, "./x"). Inputs that are no files are passed over.
Status CheckOutputs(const std::vector<NamedOutput>& outputs,
                    const std::vector<std::string>& inputs);

class OutputFile {
 public:
  // `option` names the file in errors. Error: the file cannot be opened for writing. The program
  // must ignore SIGPIPE for a closed pipe to be an error rather than its end.
  static StatusOr<std::unique_ptr<OutputFile>> Open(const std::string& option,
                                                    const std::string& path);
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  // Without Close() nothing is left.
  ~OutputFile();

  // The first failure is kept; writing on is harmless; Close() tells.
  void Write(std::string_view bytes);
  bool failed() const { return error_ != 0; }
  // Flushes, closes and gives the file its name.
  Status Close();

 private:
  struct Place {
    std::string option, path;  // as named, for errors
    std::string target;        // where links of the path lead
    std::string temporary;     // beside the target; empty: written in place
  };
  OutputFile(Place place, int descriptor) : place_(std::move(place)), descriptor_(descriptor) {}
  void Flush();
  // Closes and removes what was written.
  void Abandon();

  const Place place_;
  int descriptor_;
  int error_ = 0;  // errno of the first failure
  std::string buffer_;
};

// The whole of `content` as one file.
Status WriteFile(const std::string& option, const std::string& path, std::string_view content);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_OUTPUT_FILE_H_
