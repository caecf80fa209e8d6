#include "strategies/model/hugging_face/hf_layers.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace meshstep {
namespace {

// One letter per layer: true where it is `yes`.
std::vector<bool> Where(const std::string& layers, char yes) {
  std::vector<bool> list;
  for (const char c : layers) list.push_back(c == yes);
  return list;
}

TEST(OrderOfRouted, FirstLayersDense) {
  EXPECT_EQ(OrderOfRouted(Where("EEEE", 'E')), (RoutedOrder{0, 1, true}));
  EXPECT_EQ(OrderOfRouted(Where("DDDEEE", 'E')), (RoutedOrder{3, 1, true}));
}

TEST(OrderOfRouted, LastOfEachGroup) {
  EXPECT_EQ(OrderOfRouted(Where("DEDEDE", 'E')), (RoutedOrder{0, 2, true}));
  EXPECT_EQ(OrderOfRouted(Where("DDEDDED", 'E')), (RoutedOrder{0, 3, true}));
  EXPECT_EQ(OrderOfRouted(Where("EDEDED", 'E')), (RoutedOrder{3, 1, false}));
}

TEST(OrderOfRouted, OtherOrdersKeepTheNumberOfEachKind) {
  EXPECT_EQ(OrderOfRouted(Where("EDDEE", 'E')), (RoutedOrder{2, 1, false}));
  EXPECT_EQ(OrderOfRouted(Where("EEED", 'E')), (RoutedOrder{1, 1, false}));
}

TEST(OrderOfWindows, LastOfEachGroupIsFull) {
  EXPECT_EQ(OrderOfWindows(Where("LLLLLG", 'G')), (WindowOrder{6, true}));
  EXPECT_EQ(OrderOfWindows(Where("LGLGL", 'G')), (WindowOrder{2, true}));
  EXPECT_EQ(OrderOfWindows(Where("LLLL", 'G')), (WindowOrder{0, true}));
}

TEST(OrderOfWindows, OtherOrdersKeepTheNumberOfEachKindOrAreNotFound) {
  EXPECT_EQ(OrderOfWindows(Where("GLLGLL", 'G')), (WindowOrder{3, false}));
  // Five of six: no period has five.
  EXPECT_EQ(OrderOfWindows(Where("GGGGGL", 'G')), std::nullopt);
}

}  // namespace
}  // namespace meshstep
