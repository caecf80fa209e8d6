// Names close to one that is not known, for errors.

#ifndef MESHSTEP_SIM_BASE_NEAREST_H_
#define MESHSTEP_SIM_BASE_NEAREST_H_

#include <string>
#include <vector>

namespace meshstep {

// Up to `count` of `names`: those that contain `name` first, then by edit distance; equals keep
// their order.
std::vector<std::string> NearestNames(const std::string& name, std::vector<std::string> names,
                                      std::size_t count);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_BASE_NEAREST_H_
