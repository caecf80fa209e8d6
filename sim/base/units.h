// Strong types for what the simulator counts. Bytes, FLOPs, rates and seconds are doubles that do
// not mix; Time is the engine's clock, int64 picoseconds (up to 26 days).
//
//   Seconds s = Bytes(1e9) / BytesPerSecond(450e9);
//   Time t = Time::RoundUp(s);                        // the one place where rounding happens

#ifndef MESHSTEP_SIM_BASE_UNITS_H_
#define MESHSTEP_SIM_BASE_UNITS_H_

#include <cmath>
#include <compare>
#include <cstdint>
#include <limits>

#include "sim/base/check.h"

namespace meshstep {

// A double with a unit. Sums and ratios of one unit compile; sums of two units do not.
template <class Unit>
class Quantity {
 public:
  constexpr Quantity() = default;
  constexpr explicit Quantity(double value) : value_(value) {}
  constexpr double value() const { return value_; }

  constexpr Quantity& operator+=(Quantity o) {
    value_ += o.value_;
    return *this;
  }
  constexpr Quantity& operator-=(Quantity o) {
    value_ -= o.value_;
    return *this;
  }
  friend constexpr Quantity operator+(Quantity a, Quantity b) {
    return Quantity(a.value_ + b.value_);
  }
  friend constexpr Quantity operator-(Quantity a, Quantity b) {
    return Quantity(a.value_ - b.value_);
  }
  friend constexpr Quantity operator*(Quantity a, double k) { return Quantity(a.value_ * k); }
  friend constexpr Quantity operator*(double k, Quantity a) { return Quantity(a.value_ * k); }
  friend constexpr Quantity operator/(Quantity a, double k) { return Quantity(a.value_ / k); }
  friend constexpr double operator/(Quantity a, Quantity b) { return a.value_ / b.value_; }
  friend constexpr auto operator<=>(Quantity, Quantity) = default;

 private:
  double value_ = 0;
};

using Bytes = Quantity<struct BytesUnit>;
using Flops = Quantity<struct FlopsUnit>;
using BytesPerSecond = Quantity<struct BytesPerSecondUnit>;
using FlopsPerSecond = Quantity<struct FlopsPerSecondUnit>;
using Seconds = Quantity<struct SecondsUnit>;

constexpr Seconds operator/(Bytes b, BytesPerSecond r) { return Seconds(b.value() / r.value()); }
constexpr Seconds operator/(Flops f, FlopsPerSecond r) { return Seconds(f.value() / r.value()); }
constexpr BytesPerSecond operator/(Bytes b, Seconds s) {
  return BytesPerSecond(b.value() / s.value());
}
constexpr FlopsPerSecond operator/(Flops f, Seconds s) {
  return FlopsPerSecond(f.value() / s.value());
}

// A point on, or a length of, the engine's clock in picoseconds.
class Time {
 public:
  constexpr Time() = default;
  constexpr explicit Time(std::int64_t picoseconds) : ps_(picoseconds) {}
  static constexpr Time Max() { return Time(std::numeric_limits<std::int64_t>::max()); }

  // The longest time that is simulated: four of them still add up without overflow.
  static constexpr Time Longest() { return Time(std::numeric_limits<std::int64_t>::max() / 4); }

  // Rounds up to the next picosecond; more than Longest() becomes Longest(). A thousandth of a
  // picosecond is forgiven, so that an exact quotient that floating point leaves a hair too large
  // is not charged one picosecond more.
  static Time RoundUp(Seconds s) {
    const double ps = std::ceil(s.value() * 1e12 - 1e-3);
    CHECK_GE(ps, 0) << "of " << s.value() << " s ";
    if (ps >= static_cast<double>(Longest().ps())) return Longest();
    return Time(static_cast<std::int64_t>(ps));
  }

  constexpr std::int64_t ps() const { return ps_; }
  constexpr double seconds() const { return static_cast<double>(ps_) * 1e-12; }

  // Sums and multiples that int64 does not hold become Longest().
  constexpr Time& operator+=(Time o) { return *this = *this + o; }
  friend constexpr Time operator+(Time a, Time b) {
    std::int64_t sum = 0;
    return __builtin_add_overflow(a.ps_, b.ps_, &sum) ? Longest() : Time(sum);
  }
  friend constexpr Time operator-(Time a, Time b) { return Time(a.ps_ - b.ps_); }
  friend constexpr Time operator*(Time a, std::int64_t k) {
    std::int64_t product = 0;
    return __builtin_mul_overflow(a.ps_, k, &product) ? Longest() : Time(product);
  }
  friend constexpr auto operator<=>(Time, Time) = default;

 private:
  std::int64_t ps_ = 0;
};

}  // namespace meshstep

#endif  // MESHSTEP_SIM_BASE_UNITS_H_
