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

// A finite number >= 0 with the suffixes of counts (sim/base/number.h): "4096", "8Ki", "70B".
StatusOr<double> ReadCount(const std::string& option, const std::string& text);

// The same with those of bytes, up to 1e18: "64MiB", "2*4096*8192".
StatusOr<double> ReadBytes(const std::string& option, const std::string& text);

// `option` names the list in errors ("--dims"). Keys not in `known` are errors that list those
// known (empty: any key). A key twice is an error.
StatusOr<Values> ParseValues(const std::string& option, const std::vector<std::string>& lists,
                             const std::vector<std::string>& known);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_CLI_VALUES_H_
