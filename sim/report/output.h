// A report message as text other tools read: JSON with the field names of the .proto file (numbers
// as numbers, every field present), text proto or binary.

#ifndef MESHSTEP_SIM_REPORT_OUTPUT_H_
#define MESHSTEP_SIM_REPORT_OUTPUT_H_

#include <string>

#include "sim/base/status.h"

namespace google::protobuf {
class Message;
}

namespace meshstep {

enum class OutputFormat { kText, kJson, kTextproto, kBinary };

// Keeps field order; doubles with 17 significant digits or fewer that read back the same; NaN and
// infinities as null. Optional fields that are unset print null.
std::string ToJson(const google::protobuf::Message& message);

// kText is the caller's business: calling with it is a broken invariant.
std::string Serialize(const google::protobuf::Message& message, OutputFormat format);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_OUTPUT_H_
