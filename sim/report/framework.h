// What a framework decides, for people.

#ifndef MESHSTEP_SIM_REPORT_FRAMEWORK_H_
#define MESHSTEP_SIM_REPORT_FRAMEWORK_H_

#include <string>
#include <vector>

#include "meshstep/v1/framework.pb.h"

namespace meshstep {

// `files`: the framework and those that it builds on, lowest first.
std::string FrameworkToText(const std::string& name, const std::vector<v1::Framework>& files);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_REPORT_FRAMEWORK_H_
