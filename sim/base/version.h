// The version of the program and its library.

#ifndef MESHSTEP_SIM_BASE_VERSION_H_
#define MESHSTEP_SIM_BASE_VERSION_H_

#include <string_view>

namespace meshstep {

// "1.2.3", as project() of CMakeLists.txt has it.
std::string_view Version();

}  // namespace meshstep

#endif  // MESHSTEP_SIM_BASE_VERSION_H_
