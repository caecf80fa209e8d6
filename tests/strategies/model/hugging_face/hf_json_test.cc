#include "strategies/model/hugging_face/hf_json.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace meshstep {
namespace {

using ::testing::HasSubstr;

TEST(HfJson, NumbersThatOnlyPythonWrites) {
  const auto json = ParseHfJson("c", R"({"a":[0.0,Infinity,-Infinity,NaN],"b":"NaN \" Infinity"})");
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ((*json)["a"][1], "Infinity");
  EXPECT_EQ((*json)["a"][2], "-Infinity");
  EXPECT_EQ((*json)["a"][3], "NaN");
  EXPECT_EQ((*json)["b"], "NaN \" Infinity");
}

TEST(HfJson, WhatIsNoJson) {
  EXPECT_THAT(ParseHfJson("c", "{\"a\":").status().ToString(), HasSubstr("c: is not JSON"));
  EXPECT_THAT(ParseHfJson("c", "\"\\").status().ToString(), HasSubstr("c: is not JSON"));
  EXPECT_THAT(ParseHfJson("c", std::string(70, '[') + std::string(70, ']')).status().ToString(),
              HasSubstr("deeper than 64"));
}

}  // namespace
}  // namespace meshstep
