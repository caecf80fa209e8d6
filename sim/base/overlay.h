// One message written over another.

#ifndef MESHSTEP_SIM_BASE_OVERLAY_H_
#define MESHSTEP_SIM_BASE_OVERLAY_H_

namespace google::protobuf {
class Message;
}

namespace meshstep {

// Writes the fields of `from` over `to`, a message of the same type: singular fields replace,
// sub-messages merge, repeated fields replace when not empty.
void Overlay(const google::protobuf::Message& from, google::protobuf::Message* to);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_BASE_OVERLAY_H_
