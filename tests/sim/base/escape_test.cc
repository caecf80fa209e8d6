#include "sim/base/escape.h"

#include "gtest/gtest.h"

namespace meshstep {
namespace {

TEST(EscapeTest, OrdinaryTextStays) {
  for (const char* text : {"", "llama-3-70b", "8 × 128", "Größe \"x\" \\n", "日本語"}) {
    EXPECT_EQ(EscapeControls(text), text);
    EXPECT_EQ(EscapeLines(text), text);
  }
}

TEST(EscapeTest, ControlsBecomeText) {
  EXPECT_EQ(EscapeControls("a\nb\tc\rd"), "a\\nb\\tc\\rd");
  EXPECT_EQ(EscapeControls(std::string_view("\0\x1b[2J\x7f", 6)), "\\x00\\x1b[2J\\x7f");
  // C1 control sequence introducer, line separator, right-to-left override, first strong isolate.
  EXPECT_EQ(EscapeControls("\u009b1m"), "\\u009b1m");
  EXPECT_EQ(EscapeControls("\u2028\u202e\u2068"), "\\u2028\\u202e\\u2068");
}

TEST(EscapeTest, BytesThatAreNotUtf8BecomeText) {
  EXPECT_EQ(EscapeControls("\xff\x9b"), "\\xff\\x9b");
  EXPECT_EQ(EscapeControls("\xc3"), "\\xc3");           // cut
  EXPECT_EQ(EscapeControls("\xc0\x8a"), "\\xc0\\x8a");  // line feed, overlong
}

TEST(EscapeTest, LinesStayLines) { EXPECT_EQ(EscapeLines("a\n\033b\n"), "a\n\\x1bb\n"); }

}  // namespace
}  // namespace meshstep
