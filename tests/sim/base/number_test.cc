#include "sim/base/number.h"

#include <clocale>
#include <optional>

#include "gtest/gtest.h"

namespace meshstep {
namespace {

TEST(ParseNumber, Counts) {
  const auto count = [](std::string_view text) { return ParseNumber(text, CountSuffixes()); };
  EXPECT_EQ(count("4096"), 4096);
  EXPECT_EQ(count("1.5e3"), 1500);
  EXPECT_EQ(count("8Ki"), 8 * 1024);
  EXPECT_EQ(count("2Gi"), 2.0 * 1024 * 1024 * 1024);
  EXPECT_EQ(count("4k"), 4000);
  EXPECT_EQ(count("4K"), 4000);
  EXPECT_EQ(count("70B"), 70e9);
  EXPECT_EQ(count("14.8T"), 14.8 * 1e12);
  EXPECT_EQ(count("8*1024"), 8192);
  EXPECT_EQ(count("2x3x4"), 24);
  EXPECT_EQ(count("2^17"), 131072);
  EXPECT_EQ(count("2*2^3Ki"), 2 * 8 * 1024);
  EXPECT_EQ(count("1600*8/3"), 1600 * 8 / 3.0);
  EXPECT_EQ(count("8Ki/2/4"), 1024);
  EXPECT_EQ(count("-3"), -3);
  EXPECT_EQ(count("+3"), 3);
}

// Powers of 1000 with a B; of 1024 with iB, and with a bare letter as nccl-tests reads them.
TEST(ParseNumber, Bytes) {
  const auto bytes = [](std::string_view text) { return ParseNumber(text, ByteSuffixes()); };
  EXPECT_EQ(bytes("64B"), 64);
  EXPECT_EQ(bytes("64MB"), 64e6);
  EXPECT_EQ(bytes("64MiB"), 64.0 * (1 << 20));
  EXPECT_EQ(bytes("64M"), 64.0 * (1 << 20));
  EXPECT_EQ(bytes("64 MiB"), 64.0 * (1 << 20));
  EXPECT_EQ(bytes("2*4096*8192"), 2.0 * 4096 * 8192);
  EXPECT_EQ(bytes("64Mi"), std::nullopt);
}

TEST(ParseNumber, RefusesWhatIsNoNumber) {
  for (const char* text : {"", " ", "x", "Ki", "4Kb", "4 ", "4*", "*4", "4**4", "4/0", "0/0", "2^",
                           "nan", "inf", "1e999", "1e300*1e300", "2^9999", "++1", "4,0"}) {
    EXPECT_EQ(ParseNumber(text, CountSuffixes()), std::nullopt) << text;
  }
}

// A program that calls the library may have set another decimal point.
TEST(ParseNumber, TheLocalePlaysNoPart) {
  const char* set = std::setlocale(LC_NUMERIC, "de_DE.UTF-8");
  EXPECT_EQ(ParseNumber("1.5", CountSuffixes()), 1.5) << (set == nullptr ? "not installed" : set);
  std::setlocale(LC_NUMERIC, "C");
}

}  // namespace
}  // namespace meshstep
