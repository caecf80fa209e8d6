// A report message as lines "field  value unit" for people. Units come from the field names, as the
// protos promise: _bytes, _s, _flops, _bytes_per_s, _flops_per_s; repeated messages become tables.

#ifndef MESHSTEP_SIM_REPORT_ARITHMETIC_FIELD_TABLE_H_
#define MESHSTEP_SIM_REPORT_ARITHMETIC_FIELD_TABLE_H_

#include <string>

namespace google::protobuf {
class Message;
}

namespace meshstep {

// Fields that are unset or zero are left out.
std::string FieldTable(const google::protobuf::Message& message);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_ARITHMETIC_FIELD_TABLE_H_
