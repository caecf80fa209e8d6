// Number formats by name.

#ifndef MESHSTEP_SIM_BASE_DTYPE_H_
#define MESHSTEP_SIM_BASE_DTYPE_H_

#include <string>
#include <string_view>

#include "sim/base/status.h"
#include "sim/base/units.h"

namespace meshstep {

enum class Dtype { kFp32, kTf32, kBf16, kFp16, kFp8, kInt8, kInt4, kFp4 };
inline constexpr int kDtypes = 8;

// Of one element of kFp32, for sums of bytes per element.
inline constexpr double kFp32Bytes = 4;

// Bytes of one element: 4, 4, 2, 2, 1, 1, 0.5, 0.5 (tf32 is stored as fp32).
Bytes SizeOf(Dtype dtype);

// "bf16" for kBf16, and so on.
std::string_view NameOf(Dtype dtype);

// Error: the name and the names known.
StatusOr<Dtype> ParseDtype(std::string_view name);

}  // namespace meshstep

#endif  // MESHSTEP_SIM_BASE_DTYPE_H_
