#include "strategies/plan/pipeline_parts.h"

#include "gtest/gtest.h"

namespace meshstep {
namespace {

TEST(PipelineParts, ReadsMegatronsNotation) {
  // The example of Megatron's help: 2 layers in each part but the last two.
  const auto layout = ParseParts("Et*2|(t*2|)*34,t*3|tL", 37, 74, 0);
  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_EQ(layout->front(), (PipelinePart{true, false, 0, 2, 0}));
  EXPECT_EQ((*layout)[34], (PipelinePart{false, false, 68, 70, 0}));
  EXPECT_EQ((*layout)[35], (PipelinePart{false, false, 70, 73, 0}));
  EXPECT_EQ(layout->back(), (PipelinePart{false, true, 73, 74, 0}));
}

TEST(PipelineParts, HoldsPartsWithoutLayersAndPredictionLayers) {
  const auto layout = ParseParts("E|t*3|t,m|L", 4, 4, 1);
  ASSERT_TRUE(layout.ok()) << layout.status();
  EXPECT_EQ((*layout)[0], (PipelinePart{true, false, 0, 0, 0}));
  EXPECT_EQ((*layout)[2], (PipelinePart{false, false, 3, 4, 1}));
  EXPECT_EQ((*layout)[3], (PipelinePart{false, true, 4, 4, 0}));
}

TEST(PipelineParts, EvenPartsDifferByAtMostOne) {
  for (int parts = 1; parts <= 9; ++parts) {
    for (int layers = parts; layers <= 30; ++layers) {
      const std::vector<PipelinePart> layout = EvenParts(parts, layers, 0);
      int next = 0;
      for (const PipelinePart& part : layout) {
        EXPECT_EQ(part.begin, next);
        const int size = part.end - part.begin;
        EXPECT_GE(size, layers / parts);
        EXPECT_LE(size, (layers + parts - 1) / parts);
        // The first and the last get the fewer, if the others can take what is left over.
        EXPECT_GE(size, layout.front().end);
        if (layers % parts <= parts - 2) {
          EXPECT_GE(size, layout.back().end - layout.back().begin);
        }
        next = part.end;
      }
      EXPECT_EQ(next, layers);
    }
  }
}

TEST(PipelineParts, SaysWhatIsWrong) {
  const auto problem = [](const char* text) {
    const auto layout = ParseParts(text, 2, 4, 0);
    return layout.ok() ? std::string() : std::string(layout.status().message());
  };
  EXPECT_EQ(problem("Et*2|t*2L"), "");
  EXPECT_NE(problem("Et*2|t*3L").find("5 t, expected the model's 4 layers"), std::string::npos);
  EXPECT_NE(problem("Et*4L").find("1 parts, expected 2"), std::string::npos);
  EXPECT_NE(problem("Et*2|(t*2L").find("'(' without its ')'"), std::string::npos);
  EXPECT_NE(problem("Et*2|t*2)L").find("')' without its '('"), std::string::npos);
  EXPECT_NE(problem("Et*|t*2L").find("'*' without a number"), std::string::npos);
  EXPECT_NE(problem("Et*2|x").find("'x' at character 6"), std::string::npos);
  EXPECT_NE(problem("t*2|t*2L").find("after E"), std::string::npos);
  EXPECT_NE(problem("Et*2|t*2").find("0 L"), std::string::npos);
  EXPECT_NE(problem("Et*2|t*2mL").find("1 m, expected the model's 0"), std::string::npos);
  EXPECT_NE(problem("E((t*9999)*9999)*9999").find("more than 65536"), std::string::npos);
  EXPECT_NE(problem("((((((((((((((((((t").find("nested too deeply"), std::string::npos);
}

}  // namespace
}  // namespace meshstep
