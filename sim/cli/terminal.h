// What the terminal wants.

#ifndef MESHSTEP_SIM_CLI_TERMINAL_H_
#define MESHSTEP_SIM_CLI_TERMINAL_H_

#include "sim/report/text.h"

namespace meshstep {

// Color only if standard output is a terminal that is not dumb and NO_COLOR is unset or empty
// (no-color.org).
TextStyle TerminalStyle();

}  // namespace meshstep

#endif  // MESHSTEP_SIM_CLI_TERMINAL_H_
