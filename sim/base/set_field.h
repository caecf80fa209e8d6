// --set PATH=VALUE: overrides one field of a message from the command line.
//
//   SetField("plan.tensor=8", &scenario);
//   SetField("plan.rules[0].axes=fsdp,data", &scenario);   // a list
//   SetField("plan.tensor=", &scenario);                   // as if it had not been written
//   SetField("plan.mesh={ axes { name: \"x\" size: 4 } }", &scenario);

#ifndef MESHSTEP_SIM_BASE_SET_FIELD_H_
#define MESHSTEP_SIM_BASE_SET_FIELD_H_

#include <string>

#include "sim/base/status.h"

namespace google::protobuf {
class Message;
}

namespace meshstep {

// Elements of a repeated field are PATH[i], i from 0; i may be the field's size, which adds one.
// Error: one sentence that names the path, the value and what was expected.
Status SetField(const std::string& assignment, google::protobuf::Message* message);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_BASE_SET_FIELD_H_
