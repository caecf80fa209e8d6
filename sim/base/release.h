// Releases of software: numbers and words between dots.

#ifndef MESHSTEP_SIM_BASE_RELEASE_H_
#define MESHSTEP_SIM_BASE_RELEASE_H_

#include <string>
#include <string_view>
#include <utility>

namespace meshstep {

// "0.9" is before "0.10".
bool IsBefore(std::string_view release, std::string_view other);

// "nccl@2.19" is {"nccl", "2.19"}, "nccl" is {"nccl", ""}.
std::pair<std::string, std::string> NameAndRelease(std::string_view text);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_BASE_RELEASE_H_
