#include "sim/base/overlay.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "meshstep/v1/plan.pb.h"

namespace meshstep {
namespace {

using ::testing::ElementsAre;

TEST(Overlay, SingularFieldsReplaceSubMessagesMergeListsReplaceWhenNotEmpty) {
  v1::Plan below, above;
  below.set_tensor(8);
  below.set_dropout(true);
  below.mutable_precision()->set_gradients("bf16");
  below.mutable_precision()->set_reduce("bf16");
  below.mutable_kernels()->add_gradient_passes("zero");
  below.mutable_kernels()->add_gradient_passes("scale");
  below.add_recompute_modules("mlp");
  above.set_dropout(false);
  above.mutable_precision()->set_gradients("fp32");
  above.mutable_kernels()->add_gradient_passes("check");
  Overlay(above, &below);
  EXPECT_EQ(below.tensor(), 8);
  EXPECT_TRUE(below.has_dropout());
  EXPECT_FALSE(below.dropout());
  EXPECT_EQ(below.precision().gradients(), "fp32");
  EXPECT_EQ(below.precision().reduce(), "bf16");
  EXPECT_THAT(below.kernels().gradient_passes(), ElementsAre("check"));
  EXPECT_THAT(below.recompute_modules(), ElementsAre("mlp"));
  EXPECT_THAT(above.kernels().gradient_passes(), ElementsAre("check"));  // as it was
}

}  // namespace
}  // namespace meshstep
