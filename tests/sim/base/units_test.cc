#include "sim/base/units.h"

#include <cmath>
#include <concepts>
#include <random>

#include "gtest/gtest.h"
#include "sim/base/dtype.h"

namespace meshstep {
namespace {

template <class A, class B>
concept CanAdd = requires(A a, B b) {
  a + b;
};
template <class A, class B>
concept CanSubtract = requires(A a, B b) {
  a - b;
};
template <class A, class B>
concept CanMultiply = requires(A a, B b) {
  a* b;
};
template <class A, class B>
concept CanDivide = requires(A a, B b) {
  a / b;
};
template <class A, class B>
concept CanCompare = requires(A a, B b) {
  a < b;
};

// A wrong sum does not compile.
static_assert(CanAdd<Bytes, Bytes> && CanAdd<Seconds, Seconds> && CanAdd<Time, Time>);
static_assert(!CanAdd<Bytes, Seconds> && !CanAdd<Bytes, Flops> && !CanAdd<Bytes, double>);
static_assert(!CanAdd<Time, Seconds> && !CanAdd<Time, double> && !CanAdd<Time, int>);
static_assert(!CanAdd<BytesPerSecond, Bytes> && !CanAdd<FlopsPerSecond, BytesPerSecond>);
static_assert(!CanSubtract<Bytes, Seconds> && !CanSubtract<Seconds, Time>);
static_assert(!CanMultiply<Bytes, Bytes> && !CanMultiply<Seconds, BytesPerSecond>);
static_assert(!CanCompare<Bytes, Flops> && !CanCompare<Bytes, double> &&
              !CanCompare<Time, Seconds>);
static_assert(!std::convertible_to<double, Bytes> && !std::convertible_to<Bytes, double>);
static_assert(!std::convertible_to<std::int64_t, Time> && !std::convertible_to<Seconds, Time>);

// A wrong quotient does not compile, a right one has the right unit.
static_assert(!CanDivide<Bytes, FlopsPerSecond> && !CanDivide<Flops, BytesPerSecond>);
static_assert(!CanDivide<Bytes, Flops> && !CanDivide<double, Bytes>);
static_assert(std::same_as<decltype(Bytes(1) / BytesPerSecond(1)), Seconds>);
static_assert(std::same_as<decltype(Flops(1) / FlopsPerSecond(1)), Seconds>);
static_assert(std::same_as<decltype(Bytes(1) / Seconds(1)), BytesPerSecond>);
static_assert(std::same_as<decltype(Flops(1) / Seconds(1)), FlopsPerSecond>);
static_assert(std::same_as<decltype(Bytes(1) / Bytes(1)), double>);
static_assert(std::same_as<decltype(Bytes(1) / 2), Bytes>);

TEST(UnitsTest, ArithmeticIsThatOfDouble) {
  Bytes b(3);
  b += Bytes(4);
  b -= Bytes(1);
  EXPECT_EQ(b, Bytes(6));
  EXPECT_EQ(2 * b + b * 0.5, Bytes(15));
  EXPECT_EQ(b / Bytes(4), 1.5);
  EXPECT_LT(b, Bytes(7));
  EXPECT_EQ(Bytes(900e9) / BytesPerSecond(450e9), Seconds(2));
  Time t(5);
  t += Time(2);
  // What int64 does not hold is the longest time.
  EXPECT_EQ(Time::Max() + Time(1), Time::Longest());
  EXPECT_EQ(Time::Longest() * 5, Time::Longest());
  EXPECT_EQ(t * 3 - Time(1), Time(20));
  EXPECT_EQ(Time(1500).seconds(), 1.5e-9);
}

TEST(TimeTest, RoundsUpToAPicosecond) {
  EXPECT_EQ(Time::RoundUp(Seconds(0)), Time(0));
  EXPECT_EQ(Time::RoundUp(Seconds(1e-12)), Time(1));
  EXPECT_EQ(Time::RoundUp(Seconds(1.5e-12)), Time(2));
  EXPECT_EQ(Time::RoundUp(Seconds(1.01e-12)), Time(2));
  EXPECT_EQ(Time::RoundUp(Seconds(0.01e-12)), Time(1));
  EXPECT_EQ(Time::RoundUp(Seconds(1)), Time(1000000000000));
}

// bytes / rate that is a whole number of picoseconds in exact arithmetic stays that number, however
// the doubles round.
TEST(TimeTest, ExactQuotientsAreNotChargedAPicosecondMore) {
  std::mt19937_64 random(1);
  for (int i = 0; i < 200000; ++i) {
    // bytes = gigabytes_per_s · ps / 1000 with both whole: exactly representable.
    const std::int64_t ps = 1000 * std::uniform_int_distribution<std::int64_t>(1, 10000000)(random);
    const auto gbytes_per_s = static_cast<double>(std::uniform_int_distribution<>(1, 5000)(random));
    const double bytes = gbytes_per_s * static_cast<double>(ps / 1000);
    ASSERT_EQ(Time::RoundUp(Bytes(bytes) / BytesPerSecond(gbytes_per_s * 1e9)), Time(ps))
        << bytes << " bytes at " << gbytes_per_s << " GB/s";
  }
}

TEST(TimeTest, NeverShortByMoreThanTheForgivenThousandth) {
  std::mt19937_64 random(2);
  std::uniform_real_distribution<double> exponent(-13, 1);
  for (int i = 0; i < 100000; ++i) {
    const Seconds s(std::pow(10, exponent(random)));
    const double ps = s.value() * 1e12;
    const auto rounded = static_cast<double>(Time::RoundUp(s).ps());
    ASSERT_GE(rounded, ps - 1.001e-3 - 1e-15 * ps);
    ASSERT_LT(rounded, ps + 1);
  }
}

TEST(TimeTest, TooLongBecomesTheLongest) {
  EXPECT_EQ(Time::RoundUp(Seconds(1e30)), Time::Longest());
  EXPECT_EQ(Time::RoundUp(Seconds(std::numeric_limits<double>::infinity())), Time::Longest());
  const Time four = Time::Longest() + Time::Longest() + Time::Longest() + Time::Longest();
  EXPECT_GT(four, Time::Longest()) << "overflow";
  EXPECT_LE(four, Time::Max());
}

TEST(TimeDeathTest, NegativeOrNoNumber) {
  EXPECT_DEATH(Time::RoundUp(Seconds(-1)), "CHECK failed");
  EXPECT_DEATH(Time::RoundUp(Seconds(std::nan(""))), "CHECK failed");
}

TEST(DtypeTest, NamesAndSizes) {
  const std::pair<const char*, double> expected[] = {
      {"fp32", 32. / 8}, {"tf32", 32. / 8}, {"bf16", 16. / 8}, {"fp16", 16. / 8},
      {"fp8", 8. / 8},   {"int8", 8. / 8},  {"int4", 4. / 8},  {"fp4", 4. / 8}};
  ASSERT_EQ(std::size(expected), static_cast<std::size_t>(kDtypes));
  for (const auto& [name, bytes] : expected) {
    const StatusOr<Dtype> dtype = ParseDtype(name);
    ASSERT_TRUE(dtype.ok()) << name;
    EXPECT_EQ(SizeOf(*dtype), Bytes(bytes)) << name;
    EXPECT_EQ(NameOf(*dtype), name);
  }
}

TEST(DtypeTest, UnknownNamesTheKnown) {
  const StatusOr<Dtype> dtype = ParseDtype("bf17");
  EXPECT_EQ(dtype.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(dtype.status().message(),
            "is \"bf17\", expected one of fp32, tf32, bf16, fp16, fp8, int8, int4, fp4");
  EXPECT_FALSE(ParseDtype("").ok());
  EXPECT_FALSE(ParseDtype("BF16").ok());
}

}  // namespace
}  // namespace meshstep
