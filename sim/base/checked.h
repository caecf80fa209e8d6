// Arithmetic on what input gives: it stays at the ends of its type instead of overflowing, so that
// a bound checked afterwards still holds.

#ifndef MESHSTEP_SIM_BASE_CHECKED_H_
#define MESHSTEP_SIM_BASE_CHECKED_H_

#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>

namespace meshstep {

template <std::signed_integral T>
constexpr T SaturatingAdd(T a, T b) {
  T sum = 0;
  if (!__builtin_add_overflow(a, b, &sum)) return sum;
  return b < 0 ? std::numeric_limits<T>::min() : std::numeric_limits<T>::max();
}

template <std::signed_integral T>
constexpr T SaturatingMultiply(T a, T b) {
  T product = 0;
  if (!__builtin_mul_overflow(a, b, &product)) return product;
  return (a < 0) != (b < 0) ? std::numeric_limits<T>::min() : std::numeric_limits<T>::max();
}

// The nearest whole number; NaN becomes 0.
inline std::int64_t SaturatingRound(double value) {
  constexpr double kEnd = 9223372036854775808.0;  // 2^63
  if (std::isnan(value)) return 0;
  if (value >= kEnd) return std::numeric_limits<std::int64_t>::max();
  if (value <= -kEnd) return std::numeric_limits<std::int64_t>::min();
  return std::llround(value);
}

}  // namespace meshstep

#endif  // MESHSTEP_SIM_BASE_CHECKED_H_
