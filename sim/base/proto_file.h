// Protocol-buffer messages from files a person wrote: text proto, proto JSON or binary, with the
// line and column of every field, so that an error can say where it is.

#ifndef MESHSTEP_SIM_BASE_PROTO_FILE_H_
#define MESHSTEP_SIM_BASE_PROTO_FILE_H_

#include <set>
#include <string>

#include "sim/base/diagnostics.h"
#include "sim/base/status.h"

namespace google::protobuf {
class Message;
}

namespace meshstep {

enum class InputFormat { kTextproto, kJson, kBinary };

// .textproto, .txtpb, .pbtxt: text; .json: JSON; .binpb, .pb: binary. Error: any other ending.
StatusOr<InputFormat> FormatOfFile(const std::string& path);
StatusOr<InputFormat> ParseInputFormat(const std::string& name);

// Parses `content` into `message` (cleared first). `name` is what errors call the file. The
// locator, if asked for, gives "file:line:column" of a dotted field path
// ("plan.mesh.axes[1].size"); a path that was not written gives the nearest enclosing field that
// was. Control characters of strings are escaped (sim/base/escape.h). Error: every syntax error and
// unknown field, one line each.
Status ParseMessage(const std::string& name, const std::string& content, InputFormat format,
                    google::protobuf::Message* message, Locator* locator = nullptr);

// Makes relative paths of a message (hf_config, schedule_table and preset, where it names a file)
// relative to the folder of the file that gives them.
void ResolvePaths(const std::string& file, google::protobuf::Message* message);

// Reads and parses a data file (text proto). A file that ships with the program parses or the
// program is broken, so errors are reported as they are. Where its fields stand is added to
// `places` for those that are not there yet.
Status ReadDataFile(const std::string& path, google::protobuf::Message* message,
                    FieldPlaces* places = nullptr);

// The paths of all fields that a message gives, as FieldPlaces has them.
std::set<std::string> GivenFields(const google::protobuf::Message& message);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_BASE_PROTO_FILE_H_
