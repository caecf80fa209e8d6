#include "sim/base/format.h"

#include <cmath>
#include <limits>

#include "gtest/gtest.h"

namespace meshstep {
namespace {

TEST(FormatNumber, KeepsThreeSignificantDigits) {
  EXPECT_EQ(FormatNumber(0), "0");
  EXPECT_EQ(FormatNumber(0.012345), "0.0123");
  EXPECT_EQ(FormatNumber(1), "1.00");
  EXPECT_EQ(FormatNumber(12.345), "12.3");
  EXPECT_EQ(FormatNumber(123.45), "123");
  EXPECT_EQ(FormatNumber(-12.345), "-12.3");
}

TEST(FormatNumber, RoundsUpIntoTheNextDigit) {
  EXPECT_EQ(FormatNumber(9.996), "10.0");
  EXPECT_EQ(FormatNumber(99.96), "100");
  EXPECT_EQ(FormatNumber(0.9996), "1.00");
}

TEST(FormatNumber, SeparatesThousandsOfLargeOnes) {
  EXPECT_EQ(FormatNumber(1234567, 7), "1,234,567");
  EXPECT_EQ(FormatNumber(1000), "1,000");
  EXPECT_EQ(FormatNumber(-123456, 6), "-123,456");
}

TEST(FormatNumber, NamesWhatIsNoNumber) {
  EXPECT_EQ(FormatNumber(std::numeric_limits<double>::infinity()), "infinite");
  EXPECT_EQ(FormatNumber(std::nan("")), "not a number");
}

TEST(FormatSeconds, TakesTheUnitThatReadsBest) {
  EXPECT_EQ(FormatSeconds(0), "0 s");
  EXPECT_EQ(FormatSeconds(12.34), "12.3 s");
  EXPECT_EQ(FormatSeconds(0.01234), "12.3 ms");
  EXPECT_EQ(FormatSeconds(1.5e-6), "1.50 us");
  EXPECT_EQ(FormatSeconds(2e-12), "2.00 ps");
  EXPECT_EQ(FormatSeconds(0.99999), "1.00 s") << "not 1,000 ms";
  EXPECT_EQ(FormatSecondsDifference(1.9), "+1.90 s");
  EXPECT_EQ(FormatSecondsDifference(-0.0123), "-12.3 ms");
}

TEST(FormatBytes, MemoryIsBinaryAndTrafficDecimal) {
  EXPECT_EQ(FormatBytes(80e9), "74.5 GiB");
  EXPECT_EQ(FormatBytes(1024), "1.00 KiB");
  EXPECT_EQ(FormatTraffic(80e9), "80.0 GB");
  EXPECT_EQ(FormatTraffic(512), "512 B");
}

TEST(FormatFlops, CountsAndRates) {
  EXPECT_EQ(FormatFlops(1.23e18), "1.23 EFLOP");
  EXPECT_EQ(FormatFlopRate(459e12), "459 TFLOP/s");
}

TEST(FormatCount, SeparatesThousands) {
  EXPECT_EQ(FormatCount(0), "0");
  EXPECT_EQ(FormatCount(999), "999");
  EXPECT_EQ(FormatCount(1048576), "1,048,576");
  EXPECT_EQ(FormatCount(-1000), "-1,000");
}

TEST(Bar, ShowsWhatIsThereAndNothingElse) {
  EXPECT_EQ(Bar(0, 10), "");
  EXPECT_EQ(Bar(0.0004, 10), "") << "beside 0.0 %";
  EXPECT_EQ(Bar(0.001, 10), "#");
  EXPECT_EQ(Bar(0.5, 10), "#####");
  EXPECT_EQ(Bar(1.5, 10), "##########");
}

TEST(FormatTable, AlignsColumnsWithoutTrailingSpaces) {
  EXPECT_EQ(FormatTable({{"a", "1", ""}, {"bbb", "22", "x"}}, "<>>", 2),
            "  a     1\n"
            "  bbb  22  x\n");
}

TEST(FormatTable, CountsCodePointsNotBytes) {
  EXPECT_EQ(FormatTable({{"é", "x"}, {"ab", "y"}}, "<<", 0), "é   x\nab  y\n");
}

TEST(FormatTable, NoCellBeginsALineOrMovesACursor) {
  EXPECT_EQ(FormatTable({{"a\nfile:1: error", "\033[2J"}, {"b", "c"}}, "<<", 0),
            "a\\nfile:1: error  \\x1b[2J\nb                 c\n");
}

TEST(FormatMarkdown, NoCellBeginsALineOrAColumn) {
  EXPECT_EQ(FormatMarkdown({{"a", "b"}, {"x|y\nz", "\033"}}, "<>"),
            "| a | b |\n|---|---:|\n| x\\|y\\nz | \\x1b |\n");
}

TEST(WrapText, KeepsNumbersWithTheirUnits) {
  EXPECT_EQ(WrapText("takes 4.27 s now", 8, 0), "takes\n4.27 s\nnow");
}

TEST(WrapText, BreaksAtSpacesOnly) {
  EXPECT_EQ(WrapText("one two three", 7, 2), "one two\n  three");
  EXPECT_EQ(WrapText("incomprehensible a", 5, 0), "incomprehensible\na");
  EXPECT_EQ(WrapText("", 5, 0), "");
}

}  // namespace
}  // namespace meshstep
