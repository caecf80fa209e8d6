#include "sim/base/version.h"

namespace meshstep {

std::string_view Version() { return MESHSTEP_VERSION; }

}  // namespace meshstep
