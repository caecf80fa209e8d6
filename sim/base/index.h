// An index into a standard container from a signed number.

#ifndef MESHSTEP_SIM_BASE_INDEX_H_
#define MESHSTEP_SIM_BASE_INDEX_H_

#include <cstddef>
#include <cstdint>

namespace meshstep {

constexpr std::size_t Index(std::int64_t i) { return static_cast<std::size_t>(i); }

}  // namespace meshstep

#endif  // MESHSTEP_SIM_BASE_INDEX_H_
