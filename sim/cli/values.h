// Numbers written by people on the command line: "KEY=VALUE,KEY=VALUE" lists as in
// --dims=B=1024,D=4096 and --hw=C=1.97e14,hbm_bw=8.2e11.

#ifndef MESHSTEP_SIM_CLI_VALUES_H_
#define MESHSTEP_SIM_CLI_VALUES_H_

#include <map>
#include <string>
#include <vector>

#include "sim/base/status.h"

namespace meshstep {

using Values = std::map<std::string, double>;

// A finite number >= 0: "1e9", "4096", "8Ki" (1024), "70B" and "15T" (1e9, 1e12), "4k", "4M", "4G".
StatusOr<double> ParseNumber(const std::string& option, const std::string& text);

// `option` names the list in errors ("--dims"). Keys not in `known` are errors that list those
// known (empty: any key). A key twice is an error.
StatusOr<Values> ParseValues(const std::string& option, const std::vector<std::string>& lists,
                             const std::vector<std::string>& known);

// The value, or `otherwise` if the key is not there.
double ValueOr(const Values& values, const std::string& key, double otherwise);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_CLI_VALUES_H_
