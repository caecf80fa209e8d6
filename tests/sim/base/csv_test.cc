#include "sim/base/csv.h"

#include "gtest/gtest.h"

namespace meshstep {
namespace {

TEST(Csv, ReadsQuotesLineEndsAndEmptyFields) {
  const auto table = ParseCsv("f", "a,b,c\r\n1,\"x,\"\"y\"\"\nz\",\n\n,2,3");
  ASSERT_TRUE(table.ok()) << table.status();
  ASSERT_EQ(table->rows.size(), 2u);
  EXPECT_EQ(table->At(0, "b"), "x,\"y\"\nz");
  EXPECT_EQ(table->At(0, "c"), "");
  EXPECT_EQ(table->At(1, "a"), "");
  EXPECT_EQ(table->At(1, "c"), "3");
  EXPECT_EQ(table->At(1, "d"), "");
  EXPECT_EQ(table->lines[0], 2);
  EXPECT_EQ(table->lines[1], 5);
}

TEST(Csv, LeavesOutAByteOrderMark) {
  const auto table = ParseCsv("f", "\xEF\xBB\xBFid,b\n1,2\n");
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->At(0, "id"), "1");
}

TEST(Csv, NamesTheLineOfAProblem) {
  EXPECT_EQ(ParseCsv("f.csv", "a,b\n1,2\n3\n").status().message(),
            "f.csv:3: has 1 fields, expected 2 as in the header");
  EXPECT_EQ(ParseCsv("f.csv", "a,b\n1,\"2\n").status().message(),
            "f.csv:2: a quoted field does not end");
  EXPECT_EQ(ParseCsv("f.csv", "").status().message(), "f.csv: is empty");
}

TEST(Csv, RefusesWhatIsNoUtf8) {
  EXPECT_TRUE(ParseCsv("f", "id\nM\xC3\xBCnchen\n").ok());
  EXPECT_EQ(ParseCsv("f", "id\nM\xFCnchen\n").status().message(), "f: is not UTF-8");
}

TEST(WriteCsv, QuotesWhatMustBeAndEscapesControls) {
  EXPECT_EQ(WriteCsv({{"a", "b,c", "d\"e"}, {"1\n2", "\033[2J", ""}}),
            "a,\"b,c\",\"d\"\"e\"\n1\\n2,\\x1b[2J,\n");
}

}  // namespace
}  // namespace meshstep
