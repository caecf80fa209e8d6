// Range checks of single fields, for the loaders of this folder: the problem goes to Diagnostics
// and a harmless value comes back, so that all problems of a message are found in one pass.

#ifndef MESHSTEP_TOPOLOGIES_FIELD_CHECKS_H_
#define MESHSTEP_TOPOLOGIES_FIELD_CHECKS_H_

#include <cmath>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "sim/base/diagnostics.h"

namespace meshstep {

// "is 3.5, expected a number above 0 and at most 1". A millionth is the least: what a rate is after
// its fraction stays far from underflow.
inline double CheckedFraction(double value, const std::string& field, Diagnostics* diagnostics) {
  if (value >= 1e-6 && value <= 1) return value;
  diagnostics->Error(field, absl::StrCat("is ", value, ", expected a number ",
                                         value > 0 && value < 1 ? "of at least 1e-06" : "above 0",
                                         " and at most 1"));
  return 1;
}

// Sizes and ratios: finite, above 0, below 1e24 (no unit of any field gets near that).
inline double CheckedPositive(double value, const std::string& field, Diagnostics* diagnostics) {
  if (value >= 1e-9 && value < 1e24) return value;
  diagnostics->Error(field,
                     absl::StrCat("is ", value, ", expected a number above 0",
                                  value > 0 ? ", finite, at least 1e-09 and below 1e24" : ""));
  return 1;
}

// A quantity in a unit that people mistake for a larger or a smaller one: what no chip or network
// has is told with the value that was likely meant.
struct UnitRange {
  double low, high;        // what is accepted
  std::string_view unit;   // of the field
  std::string_view other;  // a unit that people write instead
  double factor;           // units in one of the other
};
inline constexpr UnitRange kBytesPerSecond{1e6, 1e18, "bytes per second", "GB/s", 1e9};
inline constexpr UnitRange kGigabytesPerSecond{1e-6, 1e9, "GB/s", "bytes per second", 1e-9};
inline constexpr UnitRange kFlopsPerSecond{1e6, 1e24, "FLOP/s", "TFLOP/s", 1e12};
inline constexpr UnitRange kBytes{1e6, 1e18, "bytes", "GB", 1e9};

// "is 3350, expected bytes per second from 1e+06 to 1e+18; 3350 GB/s are 3.35e+12".
inline double CheckedQuantity(double value, const UnitRange& range, const std::string& field,
                              Diagnostics* diagnostics) {
  if (value >= range.low && value <= range.high) return value;
  if (!(value > 0 && std::isfinite(value))) {
    diagnostics->Error(field, absl::StrCat("is ", value, ", expected a number above 0",
                                           value > 0 ? " and finite" : ""));
    return range.low;
  }
  const double meant = value * range.factor;
  diagnostics->Error(
      field, absl::StrCat("is ", value, ", expected ", std::string(range.unit), " from ", range.low,
                          " to ", range.high,
                          meant >= range.low && meant <= range.high
                              ? absl::StrCat("; ", value, " ", std::string(range.other), " are ",
                                             meant, ": is the unit wrong?")
                              : ""));
  return range.low;
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
