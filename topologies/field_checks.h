// Range checks of single fields, for the loaders of this folder: the problem goes to Diagnostics
// and a harmless value comes back, so that all problems of a message are found in one pass.

#ifndef MESHSTEP_TOPOLOGIES_FIELD_CHECKS_H_
#define MESHSTEP_TOPOLOGIES_FIELD_CHECKS_H_

#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "sim/base/diagnostics.h"

namespace meshstep {

// "is 3.5, expected a number above 0 and at most 1".
inline double CheckedFraction(double value, const std::string& field, Diagnostics* diagnostics) {
  if (value > 0 && value <= 1) return value;
  diagnostics->Error(field,
                     absl::StrCat("is ", value, ", expected a number above 0 and at most 1"));
  return 1;
}

// Rates and sizes: finite, above 0, below 1e24 (no unit of any field gets near that).
inline double CheckedPositive(double value, const std::string& field, Diagnostics* diagnostics) {
  if (value > 0 && value < 1e24) return value;
  diagnostics->Error(field, absl::StrCat("is ", value, ", expected a number above 0",
                                         value > 0 ? ", finite and below 1e24" : ""));
  return 1;
}

// Times in nanoseconds: 0 up to 1 second.
inline double CheckedNanoseconds(double value, const std::string& field, Diagnostics* diagnostics) {
  if (value >= 0 && value <= 1e9) return value;
  diagnostics->Error(field, absl::StrCat("is ", value, ", expected nanoseconds between 0 and 1e9"));
  return 0;
}

inline int CheckedInt(std::int64_t value, int low, int high, const std::string& field,
                      Diagnostics* diagnostics) {
  if (value >= low && value <= high) return static_cast<int>(value);
  diagnostics->Error(field,
                     absl::StrCat("is ", value, ", expected an integer from ", low, " to ", high));
  return low;
}

}  // namespace meshstep

#endif  // MESHSTEP_TOPOLOGIES_FIELD_CHECKS_H_
