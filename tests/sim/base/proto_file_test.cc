#include "sim/base/proto_file.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <random>

#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"
#include "meshstep/v1/scenario.pb.h"
#include "sim/base/data_path.h"

namespace meshstep {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string TextProblems(const std::string& content) {
  v1::Scenario scenario;
  const Status status = ParseMessage("f", content, InputFormat::kTextproto, &scenario);
  return std::string(status.message());
}

std::string Problems(const std::string& content, InputFormat format) {
  v1::Scenario scenario;
  const Status status = ParseMessage("f", content, format, &scenario);
  EXPECT_TRUE(status.ok() || status.code() == absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

TEST(ParseMessageTest, LocatesEveryField) {
  const std::string content =
      "name: \"x\"\n"                               // 1
      "plan {\n"                                    // 2
      "  tensor: 8 fsdp: 4\n"                       // 3
      "  rules { dimension: \"B\" axes: \"a\" }\n"  // 4
      "  rules {\n"                                 // 5
      "    axes: [\"a\",\n"                         // 6
      "           \"b\"]\n"                         // 7
      "  }\n"
      "}\n";
  v1::Scenario scenario;
  Locator locate;
  ASSERT_TRUE(
      ParseMessage("f.textproto", content, InputFormat::kTextproto, &scenario, &locate).ok());
  EXPECT_EQ(locate("name"), "f.textproto:1:1");
  EXPECT_EQ(locate("plan"), "f.textproto:2:1");
  EXPECT_EQ(locate("plan.tensor"), "f.textproto:3:3");
  EXPECT_EQ(locate("plan.fsdp"), "f.textproto:3:13");
  EXPECT_EQ(locate("plan.rules[0].axes[0]"), "f.textproto:4:26");
  EXPECT_EQ(locate("plan.rules[1]"), "f.textproto:5:3");
  // Not written: the nearest enclosing field that was.
  EXPECT_EQ(locate("plan.rules[1].dimension"), "f.textproto:5:3");
  EXPECT_EQ(locate("plan.precision.compute"), "f.textproto:2:1");
  EXPECT_EQ(locate("plan.rules"), "f.textproto:4:3");
  EXPECT_EQ(locate("model.layers"), "f.textproto");
  EXPECT_EQ(locate(""), "f.textproto");
}

TEST(ParseMessageTest, LocatorOutlivesTheParse) {
  Locator locate;
  {
    v1::Scenario scenario;
    std::string content = "name: \"x\"";
    ASSERT_TRUE(ParseMessage("f", content, InputFormat::kTextproto, &scenario, &locate).ok());
    content.assign(1000, 'x');
  }
  EXPECT_EQ(locate("name"), "f:1:1");
}

TEST(ParseMessageTest, JsonAndBinaryLocateTheFileOnly) {
  v1::Scenario scenario;
  Locator locate;
  ASSERT_TRUE(
      ParseMessage("f", "{\"plan\":{\"tensor\":8}}", InputFormat::kJson, &scenario, &locate).ok());
  EXPECT_EQ(scenario.plan().tensor(), 8);
  EXPECT_EQ(locate("plan.tensor"), "f");
  const std::string binary = scenario.SerializeAsString();
  v1::Scenario again;
  ASSERT_TRUE(ParseMessage("f", binary, InputFormat::kBinary, &again, &locate).ok());
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(scenario, again));
  EXPECT_EQ(locate("plan.tensor"), "f");
}

TEST(ParseMessageTest, ClearsTheMessage) {
  v1::Scenario scenario;
  scenario.set_name("old");
  ASSERT_TRUE(ParseMessage("f", "", InputFormat::kTextproto, &scenario).ok());
  EXPECT_EQ(scenario.name(), "");
}

TEST(ParseMessageTest, AllErrorsOfATextAreTold) {
  EXPECT_EQ(TextProblems("nam: 3\n"
                         "plan {\n"
                         "\ttensr: 8 fsdp: \"x\" tensor: 2\n"
                         "  rules { axes: [\"a\", 3] foo < a: 1 > bar { x: [1,2] } }\n"
                         "  sequence_parallel: maybe\n"
                         "}\n"
                         "bogus: -3  # a comment: {\n"
                         "workload { mode: X sequence_length: -1.5 }\n"
                         "name: \"open\n"
                         "plan: 3\n"),
            "f:1:1: Message type \"meshstep.v1.Scenario\" has no field named \"nam\".\n"
            "f:3:9: Message type \"meshstep.v1.Plan\" has no field named \"tensr\".\n"
            "f:3:24: Expected integer, got: \"x\"\n"
            "f:4:23: Expected string, got: 3\n"
            "f:4:26: Message type \"meshstep.v1.Rule\" has no field named \"foo\".\n"
            "f:4:39: Message type \"meshstep.v1.Rule\" has no field named \"bar\".\n"
            "f:5:22: Invalid value for boolean field \"sequence_parallel\". Value: \"maybe\".\n"
            "f:7:1: Message type \"meshstep.v1.Scenario\" has no field named \"bogus\".\n"
            "f:8:18: Unknown enumeration value of \"X\" for field \"mode\".\n"
            "f:8:38: Expected integer, got: 1.5\n"
            "f:9:7: String literals cannot cross line boundaries.\n"
            "f:10:1: Non-repeated field \"plan\" is specified multiple times.");
}

TEST(ParseMessageTest, SingleErrors) {
  EXPECT_EQ(TextProblems("plan { tensor: 8"),
            "f:1:17: Expected identifier, got: the end of the file");
  EXPECT_EQ(TextProblems("plan { tensor: 8 tensor: 9 }"),
            "f:1:18: Non-repeated field \"tensor\" is specified multiple times.");
  EXPECT_EQ(TextProblems("plan { tensor: 99999999999 }"),
            "f:1:16: Integer out of range (99999999999)");
  EXPECT_EQ(TextProblems("name = \"x\""), "f:1:1: Expected \":\", found \"=\".");
  EXPECT_EQ(TextProblems("name: \"\\377\""), "f: has a string that is not UTF-8");
}

TEST(ParseMessageTest, ManyErrorsAreCut) {
  std::string content;
  for (int i = 0; i < 100; ++i) content += "x" + std::to_string(i) + ": 1\n";
  const std::string problems = TextProblems(content);
  EXPECT_EQ(std::count(problems.begin(), problems.end(), '\n'), 20);
  EXPECT_THAT(problems, HasSubstr("f:20:1: "));
  EXPECT_THAT(problems, HasSubstr("\nf: and more errors"));
}

TEST(ParseMessageTest, JsonErrorsNameTheField) {
  EXPECT_THAT(Problems("{\"plan\":{\"tensr\":8}}", InputFormat::kJson),
              HasSubstr("f: is not JSON of meshstep.v1.Scenario: (plan) tensr: Cannot find field"));
  EXPECT_THAT(Problems("{\"plan\":{\"tensor\":\"x\"}}", InputFormat::kJson),
              HasSubstr("(plan.tensor): invalid value \"x\""));
  for (const char* content : {"", "{", "[]", "3", "{\"plan\":", "{} x", "\xff\xfe"}) {
    EXPECT_THAT(Problems(content, InputFormat::kJson), HasSubstr("f: is not JSON")) << content;
  }
}

TEST(ParseMessageTest, TruncatedBinary) {
  v1::Scenario scenario;
  scenario.set_name("a name");
  scenario.mutable_plan()->set_tensor(300);
  const std::string whole = scenario.SerializeAsString();
  std::size_t errors = 0;
  for (std::size_t size = 0; size < whole.size(); ++size) {
    v1::Scenario part;
    // A cut between two fields is a valid, shorter message.
    const Status status = ParseMessage("f", whole.substr(0, size), InputFormat::kBinary, &part);
    if (!status.ok()) ++errors;
    EXPECT_TRUE(status.ok() || status.message() == "f: is not a binary meshstep.v1.Scenario");
  }
  // Cuts after: nothing; the name (tag, length, 6 letters).
  EXPECT_EQ(errors, whole.size() - 2);
}

TEST(ParseMessageTest, BinaryWithUnknownFields) {
  v1::Plan plan;
  plan.set_tensor(8);
  plan.GetReflection()->MutableUnknownFields(&plan)->AddVarint(1000, 1);
  v1::Scenario scenario;
  *scenario.mutable_plan() = plan;
  EXPECT_THAT(Problems(plan.SerializeAsString(), InputFormat::kBinary), HasSubstr("does not know"));
  EXPECT_THAT(Problems(scenario.SerializeAsString(), InputFormat::kBinary),
              HasSubstr("f: has fields that meshstep.v1.Scenario does not know"));
  // Field 1, a string, that is not UTF-8.
  EXPECT_THAT(Problems("\x0a\x01\xff", InputFormat::kBinary), HasSubstr("is not a binary"));
}

TEST(ParseMessageTest, DeepNesting) {
  std::string braces, json;
  for (int i = 0; i < 10000; ++i) braces += "plan { ";
  for (int i = 0; i < 10000; ++i) json += "{\"plan\":";
  EXPECT_NE(TextProblems(braces), "");
  EXPECT_NE(Problems(json, InputFormat::kJson), "");
  std::string arrays(10000, '[');
  EXPECT_NE(TextProblems("plan { rules " + arrays), "");
  EXPECT_NE(Problems(arrays, InputFormat::kJson), "");
  // An unknown field of nested groups, 10,000 deep: tag 11, wire type 3.
  EXPECT_NE(Problems(std::string(10000, '\x5b'), InputFormat::kBinary), "");
}

TEST(ParseMessageTest, Garbage) {
  std::mt19937_64 random(1);
  for (const bool printable : {false, true}) {
    std::string garbage;
    std::uniform_int_distribution<int> byte(printable ? 32 : 0, printable ? 126 : 255);
    while (garbage.size() < 1 << 20) garbage.push_back(static_cast<char>(byte(random)));
    for (const InputFormat format :
         {InputFormat::kTextproto, InputFormat::kJson, InputFormat::kBinary}) {
      const std::string problems = Problems(garbage, format);
      EXPECT_NE(problems, "");
      EXPECT_LT(problems.size(), 20000u);
    }
  }
}

// Any single character changed or removed: an answer, and no crash.
TEST(ParseMessageTest, DamagedText) {
  const std::string good =
      "name: \"x\" plan { tensor: 8 rules { dimension: 'B' axes: [\"a\", \"b\"] } "
      "mesh < axes { size: -1 } > } workload { mode: TRAIN } # end";
  ASSERT_EQ(TextProblems(good), "");
  for (std::size_t i = 0; i < good.size(); ++i) {
    for (const char c : std::string("x:{}[]<>\"'\\#,;-=\n\t\0\xff", 20)) {
      std::string bad = good;
      bad[i] = c;
      TextProblems(bad);
      bad.erase(i, 1);
      TextProblems(bad);
      TextProblems(bad.substr(0, i) + c);
    }
  }
}

TEST(FormatTest, ByEnding) {
  EXPECT_EQ(*FormatOfFile("a.textproto"), InputFormat::kTextproto);
  EXPECT_EQ(*FormatOfFile("b/a.txtpb"), InputFormat::kTextproto);
  EXPECT_EQ(*FormatOfFile("a.b.json"), InputFormat::kJson);
  EXPECT_EQ(*FormatOfFile("a.binpb"), InputFormat::kBinary);
  EXPECT_EQ(*FormatOfFile("a.pb"), InputFormat::kBinary);
  for (const char* path : {"a", "", "a.", "a.yaml", "x.json/a", ".."}) {
    const StatusOr<InputFormat> format = FormatOfFile(path);
    EXPECT_THAT(std::string(format.status().message()), HasSubstr("expected .textproto")) << path;
  }
  EXPECT_EQ(*ParseInputFormat("binary"), InputFormat::kBinary);
  EXPECT_THAT(std::string(ParseInputFormat("yaml").status().message()),
              HasSubstr("--input-format is \"yaml\", expected textproto, json or binary"));
}

TEST(DiagnosticsTest, OneLinePerProblem) {
  Diagnostics diagnostics([](const std::string& field) { return field == "a" ? "f:1:2" : ""; });
  EXPECT_TRUE(diagnostics.ok());
  EXPECT_TRUE(diagnostics.status().ok());
  diagnostics.Note("a note does not fail");
  EXPECT_TRUE(diagnostics.ok());
  diagnostics.Error("a", "is 7");
  diagnostics.Error("b", "is 8");
  EXPECT_FALSE(diagnostics.ok());
  EXPECT_EQ(diagnostics.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(diagnostics.status().message(), "f:1:2: a: is 7\nb: is 8");
  EXPECT_THAT(diagnostics.notes(), ElementsAre("a note does not fail"));
  Diagnostics plain;
  plain.Error("a", "is 7");
  EXPECT_EQ(plain.status().message(), "a: is 7");
}

TEST(ReadFileTest, Errors) {
  EXPECT_THAT(std::string(ReadFile("/no/such/file").status().message()),
              HasSubstr("/no/such/file: cannot be read: No such file"));
  EXPECT_THAT(std::string(ReadFile("/").status().message()), HasSubstr("is a folder"));
  EXPECT_THAT(std::string(ReadFile("/dev/zero", 1 << 20).status().message()),
              HasSubstr("is longer than 1048576 bytes"));
  EXPECT_EQ(*ReadFile("/dev/null"), "");
}

}  // namespace
}  // namespace meshstep
